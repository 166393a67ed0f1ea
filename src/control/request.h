// What carpctl asks of carpd: one JSON object a line over the control socket.
//
//   {"command":"status"}  {"command":"status","group":"lan"}      reply: status_head(), ...; with
//   "brief":true or "peers":true                                  of each group by brief_status_of() or
//                                                                 peers_status_of()
//   {"command":"monitor"}                                         reply: ok_line(), then a line per change
//   {"command":"state","group":"lan","state":"backup"}            reply: ok_line() or error_line()
//   {"command":"demote","group":"lan","amount":10,"name":"maintenance"}     or with "interface_group"; and
//   "for_ms", or "persist":true, which replies with kept_line()
//   {"command":"client","address":"192.0.2.7"}                    reply: client_line(); also or instead
//   "mac",
//                                                                 and "group" for one pool
//   {"command":"stop"}  {"command":"reload"}
//   {"command":"upgrade"}                                         reply: ok_line(), and how it went when it
//                                                                 is over
//   {"command":"history"}                                         reply: history_line()
//   {"command":"config"}                                          reply: config_head(), ...
//
// The name of a pool stands for all its carpnodes.
//
// The engine parses what comes from anybody who may open the socket, so nothing here throws or trusts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "carp/types.h"
#include "carp/virtual_host.h"

namespace carpd {

inline constexpr std::size_t kMaxRequestSize = 4096;  // bytes in a line

enum class Command : std::uint8_t {
    status,
    monitor,
    state,
    demote,
    client,
    stop,
    reload,
    history,
    config,
    upgrade
};

// How `carpctl drain` calls its demotion. It is less than a fault's (rule M3): where all other hosts can't
// serve well, a drained one still does.
inline constexpr const char* kDrainDemotion = "drain";
inline constexpr int kDrainAmount = 200;

std::string_view to_string(Command command);
// Whether it changes nothing.
bool only_reads(Command command);
// Whether one is called so.
bool is_command(std::string_view name);

// What is told of each group.
enum class StatusForm : std::uint8_t { whole, brief, peers };

struct Request {
    Command command = Command::status;
    std::string group{};                  // status: empty for all groups; state: never empty
    StatusForm form = StatusForm::whole;  // status
    std::string interface_group{};        // demote: one of the two is empty
    State state = State::backup;          // state: BACKUP or MASTER
    int amount = 0;                       // demote: -255..255; 0 ends it
    std::string name{kOperatorDemotion};  // demote: what it is called
    std::optional<Duration> lasts{};      // demote: it ends by itself after that; whole ms
    bool persist = false;                 // demote: it stays when the daemon starts again
    std::optional<IpAddress> address{};   // client: at least one of the two
    std::optional<MacAddress> mac{};
    bool operator==(const Request&) const = default;
};

// `line` comes without its newline. The error is a sentence for the one who asked.
Expected<Request, std::string> parse_request(std::string_view line);
std::string to_line(const Request& request);

// Replies to what isn't a status. No line here ends with a newline: that is LineServer's part.
std::string ok_line();
// Of a demotion that stays, and the file that it is kept in.
std::string kept_line(std::string_view file);
std::string error_line(std::string_view message);
// `changes` are lines of a monitor, the oldest first.
std::string history_line(const std::deque<std::string>& changes);

// "there is no group 'wan'; there are: lan, dmz"; `kind` is "group" or "interface group".
std::string unknown_group(std::string_view kind, std::string_view name,
                          const std::vector<std::string>& known);

}  // namespace carpd
