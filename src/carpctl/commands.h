// carpctl's commands. Each returns the exit code, having said on standard error what went wrong.
#pragma once

#include <ctime>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "carpctl/client.h"
#include "control/request.h"
#include "control/sync_request.h"

namespace carpd {

struct Options {
    std::string socket;
    bool json = false;  // for programs
    bool no_pager = false;
};

ExitCode status_command(const Options& options, const std::string& group);
// Why this host is or isn't MASTER of a group, or of each.
ExitCode explain_command(const Options& options, const std::string& group);
// The same of a second that has passed.
ExitCode past_command(const Options& options, const std::string& group, std::time_t at);
// Who serves a client in each pool, or the one named `pool`, and why. `client` is an IP address or a MAC.
ExitCode client_command(const Options& options, const std::string& client, const std::string& pool);
// Who of a group's hosts, or of each group's, hears whom.
ExitCode peers_command(const Options& options, const std::string& group);
// Demotes this host, in one group or in all, and waits for at most `patience` seconds until others are
// MASTER.
struct DrainOrder {
    std::string group;                // empty: all
    std::optional<Duration> lasts{};  // nothing: until undrain, or until carpd stops
    bool persist = false;             // until undrain, also when carpd starts again
    int patience = 10;
};
ExitCode drain_command(const Options& options, const DrainOrder& order);
ExitCode undrain_command(const Options& options, const std::string& group);
// All groups, those in trouble first, anew each second, in the terminal or as plain text. 0 frames: until the
// user has seen enough.
ExitCode top_command(const Options& options, int frames);
ExitCode monitor_command(const Options& options);
// What is wrong, or will be at the next takeover. Fails if anything is.
struct DoctorOrder {
    std::string group;          // empty: all
    std::string config;         // carpd's file; empty: as it says itself
    bool foreign_macs = false;  // also ask in the name of a MAC that nobody has
};
ExitCode doctor_command(const Options& options, const DoctorOrder& order);
// The last changes, of all groups or of one.
ExitCode history_command(const Options& options, const std::string& group);
// state, demote, stop and reload: carpd does it or says why not.
ExitCode order_command(const Options& options, const Request& order);
// The carpd that is installed takes over from the one that runs, and no group changes its state.
ExitCode upgrade_command(const Options& options);
// Other programs' files as a carpd.toml, on standard output or in a file, and a report on standard error.
// Speaks to no carpd.
struct ImportOrder {
    std::vector<std::string> files;
    std::string from;    // the kind; empty: guessed
    std::string output;  // a file; empty: standard output
    bool force = false;  // the file may exist
};
ExitCode import_command(const ImportOrder& order);
// What stands in a capture, by a configuration (carpctl/decode.h). Speaks to no carpd.
struct DecodeOrder {
    std::string file{};  // "-": standard input
    std::string config{"/etc/carpd/carpd.toml"};
    std::string interface = "";       // of packets whose own isn't configured; may be empty
    std::vector<std::string> self{};  // addresses from which this host sends
    bool explain = false;             // why each advertisement changed nothing, too
};
ExitCode decode_command(const Options& options, const DecodeOrder& order);
// Packets of protocol 112, as pcapng, until there are enough or it is interrupted. Speaks to no carpd.
struct CaptureOrder {
    std::vector<std::string> interfaces;  // empty: all
    std::string output{"-"};              // a file, or standard output
    std::uint64_t count = 0;              // so many packets; 0: any number
    int seconds = 0;                      // for so long; 0: for ever
};
ExitCode capture_command(const CaptureOrder& order);
// A configuration file: whether it is valid, how carpd understands it, or what a reload of it would change in
// the running daemon. `file`: empty for the default one, or for diff for that of the daemon.
enum class ConfigCommand : std::uint8_t { check, show, diff };
ExitCode config_command(const Options& options, ConfigCommand command, const std::string& file);
// An archive for a bug report, without secrets. `output`: empty for a name of its own; it must not exist.
ExitCode bundle_command(const Options& options, const std::string& output);
// All of `carpctl sync`.
ExitCode sync_command(const Options& options, const SyncRequest& request);

// ---- what they share

struct Answer {
    std::string line;  // as it came
    nlohmann::ordered_json json;
};

// Sends a request, as to_line() made it, and understands the answer; a refusal by carpd is a Failure.
Expected<Answer, Failure> ask(Client& client, const std::string& request);
// What an answer says; a line that isn't one, or a refusal, is a Failure.
Expected<Answer, Failure> understand(std::string line);
// All groups with what an overview needs; of a carpd that doesn't know that, with all.
Expected<Answer, Failure> ask_for_overview(Client& client);
// The same for what is to be done, to the end: with nothing to show but the answer as JSON.
ExitCode give_order(Expected<Client, Failure> client, const std::string& order, bool json);
// To `carpd: sync`; `control` is carpd's control socket.
Expected<Client, Failure> connect_to_sync(const std::string& control);
// Asks for flows and calls `show` with each. Returns how many there were.
using ShowFlow = std::function<void(const Answer& flow)>;
Expected<std::uint64_t, Failure> ask_for_flows(Client& client, const SyncRequest& request,
                                               const ShowFlow& show);
// On standard output; on a terminal that it doesn't fit, through $PAGER or less.
void print_paged(const Options& options, const std::string& text);
// Says it on standard error and returns its code.
ExitCode report(const Failure& failure);
// A descriptor that becomes readable when the user has seen enough. It lives as long as the program.
int interrupts();
// Whether standard output is a terminal and its owner likes colours (no-color.org).
bool wants_colour();

}  // namespace carpd
