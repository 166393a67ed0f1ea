// The command line of `carpd ucarp`, or of carpd called as `ucarp`: options, defaults and exit codes as
// ucarp(8) has them, to a Config with one group (docs/ucarp.md). Called by carpd at its start, once.
#pragma once

#include <string>
#include <vector>

#include "base/expected.h"
#include "config/config.h"

namespace carpd {

struct UcarpCommand {
    Config config;  // its `ucarp` is set; the group has no interface yet if none was given
    bool is_background = false;
    bool is_verbose = false;
    std::string facility{"daemon"};     // of syslog
    std::vector<std::string> warnings;  // a line each
};

// What is printed instead of a start: help that was asked for, or what is wrong.
struct UcarpRefusal {
    int exit_code;
    std::string text;  // lines, without the last newline
};

// `words` are the arguments, without the program's name. A password file is read, and nothing else.
Expected<UcarpCommand, UcarpRefusal> parse_ucarp_command(const std::vector<std::string>& words);

// Gives `config` the group's interface, and what is called after that: the group INTERFACE-VHID and
// the control socket /run/carpd/ucarp-INTERFACE-VHID.sock.
void set_ucarp_interface(Config& config, const std::string& interface);

}  // namespace carpd
