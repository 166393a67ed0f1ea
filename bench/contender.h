// The programs that are compared, each brought to own the addresses of many groups on a host of the lab.
//
// Groups are numbered from 0. A LAN has room for 255 of them: eth0 for the first ones, eth1 for the next, and
// so on. Host number h has the address 10.LAN.0.(h+1)/16, and a group 10.LAN.1.VHID.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lab/lab.h"

namespace carpd::bench {

constexpr int kGroupsOfALan = 255;
constexpr int lans_of(int groups) {
    return (groups + kGroupsOfALan - 1) / kGroupsOfALan;
}
std::string interface_of(int lan);
std::string own_address(int lan, const lab::Host& host);

enum class Role { master, backup };  // the better and the worse host

// Processes on a host; they end with it, in order.
using Running = std::shared_ptr<void>;
Running start(const lab::Command& command);

// A file of this host's own. What is written only root may read: it may hold a password.
std::string path_of(lab::Host& host, const std::string& name);
std::string write_file(lab::Host& host, const std::string& name, const std::string& content);

bool has_program(const std::string& name);

struct Contender {
    const char* name;
    int most_groups;
    Running (*start)(lab::Host& host, int groups, Role role);
};

// Those that are installed, carpd first.
std::vector<Contender> contenders();

}  // namespace carpd::bench
