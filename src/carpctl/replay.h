// A capture played to the core: what a host with this configuration would have made of it. It is a Node
// behind Pump, as in the daemon, with the capture's time instead of a clock; what the host would have sent or
// installed goes nowhere and always works.
//
// Who calls it: decode.h. It begins with every group in BACKUP and healthy, and anew where the capture has a
// gap in which all masters would have been timed out.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "carp/pump.h"

namespace carpd {

// From where the host itself advertises, by interface: ties are decided by it (rule E10).
using OwnSources = std::map<std::string, std::vector<IpAddress>, std::less<>>;

class Replay final : private Port {
 public:
    // Times are nanoseconds since 1970; one that goes back counts as the latest there was.
    using Time = std::int64_t;

    Replay(GroupConfigs groups, OwnSources own);

    // What became of a group, as `carpctl monitor` would have said.
    struct Happening {
        Time time;
        GroupId group;
        Report report;
        bool is_assumed = false;  // it isn't the election's: the host was MASTER when the capture began
    };

    // Lets time pass until then. Returns true if it began anew.
    bool advance(Time to);
    // A packet comes from the network, at the time of the last advance(), on the interface of this name;
    // `ip` begins with its IP header. Returns why it was refused, if it was.
    std::optional<DropReason> hear(std::string_view interface, Bytes ip);
    // The host itself advertised for this group: if nothing was heard for it before, it was MASTER already.
    void spoke(GroupId group);
    // What happened since the last call.
    std::vector<Happening> take_happenings() { return std::exchange(happenings_, {}); }

    std::optional<GroupId> find(std::string_view interface, std::uint8_t vhid) const;
    // As it is now.
    const VirtualHost& group(GroupId id) const { return *node_->group(id); }
    Instant now() const { return now_; }

 private:
    void begin(Time at);
    void note(GroupId group, const Report& report);

    std::span<const ReceivedPacket> receive() override;
    void refused(const ReceivedPacket&, DropReason reason, const GroupId*) override { refused_ = reason; }
    void perform(std::span<SendAdvertisement> actions) override;
    bool perform(const SendProbe&) override { return true; }
    void perform(std::span<InstallAddresses> actions) override;
    void perform(const WithdrawAddresses&) override {}
    void perform(std::span<const CommitFlows>) override {}
    void perform(const RenewLease&) override {}
    void perform(const SetPool&) override {}
    void perform(const SendFloodProbe&) override {}
    void perform(const SendBeacon&) override {}
    void perform(std::span<const AnnounceAddresses>) override {}
    void perform(const ReportTransition& report) override { note(report.group, report); }
    void perform(const ReportRival& report) override { note(report.group, report); }
    void perform(const ReportHeld& report) override { note(report.group, report); }
    void perform(const ReportDemotion&) override {}  // it is never demoted
    void perform(const ReportUncommitted&) override {}
    void perform(const ReportPool&) override {}
    void perform(const ReportPeer&) override {}

    const GroupConfigs groups_;
    const OwnSources own_;
    const Duration longest_wait_;
    std::map<std::pair<std::string, std::uint8_t>, GroupId> ids_;
    std::unique_ptr<Node> node_;
    std::unique_ptr<Pump> pump_;
    Instant now_{};
    Time began_ = 0;  // when `now_` was 0
    std::vector<ReceivedPacket> waiting_, batch_;
    std::optional<DropReason> refused_;
    bool is_assuming_ = false;
    std::vector<Happening> happenings_;
};

}  // namespace carpd
