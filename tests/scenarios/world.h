// A LAN of hosts in virtual time, for scenarios that a person can read: every host is a Node behind a Pump,
// and the network delivers each packet after a fixed delay unless told otherwise. No randomness but the
// nodes' seeds.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "carp/pump.h"

namespace carpd::scenario {

class World;

class Host : public Port {
 public:
    Host(World& world, std::string name, std::uint8_t number);

    std::span<const ReceivedPacket> receive() override;
    void refused(const ReceivedPacket&, DropReason reason, const GroupId* group) override;
    void perform(const WithdrawAddresses& action) override;
    void perform(std::span<SendAdvertisement> actions) override;
    bool perform(const SendProbe& action) override;
    void perform(const SetPool& action) override;
    void perform(const SendFloodProbe& action) override;
    void perform(const SendBeacon& action) override;
    void perform(std::span<const CommitFlows> actions) override;
    void perform(std::span<InstallAddresses> actions) override;
    void perform(const RenewLease& action) override;
    void perform(std::span<const AnnounceAddresses> actions) override;
    void perform(const ReportTransition& action) override;
    void perform(const ReportRival& action) override;
    void perform(const ReportHeld& action) override;
    void perform(const ReportDemotion& action) override;
    void perform(const ReportUncommitted& action) override;
    void perform(const ReportPool& action) override;
    void perform(const ReportPeer& action) override;

    World& world;
    std::string name;
    std::uint8_t number;
    Node node;
    Pump pump;
    std::vector<GroupConfig> groups;
    std::map<GroupId, GroupConfig> known;  // as a driver keeps them, also of groups just removed
    LinkStatus link;                       // of each interface
    std::set<std::string> down;            // interfaces without a carrier, whatever `link` says
    bool alive = true;
    bool frozen = false;    // its process doesn't run; what it hears waits
    int failing_sends = 0;  // that many sends fail
    bool install_works = true;
    std::map<std::string, SetPool> pools;  // by name, as its kernel has them
    std::map<GroupId, Instant> owned;      // installed addresses, and until when they may answer
    std::deque<std::pair<InterfaceId, std::vector<std::uint8_t>>> inbox;

    // How many of the clients its kernel serves; counts each of them in `served_by`.
    int served(const std::string& pool, const std::vector<IpAddress>& clients,
               std::vector<int>& served_by) const;
    bool is_running(const std::string& interface) const { return link.running && !down.contains(interface); }

 private:
    bool send(const std::string& interface, Bytes packet);

    std::vector<ReceivedPacket> batch_;
    std::vector<std::vector<std::uint8_t>> batch_bytes_;
};

class World {
 public:
    Host& add_host(const std::string& name);
    Host& host(const std::string& name);
    // Lets `duration` pass; what happens is written to `log`.
    void run(Duration duration);
    // To the other hosts' interfaces of that name: they are on one LAN.
    void transmit(const Host& from, const std::string& interface, Bytes packet, bool to_all = false);
    // Puts a packet before `to`, as if from the network.
    void inject(Host& to, const std::string& interface, std::vector<std::uint8_t> packet);
    void note(const Host& host, const std::string& text);
    // Hosts whose data plane answers for group `name` now, as "a", "a+b" or "nobody".
    std::string owners(const std::string& name);
    // Of 1000 clients of the pool, 10.0.0.0 and on: how many each host serves, and how many several or
    // nobody.
    std::string clients(const std::string& pool);

    Instant now{};
    std::string log;
    bool show_packets = false;
    // Packets from the first to the second are lost, on the LAN of the third or, if that is empty, on all.
    std::set<std::array<std::string, 3>> cut;
    std::set<Family> lost_families;
    bool keeps_probes_back = false;  // the LAN's switch knows no host behind a pool's MAC
    std::vector<std::uint8_t> last_packet;

 private:
    struct Delivery {
        Instant at;
        std::string to, interface;
        std::vector<std::uint8_t> packet;
    };

    std::vector<std::unique_ptr<Host>> hosts_;
    std::deque<Delivery> in_flight_;  // in order of time, since every packet takes as long
};

}  // namespace carpd::scenario
