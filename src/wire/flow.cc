#include "wire/flow.h"

namespace carpd {

namespace {

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kDccp = 33, kGre = 47, kIcmpv6 = 58, kSctp = 132,
                       kUdpLite = 136;

// The kernel pairs requests with answers; every other type is its own answer.
std::uint8_t inverse_type(std::uint8_t protocol, std::uint8_t type) {
    struct Pair {
        std::uint8_t protocol, request, answer;
    };
    constexpr Pair kPairs[] = {{kIcmp, 8, 0},   {kIcmp, 13, 14},     {kIcmp, 15, 16},
                               {kIcmp, 17, 18}, {kIcmpv6, 128, 129}, {kIcmpv6, 139, 140}};
    for (const Pair& pair : kPairs) {
        if (pair.protocol != protocol) continue;
        if (type == pair.request) return pair.answer;
        if (type == pair.answer) return pair.request;
    }
    return type;
}

}  // namespace

bool FlowTuple::has_numbers() const {
    switch (protocol) {
        case kIcmp:
        case kTcp:
        case kUdp:
        case kDccp:
        case kGre:
        case kIcmpv6:
        case kSctp:
        case kUdpLite: return true;
        default: return false;
    }
}

FlowTuple FlowTuple::inverse() const {
    FlowTuple other{destination, source, protocol, second, first};
    if (protocol == kIcmp || protocol == kIcmpv6) {
        other.first = first;
        other.second = static_cast<std::uint16_t>(
            inverse_type(protocol, static_cast<std::uint8_t>(second >> 8)) << 8 | (second & 0xff));
    }
    return other;
}

}  // namespace carpd
