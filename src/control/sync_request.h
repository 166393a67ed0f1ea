// What carpctl asks of `carpd: sync`: one JSON object a line over a socket of its own, which has the control
// socket's path with ".sync" behind it.
//
//   {"command":"status"}                           reply: sync_status()
//   {"command":"flows"}                            reply: sync_flow_line() for each, then sync_flows_end();
//   {"command":"flows","owner":"fw2"}                     or error_line()
//   {"command":"resync"}  {"command":"flush"}      reply: ok_line() or error_line() of control/request.h
//
// As the engine does, it parses what comes from anybody who may open the socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/expected.h"

namespace carpd {

enum class SyncCommand : std::uint8_t { status, flows, resync, flush };

std::string_view to_string(SyncCommand command);
// Whether one is called so.
bool is_sync_command(std::string_view name);

struct SyncRequest {
    SyncCommand command = SyncCommand::status;
    std::string owner{};  // flows: a host's name; empty: all flows
    bool operator==(const SyncRequest&) const = default;
};

// `line` comes without its newline. The error is a sentence for the one who asked.
Expected<SyncRequest, std::string> parse_sync_request(std::string_view line);
std::string to_line(const SyncRequest& request);

}  // namespace carpd
