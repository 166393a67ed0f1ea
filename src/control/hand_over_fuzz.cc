// Any text is a document or refused, a document reads back as itself, and a host goes on with whatever it
// says.
#include "base/assert.h"
#include "carp/node.h"
#include "control/hand_over.h"

namespace carpd {
namespace {

GroupConfig group(const char* interface, std::uint8_t vhid) {
    GroupConfig config;
    config.name = interface;
    config.interface = interface;
    config.vhid = Vhid{vhid};
    config.addresses = {{*IpAddress::parse("192.0.2.100"), 24}};
    config.together = "both";
    return config;
}

// Two carpnodes of a pool on eth2.
std::vector<GroupConfig> carpnodes() {
    BalanceConfig balance;
    balance.hash = BalanceHash::weighted;
    balance.carpnodes = {{1, 0, 1}, {2, 100, 2}};
    const SharedValue<BalanceConfig> pool(balance);
    std::vector<GroupConfig> groups = {group("eth2", 1), group("eth2", 2)};
    for (GroupConfig& each : groups) {
        each.together.clear();
        each.balance = pool;
    }
    return groups;
}

void go_on(const NodeMemory& memory) {
    Instant now{std::chrono::seconds(100)};
    Node node(1);
    Actions out;
    std::vector<GroupConfig> groups = carpnodes();
    groups.insert(groups.begin(), {group("eth0", 7), group("eth1", 1)});
    node.configure(now, share(std::move(groups)), out);
    LinkStatus link;
    link.present = link.up = link.running = true;
    node.resume(now, memory, std::vector<LinkStatus>(3, link), out);
    for (int i = 0; i < 20; ++i) {
        Actions actions;
        std::swap(actions, out);
        for (const Action& action : actions) {
            if (const auto* send = std::get_if<SendAdvertisement>(&action))
                node.handle_send_result(now, send->group, true, out);
            if (const auto* install = std::get_if<InstallAddresses>(&action))
                node.handle_install_result(now, install->group, true, out);
        }
        now += std::chrono::milliseconds(100);
        node.handle_timer(now, out);
    }
    node.memory();
}

}  // namespace
}  // namespace carpd

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carpd;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto known = parse_hand_over(text)) {
        const auto again = parse_hand_over(to_document(*known));
        CARPD_ASSERT(again && *again == *known);
        go_on(known->node);
    }
    if (const auto memory = parse_supervisor_memory(text)) {
        const auto again = parse_supervisor_memory(to_document(*memory));
        CARPD_ASSERT(again && *again == *memory);
    }
    return 0;
}
