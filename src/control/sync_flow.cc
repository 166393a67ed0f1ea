#include "control/sync_flow.h"

#include <array>
#include <span>

#include "control/request_fields.h"

namespace carpd {

namespace {

// IPPROTO_*
constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kDccp = 33, kGre = 47, kIcmpv6 = 58, kSctp = 132,
                       kUdpLite = 136;
// IPS_*
constexpr std::uint32_t kSeenReply = 0x2, kAssured = 0x4;

// As conntrack(8) shows them, by number.
constexpr std::string_view kTcpStates[] = {"NONE",       "SYN_SENT", "SYN_RECV",  "ESTABLISHED", "FIN_WAIT",
                                           "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE",       "SYN_SENT2"};
constexpr std::string_view kSctpStates[] = {
    "NONE",          "CLOSED",        "COOKIE_WAIT",       "COOKIE_ECHOED",  "ESTABLISHED",
    "SHUTDOWN_SENT", "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT", "HEARTBEAT_ACKED"};
constexpr std::string_view kDccpStates[] = {"NONE",     "REQUEST", "RESPOND",  "PARTOPEN", "OPEN",
                                            "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE",   "INVALID"};

std::string name_of_protocol(std::uint8_t protocol) {
    switch (protocol) {
        case kIcmp: return "icmp";
        case kTcp: return "tcp";
        case kUdp: return "udp";
        case kDccp: return "dccp";
        case kGre: return "gre";
        case kIcmpv6: return "icmpv6";
        case kSctp: return "sctp";
        case kUdpLite: return "udplite";
        default: return std::to_string(protocol);
    }
}

std::string named(std::uint8_t state, std::span<const std::string_view> names) {
    return state < names.size() ? std::string(names[state]) : std::to_string(state);
}

Json state_of(const FlowState& state) {
    if (const auto* const tcp = std::get_if<TcpState>(&state.protocol)) return named(tcp->state, kTcpStates);
    if (const auto* const sctp = std::get_if<SctpState>(&state.protocol))
        return named(sctp->state, kSctpStates);
    if (const auto* const dccp = std::get_if<DccpState>(&state.protocol))
        return named(dccp->state, kDccpStates);
    if (std::holds_alternative<ExpectationState>(state.protocol)) return "EXPECTED";
    return nullptr;
}

// Its addresses and numbers, by keys that begin with `prefix`.
void put(Json& json, const std::string& prefix, const FlowTuple& tuple) {
    json[prefix + "source"] = tuple.source.to_string();
    json[prefix + "destination"] = tuple.destination.to_string();
    if (!tuple.has_numbers()) return;
    if (tuple.protocol == kIcmp || tuple.protocol == kIcmpv6) {
        json[prefix + "type"] = tuple.second >> 8;
        json[prefix + "code"] = tuple.second & 0xff;
        json[prefix + "id"] = tuple.first;
    } else {
        const bool has_keys = tuple.protocol == kGre;
        json[prefix + (has_keys ? "source_key" : "sport")] = tuple.first;
        json[prefix + (has_keys ? "destination_key" : "dport")] = tuple.second;
    }
}

Json expected_by(const FlowIdentity& identity) {
    if (!identity.master) return nullptr;
    Json json{{"protocol", name_of_protocol(identity.master->protocol)}};
    put(json, "", *identity.master);
    return json;
}

}  // namespace

std::string sync_flow_line(const Flow& flow, std::string_view owner) {
    const FlowIdentity& identity = flow.identity;
    const FlowState& state = flow.state;
    Json json{{"owner", owner},
              {"protocol", name_of_protocol(identity.original.protocol)},
              {"state", state_of(state)}};
    put(json, "", identity.original);
    put(json, "reply_", identity.reply);
    json["nat"] = identity.is_translated();
    json["replied"] = (state.status & kSeenReply) != 0;
    json["assured"] = (state.status & kAssured) != 0;
    json["zone"] = identity.zone;
    json["mark"] = state.mark;
    json["timeout_s"] = state.timeout;
    json["helper"] = identity.helper_name().empty() ? Json(nullptr) : Json(identity.helper_name());
    json["expected_by"] = expected_by(identity);
    return dump(json);
}

std::string sync_flows_end(std::uint64_t count) {
    return dump({{"ok", true}, {"flows", count}});
}

}  // namespace carpd
