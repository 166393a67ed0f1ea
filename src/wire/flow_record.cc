#include "wire/flow_record.h"

#include <algorithm>
#include <bit>

namespace carpd {

namespace {

// What an identity's first byte says of it.
enum Shape : std::uint8_t {
    kIpv6 = 1,
    kTranslated = 2,
    kZone = 4,
    kMaster = 8,
    kHelper = 16,
    kExpectation = 32,
    kAllShapes = 63
};
// What of the reply differs from the inverse of the original direction.
enum Difference : std::uint8_t {
    kSource = 1,
    kDestination = 2,
    kFirst = 4,
    kSecond = 8,
    kAllDifferences = 15
};
// What a state's first byte says that follows.
enum Content : std::uint8_t {
    kMark = 1,
    kLabels = 2,
    kSequence = 4,
    kTcpState = 8,
    kSctpState = 16,
    kDccpState = 32,
    kAllContents = 63
};
constexpr std::uint8_t kProtocolStates = kTcpState | kSctpState | kDccpState;
// An expectation's state begins with this instead.
constexpr std::uint8_t kExpectationState = 64;
// What the third byte of an expectation's state says of its translation.
enum Translation : std::uint8_t {
    kHasTranslation = 1,
    kReplyDirection = 2,
    kIpv6Translation = 4,
    kAllTranslations = 7
};
constexpr std::uint8_t kMaxWindowScale = 14;

// Reads forward; what isn't there any more reads as zero, and failed() says so.
class Reader {
 public:
    explicit Reader(Bytes bytes) : bytes_(bytes) {}

    bool failed() const { return failed_; }
    Bytes rest() const { return bytes_; }

    Bytes take(std::size_t size) {
        if (size > bytes_.size()) {
            failed_ = true;
            bytes_ = {};
            return {};
        }
        const Bytes taken = bytes_.first(size);
        bytes_ = bytes_.subspan(size);
        return taken;
    }
    std::uint8_t u8() {
        const Bytes b = take(1);
        return b.empty() ? std::uint8_t{0} : b[0];
    }
    std::uint16_t u16() {
        const Bytes b = take(2);
        return b.empty() ? std::uint16_t{0} : read_u16(b, 0);
    }
    std::uint32_t u32() { return static_cast<std::uint32_t>(u16()) << 16 | u16(); }
    std::uint64_t u64() { return static_cast<std::uint64_t>(u32()) << 32 | u32(); }
    // At most 5 bytes, and no longer than necessary.
    std::uint32_t varint() {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 35; shift += 7) {
            const std::uint8_t byte = u8();
            value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
            if (byte & 0x80) continue;
            if ((byte == 0 && shift > 0) || value > 0xffffffff) break;
            return static_cast<std::uint32_t>(value);
        }
        failed_ = true;
        return 0;
    }
    IpAddress address(Family family) {
        const Bytes b = take(family == Family::ipv4 ? 4 : 16);
        return b.empty() ? IpAddress::any(family) : IpAddress::from_bytes(b);
    }

