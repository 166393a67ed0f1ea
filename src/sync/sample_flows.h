// Flows for the tests of this folder, as bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "wire/flow.h"
#include "wire/flow_record.h"

namespace carpd {

using Buffer = std::vector<std::uint8_t>;

template <class T>
Buffer encoded(const T& value) {
    Buffer buffer(kLongestIdentity);
    buffer.resize(encode(value, buffer));
    return buffer;
}

// TCP over IPv4, one for each number; every third is translated, so that they differ in length.
inline FlowIdentity sample_identity(std::uint32_t number) {
    const auto client = [](std::uint32_t n) {
        const std::uint8_t bytes[] = {10, static_cast<std::uint8_t>(n >> 16),
                                      static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)};
        return IpAddress::from_bytes(bytes);
    };
    const std::uint8_t server[] = {198, 51, 100, 7}, ours[] = {203, 0, 113, 1};
    FlowIdentity identity;
    identity.original = {client(number), IpAddress::from_bytes(server), 6,
                         static_cast<std::uint16_t>(number >> 24 | 0x8000), 443};
    identity.reply = identity.original.inverse();
    if (number % 3 == 1) identity.reply.destination = IpAddress::from_bytes(ours);
    return identity;
}
inline Buffer identity_bytes(std::uint32_t number) {
    return encoded(sample_identity(number));
}

// One for each version, longer for some.
inline FlowState sample_state(std::uint32_t version) {
    FlowState state;
    state.status = 0xe;
    state.timeout = version;
    state.protocol = TcpState{3, {7, 8}, {0x23, 0x23}};
    if (version % 5 == 4) state.labels.fill(1);
    return state;
}
inline Buffer state_bytes(std::uint32_t version) {
    return encoded(sample_state(version));
}

}  // namespace carpd
