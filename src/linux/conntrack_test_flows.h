// Flows of every kind, for the tests of conntrack_*.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "wire/flow.h"

namespace carpd {

struct NamedFlow {
    std::string name;
    Flow flow;
};

inline IpAddress ip_of(const char* text) {
    return IpAddress::parse(text).value();
}

// SEEN_REPLY, ASSURED, CONFIRMED.
inline constexpr std::uint32_t kAssured = 0xe;

// Each has addresses of its own.
inline std::vector<NamedFlow> test_flows() {
    std::vector<NamedFlow> flows;
    const auto add = [&](std::string name, std::uint8_t protocol, std::uint16_t first, std::uint16_t second) {
        const bool v4 = name.find('4') != std::string::npos;
        const std::string last = std::to_string(flows.size() + 1);
        Flow flow;
        flow.identity.original = {ip_of((v4 ? "192.0.2." + last : "2001:db8::1:" + last).c_str()),
                                  ip_of(v4 ? "198.51.100.7" : "2001:db8:2::7"), protocol, first, second};
        flow.identity.reply = flow.identity.original.inverse();
        flow.state.status = kAssured;
        flow.state.timeout = 600;
        flows.push_back({std::move(name), flow});
        return &flows.back().flow;
    };
    const TcpState established{3, {7, 8}, {0x03, 0x03}};
    for (const char* family : {"4", "6"}) {
        const bool v4 = *family == '4';
        const std::string f = std::string(" ") + family;
        add("tcp" + f, 6, 40000, 443)->state.protocol = established;
        add("udp" + f, 17, 5353, 53);
        add("udplite" + f, 136, 7, 8);
        add("icmp" + f, v4 ? 1 : 58, 77, v4 ? 8 << 8 : 128 << 8);
        add("esp" + f, 50, 0, 0);
        add("gre" + f, 47, 0, 0)->state.mark = 3;
        add("sctp" + f, 132, 1000, 2000)->state.protocol = SctpState{4, {0x01020304, 0x05060708}};
        Flow* flow = add("udp unanswered" + f, 17, 1, 2);
        flow->state.status = 8;
        flow = add("tcp translated" + f, 6, 40001, 80);
        flow->state.protocol = established;
        flow->identity.reply.destination = ip_of(v4 ? "203.0.113.1" : "2001:db8:3::1");  // to another source
        flow->identity.reply.second = 1024;
        flow->identity.reply.source = ip_of(v4 ? "10.0.0.5" : "fd00::5");  // and another destination
        flow->identity.reply.first = 8080;
        flow = add("udp port translated" + f, 17, 40002, 53);
        flow->identity.reply.second = 1025;
        flow = add("icmp translated" + f, v4 ? 1 : 58, 78, v4 ? 8 << 8 : 128 << 8);
        flow->identity.reply.destination = ip_of(v4 ? "203.0.113.2" : "2001:db8:3::2");
        flow->identity.reply.first = 79;
        flow = add("esp translated" + f, 50, 0, 0);
        flow->identity.reply.destination = ip_of(v4 ? "203.0.113.3" : "2001:db8:3::3");
        flow = add("tcp in a zone" + f, 6, 40003, 443);
        flow->identity.zone = 300;
        flow->state.mark = 0xfedcba98;
        flow->state.protocol = TcpState{1, {0, 0}, {0x02, 0}};
        flow->state.status = 8;
        flow = add("ftp" + f, 6, 40004, 21);
        flow->identity.helper = {'f', 't', 'p'};
        flow->state.protocol = established;
        flow->state.sequence = {{{1000, 5, 9}, {0, 0, 0}}};
        const FlowTuple master = flow->identity.original;
        flow = add("tcp expected" + f, 6, 40005, 50000);
        flow->identity.master = master;
        flow->state.protocol = established;
    }
    return flows;
}

inline NamedFlow test_flow(std::string_view name) {
    for (NamedFlow& flow : test_flows())
        if (flow.name == name) return flow;
    std::abort();
}

}  // namespace carpd
