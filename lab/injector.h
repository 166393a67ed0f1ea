// Bytes that no well-behaved program would send: advertisements that are almost right, and frames made by
// hand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "carp/types.h"
#include "lab/lab.h"
#include "wire/advertisement.h"

namespace carpd::lab {

// An advertisement as an impostor makes it; with the right key and addresses it is authentic.
struct Forgery {
    std::uint8_t vhid = 1;
    std::vector<std::string> addresses{};  // with or without a prefix length
    std::string password{};
    std::uint8_t advbase = 1, advskew = 0, demote = 0;
    std::uint64_t counter = 0x1122334455667788;
    std::string source = "192.0.2.77";
    std::string destination{};  // empty: the multicast group of source's family

    AdvertisementBytes advertisement() const;
    // The whole IP packet.
    std::vector<std::uint8_t> packet() const { return packet(advertisement()); }
    // The same envelope around another payload.
    std::vector<std::uint8_t> packet(Bytes payload) const;
};

// Makes the checksum of a changed advertisement, or IPv4 header, right again.
void fix_advertisement_checksum(std::span<std::uint8_t> advertisement);
void fix_ip_checksum(std::span<std::uint8_t> packet);

// Sends from a host's eth0 whatever it is given.
class Injector {
 public:
    explicit Injector(Host& host);
    void frame(Bytes bytes);
    // An IP packet, to its multicast group's Ethernet address or else to everybody; from the host's own MAC.
    void packet(Bytes bytes);

 private:
    UniqueFd socket_;
    MacAddress mac_;
};

}  // namespace carpd::lab
