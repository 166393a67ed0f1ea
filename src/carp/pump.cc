#include "carp/pump.h"

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
}

namespace {

// Performs one Action and tells the node how it went.
struct Performer {
    Node& node;
    Port& port;
    Instant now;
    Actions& more;
    Actions& reports;

    void operator()(const SendAdvertisement& action) { send(action); }
    void operator()(const SendProbe& action) { send(action); }
    void operator()(const InstallAddresses& action) {
        node.handle_install_result(now, action.group, port.perform(action), more);
    }
    void operator()(const ReportTransition& action) { reports.emplace_back(action); }
    void operator()(const ReportRival& action) { reports.emplace_back(action); }
    void operator()(const ReportDemotion& action) { reports.emplace_back(action); }
    void operator()(const auto& action) { port.perform(action); }

    void send(const auto& action) { node.handle_send_result(now, action.group, port.perform(action), more); }
};

}  // namespace

void Pump::perform(Instant now) {
    // Results may append further Actions, so the vector can move under us: each is copied out before it is
    // performed.
    for (std::size_t i = 0; i < actions_.size(); ++i) {
        const Action action = actions_[i];
        std::visit(Performer{node_, port_, now, actions_, reports_}, action);
    }
    actions_.clear();
    for (const Action& report : reports_)
        std::visit([this](const auto& action) { port_.perform(action); }, report);
    reports_.clear();
}

}  // namespace carpd
