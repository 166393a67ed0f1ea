// A packet in the simulated network: its bytes, and beside them what is true of it, which no host is told.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <vector>

#include "carp/election.h"
#include "sim/moment.h"

namespace carpd::sim {

using PacketId = std::uint32_t;

inline constexpr int kStranger = 255;  // the origin of what no host sent

struct Packet {
    std::array<std::uint8_t, 80> bytes;
    std::uint8_t size = 0;
    std::uint8_t origin = kStranger;  // who signed it, and in which life of the group there
    std::uint16_t life = 0;
    std::uint16_t group = 0;
    std::uint32_t secret = 0;  // password and address list that it was signed with
    bool genuine = false;      // nothing that the digest or a checksum covers was changed
    bool altered = false;      // election fields are not what the origin wrote
    bool unicast = false;
    bool flood_probe = false;  // to a pool's address, for nobody's election
    Family family = Family::ipv4;
    Standing standing;
    std::uint32_t references = 0;

    Bytes view() const { return Bytes(bytes).first(size); }
    std::size_t header() const { return family == Family::ipv4 ? 20 : 40; }
    // From the bytes, which are a whole advertisement.
    void read_standing() {
        standing = {AdvBase{bytes[header() + 5]}, AdvSkew{bytes[header() + 2]}, bytes[header() + 4]};
    }
    bool is_bow_out() const { return standing.advbase.seconds == 255 && standing.advskew.value == 255; }
};

// Packets in flight and waiting, each kept once however many hosts it goes to. Places are used again.
class PacketPool {
 public:
    PacketId add() {
        if (free_.empty()) {
            packets_.emplace_back();
            return static_cast<PacketId>(packets_.size() - 1);
        }
        const PacketId id = free_.back();
        free_.pop_back();
        packets_[id] = Packet{};
        return id;
    }
    Packet& operator[](PacketId id) { return packets_[id]; }
    const Packet& operator[](PacketId id) const { return packets_[id]; }
    void hold(PacketId id) { ++packets_[id].references; }
    void release(PacketId id) {
        CARPD_ASSERT(packets_[id].references > 0);
        if (--packets_[id].references == 0) free_.push_back(id);
    }
    std::size_t in_use() const { return packets_.size() - free_.size(); }

 private:
    std::deque<Packet> packets_;  // which stay where they are
    std::vector<PacketId> free_;
};

}  // namespace carpd::sim
