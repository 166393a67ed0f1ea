// How an interface resolves ARP while there are groups on it: it must not answer for addresses that stand on
// other devices (arp_ignore), nor ask with them as the sender (arp_announce). Either would tell the LAN that
// they are at the interface's own MAC.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace carpd {

class ArpSettings {
 public:
    // Counted: as often as borrowed, the settings of an interface must be returned. `interface` is its name
    // now.
    void borrow(int ifindex, const std::string& interface);
    // What another process has borrowed and noted, and goes on being borrowed by this one: before borrow().
    void inherit(int ifindex, const std::string& note);
    void give_back(int ifindex, const std::string& interface);
    // What they were before, for the next run if this one is killed: " arp_ignore=0 arp_announce=0".
    std::string note(int ifindex) const;

 private:
    struct Before {
        int users = 0;
        std::optional<int> ignore, announce;  // nothing where we changed nothing
    };
    std::map<int, Before> before_;  // by ifindex
};

// The number behind " NAME=" in a note.
std::optional<int> read_note(const std::string& note, const std::string& name);
// Puts the interface's settings back to what a note says.
void restore_arp(const std::string& note, const std::string& interface);

}  // namespace carpd
