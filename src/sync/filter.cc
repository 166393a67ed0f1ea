#include "sync/filter.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "sync/merge.h"

namespace carpd {

namespace {

template <std::size_t size>
InterfaceAddress prefix(const std::array<std::uint8_t, size>& bytes, std::uint8_t length) {
    return {IpAddress::from_bytes(bytes), length};
}

// Of two prefixes that have an address in common one is within the other, and a prefix sorts before all that
// is within it.
void remove_nested(std::vector<InterfaceAddress>& prefixes) {
    std::sort(prefixes.begin(), prefixes.end());
    std::size_t kept = 0;
    for (const InterfaceAddress& next : prefixes) {
        const bool is_nested = kept > 0 && next.address.shares_prefix(prefixes[kept - 1].address,
                                                                      prefixes[kept - 1].prefix_length);
        if (!is_nested) prefixes[kept++] = next;
    }
    prefixes.resize(kept);
}

// It has what later events don't tell.
bool is_told_at_once(const Flow& flow) {
    return flow.identity.master || !flow.identity.helper_name().empty() ||
           flow.state.labels != FlowState{}.labels;
}

}  // namespace

bool is_worth_telling(const Flow& flow, bool unanswered) {
    constexpr std::uint8_t kTcpProtocol = 6, kSynReceived = 2;
    if (flow.identity.original.protocol != kTcpProtocol) return true;
    const auto* const tcp = std::get_if<TcpState>(&flow.state.protocol);
    return tcp && (unanswered || is_told_at_once(flow) || tcp_progress(*tcp) >= kSynReceived);
}

FlowFilter::FlowFilter(std::span<const InterfaceAddress> ignored, std::span<const std::uint8_t> protocols,
                       std::span<const std::uint16_t> zones, std::span<const std::uint8_t> tcp_states,
                       bool unanswered)
    : never_(ignored.begin(), ignored.end()), zones_(zones.begin(), zones.end()), unanswered_(unanswered) {
    using V4 = std::array<std::uint8_t, 4>;
    using V6 = std::array<std::uint8_t, 16>;
    V6 loopback{};
    loopback.back() = 1;
    never_.insert(never_.end(), {prefix(V4{127}, 8), prefix(loopback, 128), prefix(V4{224}, 4),
                                 prefix(V6{0xff}, 8), prefix(V4{255, 255, 255, 255}, 32)});
    for (const std::uint8_t protocol : protocols) protocols_.set(protocol);
    if (protocols.empty()) protocols_.set();
    for (const std::uint8_t state : tcp_states) tcp_states_.set(state);
    if (tcp_states.empty()) tcp_states_.set();
    std::sort(zones_.begin(), zones_.end());
    set_own({});
}

void FlowFilter::set_own(std::span<const IpAddress> addresses) {
    excluded_ = never_;
    for (const IpAddress& address : addresses) excluded_.push_back({address, address.bit_count()});
    remove_nested(excluded_);
}

bool FlowFilter::tells(const Flow& flow) const {
    const FlowTuple &original = flow.identity.original, &reply = flow.identity.reply;
    if (!protocols_[original.protocol]) return false;
    if (!zones_.empty() && !std::binary_search(zones_.begin(), zones_.end(), flow.identity.zone))
        return false;
    if (!is_worth_telling(flow, unanswered_)) return false;
    const auto* const tcp = std::get_if<TcpState>(&flow.state.protocol);
    if (tcp && !tcp_states_[tcp->state] && !is_told_at_once(flow)) return false;
    if (is_excluded(original.source) || is_excluded(original.destination)) return false;
    // Most flows aren't translated.
    if (reply.source != original.destination && is_excluded(reply.source)) return false;
    return reply.destination == original.source || !is_excluded(reply.destination);
}

// The only prefix that may have it is the last one that doesn't begin behind it, for none is within another.
bool FlowFilter::is_excluded(const IpAddress& address) const {
    const auto behind =
        std::upper_bound(excluded_.begin(), excluded_.end(), address,
                         [](const IpAddress& a, const InterfaceAddress& b) { return a < b.address; });
    if (behind == excluded_.begin()) return false;
    const InterfaceAddress& before = *std::prev(behind);
    return address.shares_prefix(before.address, before.prefix_length);
}

}  // namespace carpd
