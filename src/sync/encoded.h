// Between a flow as a value and as the bytes that tables hold (wire/flow_record.h).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "wire/flow_record.h"

namespace carpd {

// The bytes of an identity or of a state.
class Encoded {
 public:
    explicit Encoded(const FlowIdentity& identity) : size_(encode(identity, bytes_)) {}
    explicit Encoded(const FlowState& state) : size_(encode(state, bytes_)) {}
    Bytes view() const { return {bytes_.data(), size_}; }

 private:
    std::array<std::uint8_t, kLongestIdentity> bytes_;
    std::size_t size_;
};
static_assert(kLongestState <= kLongestIdentity);

// Of bytes that were checked before they came into a table.
inline FlowIdentity identity_of(Bytes bytes) {
    return decode_identity(bytes).value();
}
inline FlowState state_of(Bytes bytes) {
    return decode_state(bytes).value();
}

}  // namespace carpd