 private:
    Bytes bytes_;
    bool failed_ = false;
};

void put_varint(ByteWriter& writer, std::uint32_t value) {
    for (; value >= 0x80; value >>= 7) writer.u8(static_cast<std::uint8_t>(value | 0x80));
    writer.u8(static_cast<std::uint8_t>(value));
}

void put_numbers(ByteWriter& writer, const FlowTuple& tuple) {
    if (!tuple.has_numbers()) return;
    writer.u16(tuple.first);
    writer.u16(tuple.second);
}

void put_tuple(ByteWriter& writer, const FlowTuple& tuple) {
    writer.u8(tuple.protocol);
    writer.bytes(tuple.source.bytes());
    writer.bytes(tuple.destination.bytes());
    put_numbers(writer, tuple);
}

FlowTuple take_tuple(Reader& reader, Family family) {
    FlowTuple tuple;
    tuple.protocol = reader.u8();
    tuple.source = reader.address(family);
    tuple.destination = reader.address(family);
    if (!tuple.has_numbers()) return tuple;
    tuple.first = reader.u16();
    tuple.second = reader.u16();
    return tuple;
}

template <std::size_t size>
void put_name(ByteWriter& writer, const std::array<char, size>& name) {
    CARPD_ASSERT(name.back() == 0);
    const std::string_view text = name.data();
    writer.u8(static_cast<std::uint8_t>(text.size()));
    for (const char c : text) writer.u8(static_cast<std::uint8_t>(c));
}

// False if it is none.
template <std::size_t size>
bool take_name(Reader& reader, std::array<char, size>& name) {
    const Bytes text = reader.take(reader.u8());
    if (text.size() >= size ||
        !std::all_of(text.begin(), text.end(), [](std::uint8_t c) { return c > ' ' && c < 0x7f; }))
        return false;
    std::copy(text.begin(), text.end(), name.begin());
    return true;
}

void put_reply(ByteWriter& writer, const FlowTuple& reply, const FlowTuple& inverse) {
    const bool source = reply.source != inverse.source,
               destination = reply.destination != inverse.destination, first = reply.first != inverse.first,
               second = reply.second != inverse.second;
    writer.u8(static_cast<std::uint8_t>((source ? kSource : 0) | (destination ? kDestination : 0) |
                                        (first ? kFirst : 0) | (second ? kSecond : 0)));
    if (source) writer.bytes(reply.source.bytes());
    if (destination) writer.bytes(reply.destination.bytes());
    if (first) writer.u16(reply.first);
    if (second) writer.u16(reply.second);
}

// The inverse, with what differs; nothing if the encoding is another than ours.
std::optional<FlowTuple> take_reply(Reader& reader, const FlowTuple& inverse) {
    FlowTuple reply = inverse;
    const std::uint8_t differs = reader.u8();
    const std::uint8_t possible = inverse.has_numbers() ? kAllDifferences : kSource | kDestination;
    if (differs == 0 || (differs & ~possible)) return std::nullopt;
    const Family family = inverse.source.family();
    if (differs & kSource) reply.source = reader.address(family);
    if (differs & kDestination) reply.destination = reader.address(family);
    if (differs & kFirst) reply.first = reader.u16();
    if (differs & kSecond) reply.second = reader.u16();
    const bool all_differ = (!(differs & kSource) || reply.source != inverse.source) &&
                            (!(differs & kDestination) || reply.destination != inverse.destination) &&
                            (!(differs & kFirst) || reply.first != inverse.first) &&
                            (!(differs & kSecond) || reply.second != inverse.second);
    return all_differ ? std::optional(reply) : std::nullopt;
}

}  // namespace

// ---- identity

std::size_t encode(const FlowIdentity& identity, std::span<std::uint8_t> out) {
    ByteWriter writer(out);
    const FlowTuple inverse = identity.original.inverse();
    const bool translated = identity.reply != inverse;
    CARPD_ASSERT(!identity.mask || (identity.master && !translated));
    writer.u8(static_cast<std::uint8_t>(
        (identity.original.source.family() == Family::ipv6 ? kIpv6 : 0) | (translated ? kTranslated : 0) |
        (identity.zone ? kZone : 0) | (identity.master ? kMaster : 0) |
        (identity.helper_name().empty() ? 0 : kHelper) | (identity.mask ? kExpectation : 0)));
    put_tuple(writer, identity.original);
    if (identity.mask) {
        writer.bytes(identity.mask->source.bytes());
        if (inverse.has_numbers()) writer.u16(identity.mask->first);
    }
    if (translated) put_reply(writer, identity.reply, inverse);
    if (identity.zone) writer.u16(identity.zone);
    if (identity.master) put_tuple(writer, *identity.master);
    if (!identity.helper_name().empty()) put_name(writer, identity.helper);
    return writer.size();
}

bool is_expectation(Bytes identity) {
    return (identity[0] & kExpectation) != 0;
}

std::size_t put_flow_name(Bytes identity, std::span<std::uint8_t> out) {
    const std::uint8_t shape = identity[0];
    const std::size_t address = shape & kIpv6 ? 16 : 4;
    const bool has_numbers = FlowTuple{{}, {}, identity[1], 0, 0}.has_numbers();
    const std::size_t end = 2 + 2 * address + (has_numbers ? 4 : 0);
    ByteWriter writer(out);
    writer.u8(shape & (kIpv6 | kExpectation));
    writer.bytes(identity.subspan(1, end - 1));
    if (shape & kZone) {
        const std::size_t mask = shape & kExpectation ? address + (has_numbers ? 2 : 0) : 0;
        const std::uint8_t differs = shape & kTranslated ? identity[end] : 0;
        const auto addresses = std::popcount(static_cast<unsigned>(differs & (kSource | kDestination)));
        const auto numbers = std::popcount(static_cast<unsigned>(differs & (kFirst | kSecond)));
        const std::size_t reply = (shape & kTranslated ? 1 : 0) + addresses * address + numbers * 2u;
        writer.bytes(identity.subspan(end + mask + reply, 2));
    } else {
        writer.u16(0);
    }
    return writer.size();
}

