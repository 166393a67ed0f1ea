#include "carp/pump.h"

#include <utility>

namespace carpd {

void Pump::wake(Instant now) {
    std::size_t heard = 0;
    for (auto batch = port_.receive(); !batch.empty(); batch = port_.receive()) {
        for (const ReceivedPacket& packet : batch) {
            const Receipt receipt = node_.handle_packet(now, packet.interface, packet.bytes, actions_);
            if (receipt.refused)
                port_.refused(packet, *receipt.refused, receipt.group ? &*receipt.group : nullptr);
        }
        perform(now);
        heard += batch.size();
        if (heard >= kMaxPackets) break;
    }
    node_.handle_timer(now, actions_);
    perform(now);
}

void Pump::input(Instant now, const std::function<void(Node&, Actions&)>& input) {
    input(node_, actions_);
    perform(now);
    report();
}

std::size_t Pump::report() {
    // When all groups of a host have moved they are many, so what they took is given back.
    const std::vector<Report> reports = std::exchange(reports_, {});
    for (const Report& report : reports)
        std::visit([this](const auto& to_read) { port_.perform(to_read); }, report);
    return reports.size();
}

void Pump::perform(Instant now) {
    while (!actions_.empty()) {
        sort_actions();
        perform_round(now);  // what came of it may ask for more
    }
}

struct Pump::Sorter {
    Round& round;
    std::vector<Report>& reports;
    void operator()(const WithdrawAddresses& action) {
        const auto is_its = [&](const auto& earlier) { return earlier.group == action.group; };
        std::erase_if(round.installations, is_its);
        std::erase_if(round.renewals, is_its);
        std::erase_if(round.announcements, is_its);
        std::erase_if(round.flood_probes, is_its);
        round.withdrawals.push_back(action);
    }
    void operator()(const SendAdvertisement& action) { round.advertisements.push_back(action); }
    void operator()(const SendProbe& action) { round.probes.push_back(action); }
    void operator()(const CommitFlows& action) { round.commits.push_back(action); }
    void operator()(const InstallAddresses& action) { round.installations.push_back(action); }
    void operator()(const RenewLease& action) { round.renewals.push_back(action); }
    void operator()(const AnnounceAddresses& action) { round.announcements.push_back(action); }
    void operator()(const SetPool& action) {
        std::erase_if(round.pools, [&](const SetPool& earlier) { return earlier.leader == action.leader; });
        round.pools.push_back(action);
    }
    void operator()(const SendFloodProbe& action) { round.flood_probes.push_back(action); }
    void operator()(const SendBeacon& action) { round.beacons.push_back(action); }
    void operator()(const auto& report) { reports.emplace_back(report); }
};

void Pump::sort_actions() {
    for (const Action& action : actions_) std::visit(Sorter{round_, reports_}, action);
    actions_.clear();
}

void Pump::perform_round(Instant now) {
    // Before a withdrawal: the addresses of a pool that settles stay.
    for (const SetPool& action : round_.pools) port_.perform(action);
    for (const WithdrawAddresses& action : round_.withdrawals) port_.perform(action);
    if (!round_.advertisements.empty()) port_.perform(std::span(round_.advertisements));
    for (const SendAdvertisement& action : round_.advertisements)
        node_.handle_send_result(now, action.group, action.sent, actions_);
    for (const SendProbe& action : round_.probes)
        node_.handle_send_result(now, action.group, port_.perform(action), actions_);
    if (!round_.commits.empty()) port_.perform(std::span<const CommitFlows>(round_.commits));
    if (!round_.installations.empty()) port_.perform(std::span(round_.installations));
    for (const InstallAddresses& action : round_.installations)
        node_.handle_install_result(now, action.group, action.installed, actions_);
    for (const RenewLease& action : round_.renewals) port_.perform(action);
    if (!round_.announcements.empty())
        port_.perform(std::span<const AnnounceAddresses>(round_.announcements));
    for (const SendFloodProbe& action : round_.flood_probes) port_.perform(action);
    for (const SendBeacon& action : round_.beacons) port_.perform(action);
    round_.pools.clear();
    round_.flood_probes.clear();
    round_.beacons.clear();
    round_.withdrawals.clear();
    round_.advertisements.clear();
    round_.probes.clear();
    round_.commits.clear();
    round_.installations.clear();
    round_.renewals.clear();
    round_.announcements.clear();
}

}  // namespace carpd
