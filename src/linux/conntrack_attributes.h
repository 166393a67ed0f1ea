// What messages of flows (conntrack_message.h) and of expectations (conntrack_expectation.h) are read and
// written with.
#pragma once

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/assert.h"
#include "base/bytes.h"
#include "linux/conntrack_message.h"
#include "wire/flow.h"

namespace carpd::conntrack {

inline constexpr std::size_t kHeader = sizeof(nlmsghdr), kBody = sizeof(nfgenmsg),
                             kAttribute = sizeof(nlattr);

constexpr std::size_t aligned(std::size_t size) {
    return (size + 3) & ~std::size_t{3};
}

// `subsystem` is NFNL_SUBSYS_*.
constexpr std::uint16_t message_type(int subsystem, int type) {
    return static_cast<std::uint16_t>(subsystem << 8 | type);
}

bool is_icmp(std::uint8_t protocol);
std::uint8_t kernel_family(Family family);

// ---- reading

// Numbers of attributes are in network order, and of exactly their size.
inline bool take(Bytes value, std::uint8_t& out) {
    if (value.size() != 1) return false;
    out = value[0];
    return true;
}
inline bool take(Bytes value, std::uint16_t& out) {
    if (value.size() != 2) return false;
    out = read_u16(value, 0);
    return true;
}
inline bool take(Bytes value, std::uint32_t& out) {
    if (value.size() != 4) return false;
    out = static_cast<std::uint32_t>(read_u16(value, 0)) << 16 | read_u16(value, 2);
    return true;
}
inline bool take(Bytes value, std::uint64_t& out) {
    if (value.size() != 8) return false;
    out = read_u64(value, 0);
    return true;
}
// A string, up to its zero if it has one.
template <std::size_t size>
bool take(Bytes value, std::array<char, size>& out) {
    const auto end = std::find(value.begin(), value.end(), std::uint8_t{0});
    if (end - value.begin() >= static_cast<std::ptrdiff_t>(size)) return false;
    out = {};
    std::copy(value.begin(), end, out.begin());
    return true;
}

// Calls take(type, value) for each attribute until it returns false. Returns whether all was well.
template <class Take>
bool for_each_attribute(Bytes bytes, Take take_one) {
    while (bytes.size() >= kAttribute) {
        nlattr attribute;
        std::memcpy(&attribute, bytes.data(), kAttribute);
        if (attribute.nla_len < kAttribute || attribute.nla_len > bytes.size()) return false;
        const Bytes value = bytes.first(attribute.nla_len).subspan(kAttribute);
        if (!take_one(attribute.nla_type & NLA_TYPE_MASK, value)) return false;
        bytes = bytes.subspan(std::min(aligned(attribute.nla_len), bytes.size()));
    }
    return true;
}

// A tuple as it is found.
struct TupleReading {
    FlowTuple tuple;
    bool is_complete = false;  // it has addresses and a protocol
    bool has_zone = false;     // one that is this direction's only
};
// False if an attribute has a length that it can't have.
bool take(Bytes bytes, Family family, TupleReading& out);

// ---- writing

class MessageWriter {
 public:
    // `out` has room for kLongestConntrackMessage.
    MessageWriter(std::span<std::uint8_t> out, std::uint16_t type, std::uint16_t flags,
                  std::uint32_t sequence, std::uint8_t family);

    void put(std::uint16_t type, Bytes value);
    template <class Number>
    void number(std::uint16_t type, Number value) {
        std::array<std::uint8_t, sizeof(Number)> bytes;
        for (std::size_t i = 0; i < sizeof(Number); ++i)
            bytes[sizeof(Number) - 1 - i] = static_cast<std::uint8_t>(value >> (8 * i));
        put(type, bytes);
    }
    // With its zero.
    template <std::size_t size>
    void string(std::uint16_t type, const std::array<char, size>& text) {
        put(type, Bytes(reinterpret_cast<const std::uint8_t*>(text.data()), std::strlen(text.data()) + 1));
    }
    void tuple(std::uint16_t type, const FlowTuple& tuple);

    // What is put until end() lies inside an attribute of this type.
    std::size_t begin_nest(std::uint16_t type);
    void end_nest(std::size_t place);

    std::size_t finish();

 private:
    void begin(std::uint16_t type, std::size_t length);
    void numbers(const FlowTuple& tuple);

    std::span<std::uint8_t> out_;
    nlmsghdr header_{};
    std::size_t size_ = 0;
};

}  // namespace carpd::conntrack
