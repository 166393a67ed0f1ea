#include "linux/arp_settings.h"

#include <cstdlib>

#include "linux/sysctl.h"

namespace carpd {

namespace {

// To at least `value`. Returns what it was, if that was less.
std::optional<int> raise(const std::string& interface, const char* name, int value) {
    const auto before = read_sysctl(ipv4_setting(interface, name));
    if (!before || *before >= value || !write_sysctl(ipv4_setting(interface, name), value))
        return std::nullopt;
    return before;
}

}  // namespace

void ArpSettings::borrow(int ifindex, const std::string& interface) {
    Before& before = before_[ifindex];
    if (++before.users > 1) return;
    if (!before.ignore) before.ignore = raise(interface, "arp_ignore", 1);
    if (!before.announce) before.announce = raise(interface, "arp_announce", 2);
}

void ArpSettings::inherit(int ifindex, const std::string& note) {
    before_[ifindex] = {0, read_note(note, "arp_ignore"), read_note(note, "arp_announce")};
}

void ArpSettings::give_back(int ifindex, const std::string& interface) {
    Before& before = before_[ifindex];
    if (--before.users > 0) return;
    restore_arp(note(ifindex), interface);
    before_.erase(ifindex);
}

std::string ArpSettings::note(int ifindex) const {
    const auto found = before_.find(ifindex);
    std::string note;
    if (found == before_.end()) return note;
    if (found->second.ignore) note += " arp_ignore=" + std::to_string(*found->second.ignore);
    if (found->second.announce) note += " arp_announce=" + std::to_string(*found->second.announce);
    return note;
}

std::optional<int> read_note(const std::string& note, const std::string& name) {
    const std::size_t place = note.rfind(" " + name + "=");
    if (place == std::string::npos) return std::nullopt;
    return std::atoi(note.c_str() + place + name.size() + 2);
}

void restore_arp(const std::string& note, const std::string& interface) {
    for (const char* name : {"arp_ignore", "arp_announce"})
        if (const auto value = read_note(note, name)) write_sysctl(ipv4_setting(interface, name), *value);
}

}  // namespace carpd
