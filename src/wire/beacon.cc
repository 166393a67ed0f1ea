#include "wire/beacon.h"

#include "wire/checksum.h"
#include "wire/ip_packet.h"

namespace carpd {

namespace {

constexpr std::uint8_t kVersionAndType = 0x22, kNobody = 255, kAuthlen = 7, kFormat = 1;
constexpr std::uint8_t kLeaves = 0x80;
constexpr std::size_t kChecksumOffset = 6, kHostOffset = 8, kDigestOffset = 16, kBodyOffset = 36;

std::uint32_t read_u32(Bytes bytes, std::size_t offset) {
    return static_cast<std::uint32_t>(read_u16(bytes, offset)) << 16 | read_u16(bytes, offset + 2);
}

bool is_printable(Bytes name) {
    return std::all_of(name.begin(), name.end(), [](std::uint8_t c) { return c > 0x20 && c < 0x7f; });
}

void write(ByteWriter& writer, const Beacon::Hearing& hearing) {
    writer.u64(hearing.host);
    for (const std::uint16_t age : hearing.age) writer.u16(age);
    writer.u16(hearing.advertisement_age);
    writer.u16(hearing.late);
}

Beacon::Hearing read_hearing(Bytes bytes) {
    return {read_u64(bytes, 0),
            {read_u16(bytes, 8), read_u16(bytes, 10)},
            read_u16(bytes, 12),
            read_u16(bytes, 14)};
}

// Checksum and digest are zero.
std::size_t write(std::span<std::uint8_t> out, const Beacon& beacon) {
    const std::string_view name = beacon.name();
    ByteWriter writer(out);
    for (const std::uint8_t byte :
         {kVersionAndType, std::uint8_t{0}, kNobody, kAuthlen, std::uint8_t{0}, kNobody})
        writer.u8(byte);
    writer.u16(0);
    writer.u64(beacon.host);
    writer.bytes(Sha1Digest{});
    writer.u8(kFormat);
    writer.u8(beacon.vhid);
    writer.u8(beacon.leaves ? beacon.state | kLeaves : beacon.state);
    writer.u8(static_cast<std::uint8_t>(beacon.hearings().size()));
    writer.u32(beacon.sequence);
    writer.u8(beacon.advbase);
    writer.u8(beacon.advskew);
    writer.u8(beacon.demote);
    writer.u8(static_cast<std::uint8_t>(name.size()));
    writer.u32(beacon.addresses);
    writer.u32(beacon.since_ms);
    writer.u16(beacon.pool);
    writer.u16(0);
    for (const Beacon::Hearing& hearing : beacon.hearings()) write(writer, hearing);
    for (const char c : name) writer.u8(static_cast<std::uint8_t>(c));
    return writer.size();
}

}  // namespace

bool is_beacon(Bytes payload) {
    return payload.size() >= 2 && payload[0] == kVersionAndType && payload[1] == 0;
}

Expected<Beacon, DropReason> decode_beacon(Bytes payload) {
    if (payload.size() < kBeaconHeader) return Unexpected{DropReason::bad_length};
    if (checksum(payload) != 0) return Unexpected{DropReason::bad_checksum};
    if (payload[36] != kFormat) return Unexpected{DropReason::bad_version};
    Beacon beacon;
    const std::size_t hearings = payload[39], name_size = payload[47];
    const std::size_t name_offset = kBeaconHeader + hearings * kHearingSize;
    if (payload.size() < name_offset + name_size) return Unexpected{DropReason::bad_length};
    const Bytes name = payload.subspan(name_offset, name_size);
    beacon.state = payload[38] & static_cast<std::uint8_t>(~kLeaves);
    if (beacon.state >= Beacon::kStates || hearings > Beacon::kMostHearings ||
        name_size > Beacon::kMostName || !is_printable(name))
        return Unexpected{DropReason::bad_type};
    beacon.host = read_u64(payload, kHostOffset);
    beacon.vhid = payload[37];
    beacon.leaves = (payload[38] & kLeaves) != 0;
    beacon.sequence = read_u32(payload, 40);
    beacon.advbase = payload[44];
    beacon.advskew = payload[45];
    beacon.demote = payload[46];
    beacon.addresses = read_u32(payload, 48);
    beacon.since_ms = read_u32(payload, 52);
    beacon.pool = read_u16(payload, 56);
    for (std::size_t i = 0; i < hearings; ++i)
        beacon.add(read_hearing(payload.subspan(kBeaconHeader + i * kHearingSize, kHearingSize)));
    beacon.set_name({reinterpret_cast<const char*>(name.data()), name.size()});
    return beacon;
}

Sha1Digest digest_of_beacon(HmacSha1 keyed, Bytes payload) {
    keyed.update(payload.first(kChecksumOffset));
    keyed.update(payload.subspan(kHostOffset, kDigestOffset - kHostOffset));
    keyed.update(payload.subspan(kBodyOffset));
    return keyed.finish();
}

Sha1Digest digest_in_beacon(Bytes payload) {
    Sha1Digest digest;
    std::copy_n(payload.begin() + kDigestOffset, digest.size(), digest.begin());
    return digest;
}

BeaconPacket::BeaconPacket(const IpAddress& source, const IpAddress& destination, const Beacon& beacon,
                           const HmacSha1& keyed) {
    std::array<std::uint8_t, kMostBeacon> space{};
    const std::span payload = std::span(space).first(write(space, beacon));
    const Sha1Digest digest = digest_of_beacon(keyed, payload);
    std::copy(digest.begin(), digest.end(), payload.begin() + kDigestOffset);
    ByteWriter(payload.subspan(kChecksumOffset)).u16(checksum(payload));
    ByteWriter writer(storage_);
    write_ip_header(writer, source, destination, payload.size(), 0);
    writer.bytes(payload);
    size_ = writer.size();
}

}  // namespace carpd
