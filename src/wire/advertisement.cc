#include "wire/advertisement.h"

#include <optional>

#include "wire/checksum.h"

namespace carpd {

namespace {

constexpr std::uint8_t kVersion = 2;
constexpr std::uint8_t kTypeAdvertisement = 1;
constexpr std::uint8_t kAuthlen = 7;  // counter and digest, in 32-bit words
constexpr std::size_t kChecksumOffset = 6;

bool carp_checksum_holds(Bytes payload) {
    return payload.size() >= kAdvertisementSize && checksum(payload.first(kAdvertisementSize)) == 0;
}

// VRRPv2 begins with the same byte as CARP. Its length follows from its address count, which stands where
// CARP has authlen. Seven addresses make that byte 7, and without authentication data even CARP's checksum
// holds over the first 36 bytes; so 44 bytes are CARP's with a tail only if VRRP's checksum, over all of
// them, does not hold.
std::optional<DropReason> vrrp_look_alike(Bytes payload) {
    const unsigned version = payload[0] >> 4;
    if (version == 3) return DropReason::vrrp3;
    const std::size_t address_count = payload[3];
    const bool has_vrrp2_length = payload.size() == 8 + 4 * address_count + 8;
    if (version != 2 || !has_vrrp2_length) return std::nullopt;
    const bool is_carp = address_count == kAuthlen && carp_checksum_holds(payload) && checksum(payload) != 0;
    return is_carp ? std::nullopt : std::optional(DropReason::vrrp2);
}

}  // namespace

AdvertisementBytes encode(const Advertisement& advertisement) {
    AdvertisementBytes bytes{};
    ByteWriter writer(bytes);
    writer.u8(kVersion << 4 | kTypeAdvertisement);
    writer.u8(advertisement.vhid);
    writer.u8(advertisement.advskew);
    writer.u8(kAuthlen);
    writer.u8(advertisement.demote);
    writer.u8(advertisement.advbase);
    writer.u16(0);
    writer.u64(advertisement.counter);
    writer.bytes(advertisement.digest);
    ByteWriter(std::span(bytes).subspan(kChecksumOffset)).u16(checksum(bytes));
    return bytes;
}

Expected<Advertisement, DropReason> decode_advertisement(Bytes payload) {
    if (payload.size() < 4) return Unexpected{DropReason::bad_length};
    if (auto vrrp = vrrp_look_alike(payload)) return Unexpected{*vrrp};
    if (payload[0] >> 4 != kVersion) return Unexpected{DropReason::bad_version};
    if (payload.size() < kAdvertisementSize) return Unexpected{DropReason::bad_length};
    if (!carp_checksum_holds(payload)) return Unexpected{DropReason::bad_checksum};
    if ((payload[0] & 0x0f) != kTypeAdvertisement) return Unexpected{DropReason::bad_type};
    if (payload[3] != kAuthlen) return Unexpected{DropReason::bad_authlen};

    Advertisement advertisement;
    advertisement.vhid = payload[1];
    advertisement.advskew = payload[2];
    advertisement.demote = payload[4];
    advertisement.advbase = payload[5];
    advertisement.counter = read_u64(payload, 8);
    std::copy_n(payload.begin() + 16, advertisement.digest.size(), advertisement.digest.begin());
    return advertisement;
}

}  // namespace carpd
