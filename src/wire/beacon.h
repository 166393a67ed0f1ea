// What a host that runs carpd tells the others of a group now and then, which CARP itself has no words for: a
// BACKUP is silent there, and nobody says whom he hears (docs/protocol/beacon.md, rules V1 to V5).
//
// It goes the way that advertisements go, as CARP of type 2 and of vhid 0, which nobody else has:
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-------+-------+---------------+---------------+---------------+
//   |ver = 2|type =2|   vhid = 0    | advskew = 255 |  authlen = 7  |
//   +-------+-------+---------------+---------------+---------------+
//   |  demote = 0   | advbase = 255 |           checksum            |
//   +---------------+---------------+-------------------------------+
//   |                         host (64 bits)                        |
//   +---------------------------------------------------------------+
//   |                 HMAC-SHA1 digest (160 bits)                   |
//   +---------------+---------------+---------------+---------------+
//   |  format = 1   |     vhid      |     state     |   hearings    |
//   +---------------+---------------+---------------+---------------+
//   |                           sequence                            |
//   +---------------+---------------+---------------+---------------+
//   |    advbase    |    advskew    |    demote     |  name length  |
//   +---------------+---------------+---------------+---------------+
//   |                     addresses' fingerprint                    |
//   +---------------------------------------------------------------+
//   |                    in its state since, ms                     |
//   +-------------------------------+-------------------------------+
//   |      pool's fingerprint       |            reserved           |
//   +-------------------------------+-------------------------------+
//   |  hearings: host (64 bits), 4 times 16 bits (struct Hearing)   |
//   +---------------------------------------------------------------+
//   |  name of the host                                             |
//   +---------------------------------------------------------------+
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/addresses.h"
#include "base/bytes.h"
#include "base/expected.h"
#include "crypto/hmac_sha1.h"
#include "wire/drop_reason.h"

namespace carpd {

struct Beacon {
    // What the sender hears of another host, in milliseconds. kNothing: never, or longer ago than that.
    struct Hearing {
        static constexpr std::uint16_t kNothing = 0xffff;
        std::uint64_t host = 0;
        std::array<std::uint16_t, 2> age{kNothing, kNothing};  // since anything of it came, by family
        std::uint16_t advertisement_age = kNothing;
        std::uint16_t late = 0;  // the latest that anything came in the last minutes
        bool operator==(const Hearing&) const = default;
    };
    static constexpr std::size_t kMostHearings = 15;
    static constexpr std::size_t kMostName = 63;
    static constexpr std::uint8_t kStates = 3;

    std::uint64_t host = 0;  // drawn when the sender started
    std::uint8_t vhid = 0;
    std::uint8_t state = 0;  // INIT, BACKUP, MASTER
    bool leaves = false;     // its last one
    std::uint32_t sequence = 0;
    std::uint8_t advbase = 0, advskew = 0, demote = 0;
    std::uint32_t addresses = 0;  // fingerprint of the group's list
    std::uint32_t since_ms = 0;
    std::uint16_t pool = 0;  // the pool's fingerprint (rule N10); 0: no pool
    // What is too much is left out.
    std::span<const Hearing> hearings() const { return std::span(hearings_).first(hearing_count_); }
    void add(const Hearing& hearing) {
        if (hearing_count_ < kMostHearings) hearings_[hearing_count_++] = hearing;
    }
    // Of the host, in printable ASCII.
    std::string_view name() const { return std::string_view(name_.data(), name_size_); }
    void set_name(std::string_view name) {
        name_ = {};
        name_size_ = static_cast<std::uint8_t>(name.copy(name_.data(), kMostName));
    }
    bool operator==(const Beacon&) const = default;

 private:
    std::array<Hearing, kMostHearings> hearings_{};
    std::array<char, kMostName> name_{};
    std::uint8_t hearing_count_ = 0, name_size_ = 0;
};

inline constexpr std::size_t kBeaconHeader = 60, kHearingSize = 16;
inline constexpr std::size_t kMostBeacon =
    kBeaconHeader + Beacon::kMostHearings * kHearingSize + Beacon::kMostName;

// Whether this is meant to be one; then nothing of it is an advertisement. `payload` is what follows the IP
// header.
bool is_beacon(Bytes payload);
// bad_length, bad_checksum, bad_version (a format that we don't know) or bad_type (something else in it makes
// no sense). Whether it is authentic is for digest_of_beacon() to say.
Expected<Beacon, DropReason> decode_beacon(Bytes payload);
// Who sends it has hashed the group's key with nothing else. At least kBeaconHeader bytes.
Sha1Digest digest_of_beacon(HmacSha1 keyed, Bytes payload);
Sha1Digest digest_in_beacon(Bytes payload);

// A whole IP packet around a signed beacon.
class BeaconPacket {
 public:
    // Both addresses of one family.
    BeaconPacket(const IpAddress& source, const IpAddress& destination, const Beacon& beacon,
                 const HmacSha1& keyed);
    Bytes bytes() const { return Bytes(storage_).first(size_); }

 private:
    std::array<std::uint8_t, 40 + kMostBeacon> storage_{};
    std::size_t size_ = 0;
};

}  // namespace carpd
