#include "wire/capture_file.h"

#include <algorithm>

namespace carpd {

namespace {

// pcap, in big-endian order.
constexpr std::uint32_t kMicroseconds = 0xa1b2c3d4, kNanoseconds = 0xa1b23c4d;
constexpr std::size_t kFileHeader = 24, kRecordHeader = 16;

// pcapng
constexpr std::uint32_t kSection = 0x0a0d0d0a, kByteOrder = 0x1a2b3c4d;
constexpr std::uint32_t kInterface = 1, kSimplePacket = 3, kEnhancedPacket = 6;
constexpr std::size_t kBlockFrame = 12;  // type and length before the body, length behind it
constexpr std::uint16_t kInterfaceName = 2, kTimeResolution = 9, kTimeOffset = 14, kPacketFlags = 2;
constexpr std::uint32_t kInbound = 1, kOutbound = 2, kDirection = 3;
constexpr std::uint8_t kNanosecondResolution = 9, kPowerOfTwo = 0x80;

constexpr std::uint32_t swapped(std::uint32_t v) {
    return v >> 24 | (v >> 8 & 0xff00) | (v << 8 & 0xff0000) | v << 24;
}

constexpr std::size_t padded(std::size_t size) {
    return (size + 3) / 4 * 4;
}

constexpr std::uint64_t ten_to(unsigned power) {
    std::uint64_t value = 1;
    for (; power > 0; --power) value *= 10;
    return value;
}

constexpr std::int64_t kSecond = 1'000'000'000;

// A time that no clock shows is the nearest of those whose differences are nanoseconds, too: 1823 to 2116.
std::int64_t nanoseconds(std::int64_t seconds, std::int64_t fraction) {
    constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / kSecond / 2;
    return std::clamp(seconds, -kMost, kMost) * kSecond + fraction;
}

// `resolution` as if_tsresol has it.
std::int64_t time_of(std::uint64_t units, std::uint8_t resolution, std::int64_t offset) {
    const unsigned power = resolution & 0x7f;
    std::uint64_t seconds = 0, fraction = 0;
    if (resolution & kPowerOfTwo) {
        constexpr unsigned kExact = 34;  // so many bits times a billion fit in 64
        seconds = power < 64 ? units >> power : 0;
        fraction = power < 64 ? units & ((std::uint64_t{1} << power) - 1) : 0;
        const unsigned dropped = power > kExact ? power - kExact : 0;
        fraction = power < 64 ? (fraction >> dropped) * kSecond >> (power - dropped) : 0;
    } else {
        constexpr unsigned kMost = 19;  // ten to that fits in 64 bits
        const std::uint64_t second = ten_to(std::min(power, kMost));
        seconds = power <= kMost ? units / second : 0;
        fraction = power <= kMost ? units % second : 0;
        fraction = power <= 9 ? fraction * ten_to(9 - power) : fraction / ten_to(std::min(power, kMost) - 9);
    }
    // Both fit: the largest are the sum of two halves of what 64 bits hold.
    constexpr std::uint64_t kHalf = std::numeric_limits<std::int64_t>::max() / 2;
    const auto whole = static_cast<std::int64_t>(std::min(seconds, kHalf));
    const std::int64_t half = static_cast<std::int64_t>(kHalf);
    return nanoseconds(whole + std::clamp(offset, -half, half), static_cast<std::int64_t>(fraction));
}

}  // namespace

CaptureReader::CaptureReader(Bytes file) : rest_(file) {
    if (file.size() < 4) {
        fail(CaptureFault::no_capture);
        return;
    }
    const std::uint32_t magic = static_cast<std::uint32_t>(read_u16(file, 0)) << 16 | read_u16(file, 2);
    is_pcapng_ = magic == kSection;
    if (!is_pcapng_) begin_pcap(magic);
}

std::uint16_t CaptureReader::u16(Bytes bytes, std::size_t offset) const {
    const std::uint16_t big = read_u16(bytes, offset);
    return is_little_ ? static_cast<std::uint16_t>(big << 8 | big >> 8) : big;
}

std::uint32_t CaptureReader::u32(Bytes bytes, std::size_t offset) const {
    const std::uint32_t big =
        static_cast<std::uint32_t>(read_u16(bytes, offset)) << 16 | read_u16(bytes, offset + 2);
    return is_little_ ? swapped(big) : big;
}

std::uint64_t CaptureReader::u64(Bytes bytes, std::size_t offset) const {
    const std::uint64_t first = u32(bytes, offset), second = u32(bytes, offset + 4);
    return is_little_ ? second << 32 | first : first << 32 | second;
}

std::nullopt_t CaptureReader::fail(CaptureFault fault) {
    fault_ = fault;
    rest_ = {};
    return std::nullopt;
}

std::optional<CapturedFrame> CaptureReader::next() {
    if (fault_) return std::nullopt;
    return is_pcapng_ ? next_in_blocks() : next_record();
}

// ---- pcap

void CaptureReader::begin_pcap(std::uint32_t magic) {
    constexpr std::uint16_t kVersion = 2;
    is_little_ = magic == swapped(kMicroseconds) || magic == swapped(kNanoseconds);
    if (is_little_) magic = swapped(magic);
    if (magic != kMicroseconds && magic != kNanoseconds) {
        fail(CaptureFault::no_capture);
    } else if (rest_.size() < kFileHeader) {
        fail(CaptureFault::cut_short);
    } else if (u16(rest_, 4) != kVersion) {
        fail(CaptureFault::bad_version);
    } else {
        // The upper half of the word says how long the frames' checksums are, if they have any.
        interfaces_[0].link = static_cast<LinkType>(u32(rest_, 20) & 0xffff);
        interfaces_[0].resolution = magic == kNanoseconds ? 9 : 6;
        interface_count_ = 1;
        rest_ = rest_.subspan(kFileHeader);
    }
}

std::optional<CapturedFrame> CaptureReader::next_record() {
    if (rest_.empty()) return std::nullopt;
    if (rest_.size() < kRecordHeader) return fail(CaptureFault::cut_short);
    const std::size_t size = u32(rest_, 8);
    if (size > rest_.size() - kRecordHeader) return fail(CaptureFault::cut_short);
    CapturedFrame frame;
    frame.link = interfaces_[0].link;
    const std::uint32_t fraction = u32(rest_, 4);
    frame.time = nanoseconds(u32(rest_, 0), interfaces_[0].resolution == 9 ? std::int64_t{fraction}
                                                                           : std::int64_t{fraction} * 1000);
    frame.length = u32(rest_, 12);
    frame.bytes = rest_.subspan(kRecordHeader, size);
    rest_ = rest_.subspan(kRecordHeader + size);
    return frame;
}

// ---- pcapng

std::optional<CapturedFrame> CaptureReader::next_in_blocks() {
    while (!rest_.empty()) {
        std::uint32_t type = 0;
        const auto body = next_block(type);
        if (!body) return std::nullopt;
        if (type == kInterface)
            if (const auto fault = add_interface(*body)) return fail(*fault);
        if (type == kEnhancedPacket) return enhanced_packet(*body);
        if (type == kSimplePacket) return simple_packet(*body);
    }
    return std::nullopt;
}

// Its body; nothing, and a fault, where there is none.
std::optional<Bytes> CaptureReader::next_block(std::uint32_t& type) {
    if (rest_.size() < kBlockFrame) return fail(CaptureFault::cut_short);
    type = u32(rest_, 0);
    if (type == kSection)
        if (const auto fault = begin_section()) return fail(*fault);
    const std::size_t size = u32(rest_, 4);
    if (size < kBlockFrame || size % 4 != 0) return fail(CaptureFault::bad_block);
    if (size > rest_.size()) return fail(CaptureFault::cut_short);
    if (u32(rest_, size - 4) != size) return fail(CaptureFault::bad_block);
    const Bytes body = rest_.subspan(8, size - kBlockFrame);
    rest_ = rest_.subspan(size);
    return body;
}

// Each section has its own byte order and its own interfaces.
std::optional<CaptureFault> CaptureReader::begin_section() {
    constexpr std::uint16_t kVersion = 1;
    constexpr std::size_t kVersionEnd = 14;
    if (rest_.size() < kVersionEnd) return CaptureFault::cut_short;
    is_little_ = false;
    const std::uint32_t order = u32(rest_, 8);
    if (order != kByteOrder && order != swapped(kByteOrder)) return CaptureFault::bad_block;
    is_little_ = order != kByteOrder;
    if (u16(rest_, 12) != kVersion) return CaptureFault::bad_version;
    interface_count_ = 0;
    return std::nullopt;
}

// Calls visit(code, value) for each. False if they don't end where they should.
bool CaptureReader::each_option(Bytes options, auto visit) const {
    while (!options.empty()) {
        if (options.size() < 4) return false;
        const std::uint16_t code = u16(options, 0), size = u16(options, 2);
        if (code == 0) return true;
        if (padded(size) > options.size() - 4) return false;
        visit(code, options.subspan(4, size));
        options = options.subspan(4 + padded(size));
    }
    return true;
}

std::optional<CaptureFault> CaptureReader::add_interface(Bytes body) {
    if (body.size() < 8) return CaptureFault::bad_block;
    if (interface_count_ == kMaxInterfaces) return CaptureFault::too_many_interfaces;
    Interface& added = interfaces_[interface_count_++] = {};
    added.link = static_cast<LinkType>(u16(body, 0));
    added.snap_length = u32(body, 4);
    const bool is_whole = each_option(body.subspan(8), [&](std::uint16_t code, Bytes value) {
        if (code == kInterfaceName)
            added.name = {reinterpret_cast<const char*>(value.data()), value.size()};
        else if (code == kTimeResolution && value.size() == 1)
            added.resolution = value[0];
        else if (code == kTimeOffset && value.size() == 8)
            added.offset = static_cast<std::int64_t>(u64(value, 0));
    });
    return is_whole ? std::nullopt : std::optional(CaptureFault::bad_block);
}

std::optional<CapturedFrame> CaptureReader::enhanced_packet(Bytes body) {
    constexpr std::size_t kHeader = 20;
    if (body.size() < kHeader) return fail(CaptureFault::bad_block);
    const std::size_t size = u32(body, 12);
    if (size > body.size() - kHeader || padded(size) > body.size() - kHeader)
        return fail(CaptureFault::bad_block);
    if (u32(body, 0) >= interface_count_) return fail(CaptureFault::unknown_interface);
    const Interface& of = interfaces_[u32(body, 0)];
    CapturedFrame frame;
    frame.interface = of.name;
    frame.link = of.link;
    frame.time = time_of(std::uint64_t{u32(body, 4)} << 32 | u32(body, 8), of.resolution, of.offset);
    frame.length = u32(body, 16);
    frame.bytes = body.subspan(kHeader, size);
    const bool is_whole =
        each_option(body.subspan(kHeader + padded(size)), [&](std::uint16_t code, Bytes value) {
            if (code != kPacketFlags || value.size() != 4) return;
            const std::uint32_t direction = u32(value, 0) & kDirection;
            if (direction == kInbound) frame.direction = FrameDirection::in;
            if (direction == kOutbound) frame.direction = FrameDirection::out;
        });
    if (!is_whole) return fail(CaptureFault::bad_block);
    return frame;
}

// It has no time, and is of the first interface.
std::optional<CapturedFrame> CaptureReader::simple_packet(Bytes body) {
    if (body.size() < 4) return fail(CaptureFault::bad_block);
    if (interface_count_ == 0) return fail(CaptureFault::unknown_interface);
    CapturedFrame frame;
    frame.interface = interfaces_[0].name;
    frame.link = interfaces_[0].link;
    frame.length = u32(body, 0);
    const std::size_t most = interfaces_[0].snap_length == 0 ? frame.length : interfaces_[0].snap_length;
    frame.bytes = body.subspan(4, std::min({body.size() - 4, std::size_t{frame.length}, most}));
    return frame;
}

// ---- writing: little-endian, whatever the machine is

void CaptureBlock::u16(std::uint16_t value) {
    storage_[size_++] = static_cast<std::uint8_t>(value);
    storage_[size_++] = static_cast<std::uint8_t>(value >> 8);
}

void CaptureBlock::u32(std::uint32_t value) {
    u16(static_cast<std::uint16_t>(value));
    u16(static_cast<std::uint16_t>(value >> 16));
}

void CaptureBlock::put(Bytes bytes) {
    CARPD_ASSERT(padded(bytes.size()) <= storage_.size() - size_);
    std::copy(bytes.begin(), bytes.end(), storage_.begin() + static_cast<std::ptrdiff_t>(size_));
    const std::size_t end = size_ + padded(bytes.size());
    for (size_ += bytes.size(); size_ < end; ++size_) storage_[size_] = 0;
}

// Its length stands before and behind the body.
CaptureBlock& CaptureBlock::finish() {
    const std::size_t end = size_ + 4;
    size_ = 4;
    u32(static_cast<std::uint32_t>(end));
    size_ = end - 4;
    u32(static_cast<std::uint32_t>(end));
    return *this;
}

CaptureBlock CaptureBlock::section() {
    CaptureBlock block;
    block.u32(kSection);
    block.u32(0);
    block.u32(kByteOrder);
    block.u16(1);  // version 1.0
    block.u16(0);
    block.u32(0xffffffff);  // of a length that isn't known yet
    block.u32(0xffffffff);
    return block.finish();
}

CaptureBlock CaptureBlock::interface(std::string_view name, LinkType link) {
    constexpr std::size_t kLongestName = 15;
    name = name.substr(0, kLongestName);
    CaptureBlock block;
    block.u32(kInterface);
    block.u32(0);
    block.u16(static_cast<std::uint16_t>(link));
    block.u16(0);
    block.u32(kSnapLength);
    if (!name.empty()) {
        block.u16(kInterfaceName);
        block.u16(static_cast<std::uint16_t>(name.size()));
        block.put({reinterpret_cast<const std::uint8_t*>(name.data()), name.size()});
    }
    block.u16(kTimeResolution);
    block.u16(1);
    block.put(std::array{kNanosecondResolution});
    block.u32(0);  // no more options
    return block.finish();
}

CaptureBlock CaptureBlock::packet(std::uint32_t interface, std::int64_t time, FrameDirection direction,
                                  Bytes frame) {
    const Bytes kept = frame.first(std::min(frame.size(), kSnapLength));
    const auto units = static_cast<std::uint64_t>(time);
    CaptureBlock block;
    block.u32(kEnhancedPacket);
    block.u32(0);
    block.u32(interface);
    block.u32(static_cast<std::uint32_t>(units >> 32));
    block.u32(static_cast<std::uint32_t>(units));
    block.u32(static_cast<std::uint32_t>(kept.size()));
    block.u32(static_cast<std::uint32_t>(frame.size()));
    block.put(kept);
    block.u16(kPacketFlags);
    block.u16(4);
    block.u32(direction == FrameDirection::out ? kOutbound : direction == FrameDirection::in ? kInbound : 0);
    block.u32(0);  // no more options
    return block.finish();
}

}  // namespace carpd
