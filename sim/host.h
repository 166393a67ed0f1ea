// A host that runs carpd: the daemon's own Node behind its own Pump, with a network and a kernel in memory.
#pragma once

#include <memory>
#include <vector>

#include "carp/copy_state.h"
#include "carp/pump.h"
#include "sim/checker.h"
#include "sim/fake_kernel.h"
#include "sim/station.h"

namespace carpd::sim {

// Of which carpnode a client is.
CarpnodeIndex carpnode_of(const Shares& shares, const PoolPlan& pool, const Client& client);

class Host : public Station, private Port {
 public:
    Host(World& world, int index);

    void deliver(PacketId packet) override;
    void wake() override;
    void condition_changed() override;
    void link_changed(std::size_t interface) override;
    void demote(int group, int amount) override;
    State state(int group) const override;
    bool owns(int group) const override;
    int demotion(int group) const override;

    // The daemon is told to stop in order.
    void stop();
    // The configuration file may say something else now.
    void configuration_changed();
    // Others of its checks fail now.
    void checks_changed();
    void request_state(int group, State state);
    void lease_due(int group);
    // The flows of the takeover with this number are in its kernel.
    void committed(std::uint32_t takeover);
    // Its copy of its peers' flows may be complete now, or not any more.
    void copy_changed();
    bool synchronises() const { return plan().commit_wait > 0; }
    // It does, and when its process looked last its copy wasn't complete.
    bool lacks_flows() const { return lacks_flows_; }
    // The group's counters start anew with each.
    std::uint16_t life(int group) const { return lives_[static_cast<std::size_t>(group)]; }

    // What its kernel does with a client's packet, or its request by ARP.
    bool serves(const PoolPlan& pool, const Client& client) const;
    // Connections of the pool with this number, from 1, stay where they are.
    bool settles(int pool) const { return settling_until_[static_cast<std::size_t>(pool - 1)] > local_now(); }

    // Its kernel refused the group's addresses the last time.
    bool addresses_refused(int group) const { return refused_[static_cast<std::size_t>(group)]; }

    const DriftingClock& clock() const { return clock_; }
    const FakeKernel& kernel() const { return kernel_; }
    // Null while no process runs.
    const Node* node() const { return node_.get(); }
    const VirtualHost* virtual_host(int group) const;
    // What it runs with, which is not what the operator wants while it sleeps.
    const Settings& settings(int group) const { return settings_[static_cast<std::size_t>(group)]; }

 private:
    struct Request {
        int group;
        bool is_demotion;
        int amount;
        State state;
    };

    std::span<const ReceivedPacket> receive() override;
    void refused(const ReceivedPacket& packet, DropReason reason, const GroupId* group) override;
    void perform(const WithdrawAddresses& action) override;
    void perform(std::span<SendAdvertisement> actions) override;
    bool perform(const SendProbe& action) override;
    void perform(const SetPool& action) override;
    void perform(const SendFloodProbe& action) override;
    void perform(const SendBeacon&) override {}  // no group has them here
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
    void perform(const ReportPeer&) override {}

    Instant local_now() const;
    void start();
    void begin_to_synchronise();
    void die();
    void wake_soon();
    void report_heard();
    void forget_heard();
    void configure();
    void follow_links();
    void follow_checks();
    void hear_commits();
    void follow_copy();
    void answer_requests();
    void rearm();
    void lease_changed(int group);
    // An advertisement to there, or without one a probe.
    bool can_send(int group, const std::optional<IpAddress>& destination = {});
    bool send(const SendAdvertisement& action);
    PacketId packet_of(int group, const AdvertisementPacket& advertisement, const IpAddress& destination);
    bool install(const InstallAddresses& action);
    int group_of(GroupId id) const { return group_of_[id]; }
    std::uint32_t signing_secret(int group) const { return settings(group).secret(); }
    void touch(int group) { touched_.push_back(group); }
    static std::string describe(const Rival& rival, const Standing& ours);

    DriftingClock clock_;
    FakeKernel kernel_;
    std::vector<Shares> shares_;  // by pool, as its kernel has them
    std::vector<Instant> settling_until_;
    std::vector<bool> lease_event_;  // by group: one is in the queue
    std::unique_ptr<Node> node_;
    std::unique_ptr<Pump> pump_;
    std::vector<Settings> settings_;
    std::vector<int> demotions_;        // by group: what the operator set in this life
    std::vector<std::uint16_t> lives_;  // by group: how often it was new to a process
    std::vector<bool> refused_;         // by group: the kernel refused its addresses the last time
    std::uint16_t starts_ = 0;
    std::vector<GroupId> id_of_;  // by group; what it was last
    std::vector<int> group_of_;   // by GroupId
    std::vector<PacketId> inbox_;
    std::vector<ReceivedPacket> batch_;
    std::vector<Heard> heard_;      // in this wake-up, and what became of it
    std::size_t batch_begins_ = 0;  // the last batch in it
    std::size_t heard_reported_ = 0;
    std::vector<Request> requests_;
    // By group: the takeover with which it waits for its flows last; and those that were committed since.
    std::vector<std::uint32_t> takeovers_;
    std::uint32_t takeover_ = 0;
    std::vector<std::uint32_t> committed_;
    CopyState copy_;
    bool lacks_flows_ = false;
    int sync_demotion_ = 0;
    Moment copied_at_ = 0;                                  // when its copy is complete after its start
    Instant heartbeat_ = kNever;                            // when it looks at it again
    std::vector<int> touched_;                              // groups that this wake-up changed
    std::vector<bool> interface_replaced_;                  // by interface
    std::vector<std::optional<InterfaceId>> interface_id_;  // by interface, once its node asked for it
    bool link_pending_ = false, checks_pending_ = false, configuration_pending_ = false,
         copy_pending_ = false, wake_pending_ = false;
    Instant deadline_ = kNever;  // the node's, for which the timer is armed
};

}  // namespace carpd::sim
