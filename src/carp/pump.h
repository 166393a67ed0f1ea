// Turns one wake-up of the host into inputs of the Node and performs what it answers. The Linux engine and
// the simulator use this same code, so what the simulator proves holds for the daemon.
#pragma once

#include <functional>

#include "carp/node.h"
#include "carp/port.h"

namespace carpd {

// However many groups move, each kind of action is performed for all of them at once, the urgent ones first:
// who must stop answering does, then the advertisements go out, then addresses are installed, then announced.
class Pump {
 public:
    // Both outlive the pump.
    Pump(Node& node, Port& port) : node_(node), port_(port) {}

    // Something happened, or next_deadline() came. All waiting packets are heard before any timer is judged:
    // a host that woke late must hear its successor before it speaks (rule T4). At most kMaxPackets a call,
    // so that a flood can't hold up our own advertisements.
    void wake(Instant now);
    // What happened in wake() is for people, who can wait: the driver has it reported when nothing else is to
    // do. Returns how much it was.
    std::size_t report();
    bool has_reports() const { return !reports_.empty(); }
    // Any other input: `input` gets the Actions to append to. Reports at once.
    void input(Instant now, const std::function<void(Node&, Actions&)>& input);

    static constexpr std::size_t kMaxPackets = 1024;

 private:
    // Actions by kind, in the order in which they are performed. A withdrawal comes first, so it takes back
    // what the core asked for its group before.
    struct Round {
        std::vector<WithdrawAddresses> withdrawals;
        std::vector<SendAdvertisement> advertisements;
        std::vector<SendProbe> probes;
        std::vector<CommitFlows> commits;
        std::vector<InstallAddresses> installations;
        std::vector<RenewLease> renewals;
        std::vector<SetPool> pools;
        std::vector<SendFloodProbe> flood_probes;
        std::vector<AnnounceAddresses> announcements;
        std::vector<SendBeacon> beacons;
    };

    struct Sorter;

    void perform(Instant now);
    void sort_actions();
    void perform_round(Instant now);

    Node& node_;
    Port& port_;
    Actions actions_;
    Round round_;
    std::vector<Report> reports_;
};

}  // namespace carpd
