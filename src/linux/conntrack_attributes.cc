#include "linux/conntrack_attributes.h"

#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace carpd::conntrack {

namespace {

bool take_address(Bytes value, Family family, IpAddress& out) {
    if (value.size() != (family == Family::ipv4 ? 4 : 16)) return false;
    out = IpAddress::from_bytes(value);
    return true;
}

// A kernel that doesn't know a protocol (SCTP, DCCP, ... can be left out) tells no numbers: they are 0.
bool take_protocol(Bytes bytes, FlowTuple& tuple, bool& has_protocol) {
    std::uint8_t icmp_type = 0, icmp_code = 0;
    const bool well = for_each_attribute(bytes, [&](int type, Bytes value) {
        switch (type) {
            case CTA_PROTO_NUM: return has_protocol = take(value, tuple.protocol);
            case CTA_PROTO_SRC_PORT:
            case CTA_PROTO_ICMP_ID:
            case CTA_PROTO_ICMPV6_ID: return take(value, tuple.first);
            case CTA_PROTO_DST_PORT: return take(value, tuple.second);
            case CTA_PROTO_ICMP_TYPE:
            case CTA_PROTO_ICMPV6_TYPE: return take(value, icmp_type);
            case CTA_PROTO_ICMP_CODE:
            case CTA_PROTO_ICMPV6_CODE: return take(value, icmp_code);
            default: return true;
        }
    });
    if (is_icmp(tuple.protocol)) tuple.second = static_cast<std::uint16_t>(icmp_type << 8 | icmp_code);
    if (!tuple.has_numbers()) tuple.first = tuple.second = 0;
    return well;
}

}  // namespace

bool is_icmp(std::uint8_t protocol) {
    return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

std::uint8_t kernel_family(Family family) {
    return family == Family::ipv4 ? AF_INET : AF_INET6;
}

bool take(Bytes bytes, Family family, TupleReading& out) {
    bool has_source = false, has_destination = false, has_protocol = false;
    FlowTuple& tuple = out.tuple;
    const auto take_ip = [&](int type, Bytes value) {
        if (type == CTA_IP_V4_SRC || type == CTA_IP_V6_SRC)
            return has_source = take_address(value, family, tuple.source);
        if (type == CTA_IP_V4_DST || type == CTA_IP_V6_DST)
            return has_destination = take_address(value, family, tuple.destination);
        return true;
    };
    const bool well = for_each_attribute(bytes, [&](int type, Bytes value) {
        out.has_zone |= type == CTA_TUPLE_ZONE;
        if (type == CTA_TUPLE_IP) return for_each_attribute(value, take_ip);
        return type != CTA_TUPLE_PROTO || take_protocol(value, tuple, has_protocol);
    });
    out.is_complete = has_source && has_destination && has_protocol;
    return well;
}

MessageWriter::MessageWriter(std::span<std::uint8_t> out, std::uint16_t type, std::uint16_t flags,
                             std::uint32_t sequence, std::uint8_t family)
    : out_(out) {
    CARPD_ASSERT(out.size() >= kLongestConntrackMessage);
    header_.nlmsg_type = type;
    header_.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header_.nlmsg_seq = sequence;
    const nfgenmsg body{family, NFNETLINK_V0, 0};
    std::memcpy(out_.data() + kHeader, &body, kBody);
    size_ = kHeader + kBody;
}

void MessageWriter::put(std::uint16_t type, Bytes value) {
    begin(type, value.size());
    CARPD_ASSERT(aligned(value.size()) <= out_.size() - size_);
    std::copy(value.begin(), value.end(), out_.begin() + static_cast<std::ptrdiff_t>(size_));
    std::fill_n(out_.begin() + static_cast<std::ptrdiff_t>(size_ + value.size()),
                aligned(value.size()) - value.size(), std::uint8_t{0});
    size_ += aligned(value.size());
}

void MessageWriter::tuple(std::uint16_t type, const FlowTuple& tuple) {
    const bool v4 = tuple.source.family() == Family::ipv4;
    const std::size_t nest = begin_nest(type);
    const std::size_t ip = begin_nest(CTA_TUPLE_IP);
    put(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple.source.bytes());
    put(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple.destination.bytes());
    end_nest(ip);
    const std::size_t protocol = begin_nest(CTA_TUPLE_PROTO);
    number(CTA_PROTO_NUM, tuple.protocol);
    if (tuple.has_numbers()) numbers(tuple);
    end_nest(protocol);
    end_nest(nest);
}

void MessageWriter::numbers(const FlowTuple& tuple) {
    if (!is_icmp(tuple.protocol)) {
        number(CTA_PROTO_SRC_PORT, tuple.first);
        number(CTA_PROTO_DST_PORT, tuple.second);
        return;
    }
    const bool v4 = tuple.protocol == IPPROTO_ICMP;
    number(v4 ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID, tuple.first);
    number(v4 ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE, static_cast<std::uint8_t>(tuple.second >> 8));
    number(v4 ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE, static_cast<std::uint8_t>(tuple.second));
}

std::size_t MessageWriter::begin_nest(std::uint16_t type) {
    const std::size_t place = size_;
    begin(static_cast<std::uint16_t>(type | NLA_F_NESTED), 0);
    return place;
}

void MessageWriter::end_nest(std::size_t place) {
    const auto length = static_cast<std::uint16_t>(size_ - place);
    std::memcpy(out_.data() + place, &length, sizeof length);
}

std::size_t MessageWriter::finish() {
    header_.nlmsg_len = static_cast<std::uint32_t>(size_);
    std::memcpy(out_.data(), &header_, kHeader);
    return size_;
}

void MessageWriter::begin(std::uint16_t type, std::size_t length) {
    CARPD_ASSERT(kAttribute <= out_.size() - size_);
    const nlattr attribute{static_cast<std::uint16_t>(kAttribute + length), type};
    std::memcpy(out_.data() + size_, &attribute, kAttribute);
    size_ += kAttribute;
}

}  // namespace carpd::conntrack