std::optional<FlowIdentity> decode_identity(Bytes& bytes) {
    Reader reader(bytes);
    const std::uint8_t shape = reader.u8();
    if (shape & ~kAllShapes) return std::nullopt;
    if (shape & kExpectation && (shape & (kMaster | kTranslated)) != kMaster) return std::nullopt;
    const Family family = shape & kIpv6 ? Family::ipv6 : Family::ipv4;
    FlowIdentity identity;
    identity.original = take_tuple(reader, family);
    identity.reply = identity.original.inverse();
    if (shape & kExpectation) {
        identity.mask = {reader.address(family)};
        if (identity.original.has_numbers()) identity.mask->first = reader.u16();
    }
    if (shape & kTranslated) {
        const auto reply = take_reply(reader, identity.reply);
        if (!reply) return std::nullopt;
        identity.reply = *reply;
    }
    if (shape & kZone && (identity.zone = reader.u16()) == 0) return std::nullopt;
    if (shape & kMaster) identity.master = take_tuple(reader, family);
    if (shape & kHelper && (!take_name(reader, identity.helper) || identity.helper_name().empty()))
        return std::nullopt;
    if (reader.failed()) return std::nullopt;
    bytes = reader.rest();
    return identity;
}

// ---- state

namespace {

void put_expectation(ByteWriter& writer, const ExpectationState& expectation) {
    writer.u8(expectation.flags);
    writer.u8(expectation.expect_class);
    if (const auto& translation = expectation.translation) {
        writer.u8(static_cast<std::uint8_t>(
            kHasTranslation | (translation->direction ? kReplyDirection : 0) |
            (translation->address.family() == Family::ipv6 ? kIpv6Translation : 0)));
        writer.bytes(translation->address.bytes());
        writer.u16(translation->number);
    } else {
        writer.u8(0);
    }
    put_name(writer, expectation.function);
}

// False if the encoding is another than ours.
bool take_expectation(Reader& reader, ExpectationState& expectation) {
    expectation.flags = reader.u8();
    expectation.expect_class = reader.u8();
    const std::uint8_t translation = reader.u8();
    if (expectation.flags & ~ExpectationState::kReplicatedFlags || translation & ~kAllTranslations)
        return false;
    if (translation & kHasTranslation) {
        auto& [direction, address, number] = expectation.translation.emplace();
        direction = translation & kReplyDirection ? 1 : 0;
        address = reader.address(translation & kIpv6Translation ? Family::ipv6 : Family::ipv4);
        number = reader.u16();
    } else if (translation != 0) {
        return false;
    }
    return take_name(reader, expectation.function);
}

void put_protocol(ByteWriter& writer, const FlowState& state) {
    if (const auto* tcp = std::get_if<TcpState>(&state.protocol)) {
        writer.u8(tcp->state);
        writer.u8(static_cast<std::uint8_t>(tcp->window_scale[0] << 4 | tcp->window_scale[1]));
        writer.u8(tcp->flags[0]);
        writer.u8(tcp->flags[1]);
    } else if (const auto* sctp = std::get_if<SctpState>(&state.protocol)) {
        writer.u8(sctp->state);
        writer.u32(sctp->tag[0]);
        writer.u32(sctp->tag[1]);
    } else if (const auto* dccp = std::get_if<DccpState>(&state.protocol)) {
        writer.u8(dccp->state);
        writer.u8(dccp->role);
        writer.u64(dccp->handshake_sequence);
    }
}

std::uint8_t protocol_content(const FlowState& state) {
    constexpr std::uint8_t kContents[] = {0, kTcpState, kSctpState, kDccpState};
    return kContents[state.protocol.index()];
}

// False if the window scales are none.
bool take_protocol(Reader& reader, std::uint8_t content, FlowState& state) {
    if (content == kTcpState) {
        TcpState tcp;
        tcp.state = reader.u8();
        const std::uint8_t scales = reader.u8();
        tcp.window_scale[0] = static_cast<std::uint8_t>(scales >> 4);
        tcp.window_scale[1] = scales & 0xf;
        tcp.flags[0] = reader.u8();
        tcp.flags[1] = reader.u8();
        state.protocol = tcp;
        return std::max(tcp.window_scale[0], tcp.window_scale[1]) <= kMaxWindowScale;
    }
    if (content == kSctpState) {
        SctpState sctp;
        sctp.state = reader.u8();
        sctp.tag[0] = reader.u32();
        sctp.tag[1] = reader.u32();
        state.protocol = sctp;
    } else if (content == kDccpState) {
        DccpState dccp;
        dccp.state = reader.u8();
        dccp.role = reader.u8();
        dccp.handshake_sequence = reader.u64();
        state.protocol = dccp;
    }
    return true;
}

}  // namespace

