// carpctl's commands. Each returns the exit code, having said on standard error what went wrong.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "carpctl/client.h"
#include "control/request.h"

namespace carpd {

struct Options {
    std::string socket;
    bool json = false;  // for programs
};

ExitCode status_command(const Options& options, const std::string& group);
ExitCode monitor_command(const Options& options);
// state, demote, stop and reload: carpd does it or says why not.
ExitCode order_command(const Options& options, const Request& order);

// ---- what they share

struct Answer {
    std::string line;  // as it came
    nlohmann::ordered_json json;
};

// Sends a request and understands the answer; a refusal by carpd is a Failure.
Expected<Answer, Failure> ask(Client& client, const Request& request);
// Says it on standard error and returns its code.
ExitCode report(const Failure& failure);
// Whether standard output is a terminal and its owner likes colours (no-color.org).
bool wants_colour();

}  // namespace carpd
