// Settings of the network stack that only /proc/sys can read or change.
#pragma once

#include <optional>
#include <string>

namespace carpd {

// `name` is a path below /proc/sys/net: "ipv4/conf/eth0/arp_ignore". Nothing, or false, where there is no
// such setting.
std::optional<int> read_sysctl(const std::string& name);
bool write_sysctl(const std::string& name, int value);

// The names of an interface's settings.
std::string ipv4_setting(const std::string& interface, const char* name);
std::string ipv6_setting(const std::string& interface, const char* name);

}  // namespace carpd