std::size_t encode(const FlowState& state, std::span<std::uint8_t> out) {
    ByteWriter writer(out);
    if (const auto* expectation = std::get_if<ExpectationState>(&state.protocol)) {
        writer.u8(kExpectationState);
        put_varint(writer, state.timeout);
        put_expectation(writer, *expectation);
        return writer.size();
    }
    const bool labels = state.labels != std::array<std::uint8_t, 16>{};
    writer.u8(static_cast<std::uint8_t>((state.mark ? kMark : 0) | (labels ? kLabels : 0) |
                                        (state.sequence ? kSequence : 0) | protocol_content(state)));
    put_varint(writer, state.status);
    put_varint(writer, state.timeout);
    if (state.mark) writer.u32(state.mark);
    if (labels) writer.bytes(state.labels);
    if (state.sequence)
        for (const SequenceAdjustment& s : *state.sequence) {
            writer.u32(s.position);
            writer.u32(s.before);
            writer.u32(s.after);
        }
    put_protocol(writer, state);
    return writer.size();
}

std::optional<FlowState> decode_state(Bytes& bytes) {
    Reader reader(bytes);
    const std::uint8_t content = reader.u8();
    FlowState state;
    if (content == kExpectationState) {
        state.timeout = reader.varint();
        if (!take_expectation(reader, state.protocol.emplace<ExpectationState>()) || reader.failed())
            return std::nullopt;
        bytes = reader.rest();
        return state;
    }
    const std::uint8_t of_protocol = content & kProtocolStates;
    if (content & ~kAllContents || (of_protocol & (of_protocol - 1))) return std::nullopt;
    state.status = reader.varint();
    if (state.status & ~FlowState::kReplicatedStatus) return std::nullopt;
    state.timeout = reader.varint();
    if (content & kMark && (state.mark = reader.u32()) == 0) return std::nullopt;
    if (content & kLabels) {
        const Bytes labels = reader.take(state.labels.size());
        std::copy(labels.begin(), labels.end(), state.labels.begin());
        if (state.labels == std::array<std::uint8_t, 16>{}) return std::nullopt;
    }
    if (content & kSequence)
        for (SequenceAdjustment& s : state.sequence.emplace()) {
            s.position = reader.u32();
            s.before = reader.u32();
            s.after = reader.u32();
        }
    if (!take_protocol(reader, of_protocol, state) || reader.failed()) return std::nullopt;
    bytes = reader.rest();
    return state;
}

// ---- records

std::size_t encode(const RecordHeader& header, std::span<std::uint8_t> out) {
    CARPD_ASSERT(header.slot < kMaxSlots);
    ByteWriter writer(out);
    put_varint(writer, header.slot << 2 | static_cast<std::uint32_t>(header.kind));
    return writer.size();
}

std::optional<RecordHeader> decode_record_header(Bytes& bytes) {
    Reader reader(bytes);
    const std::uint32_t value = reader.varint();
    if (reader.failed() || (value & 3) > static_cast<std::uint32_t>(RecordKind::full)) return std::nullopt;
    bytes = reader.rest();
    return RecordHeader{static_cast<RecordKind>(value & 3), value >> 2};
}

}  // namespace carpd
