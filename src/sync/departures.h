// What of an outbox is on its way: for each datagram that is neither acknowledged nor lost, when it left and
// which records were in it. Both are rings whose sizes are fixed at the start.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.h"
#include "base/time.h"

namespace carpd {

class Departures {
 public:
    struct Datagram {
        std::uint64_t packet = 0;
        Instant sent{};
        Instant since{};                     // the oldest change in it is no older; kNever: it has none
        std::uint32_t first = 0, count = 0;  // of its records
        bool done = false;                   // acknowledged or lost
    };

    // Room for a record in a datagram that begins now or has begun.
    bool has_room() const {
        return size_ < kDatagrams && noted_ - (size_ ? (*this)[0].first : closed_) < kRecords;
    }
    void note(std::uint32_t record) { records_[noted_++ % kRecords] = record; }
    // Those noted since the last time leave in this datagram. Packet numbers rise.
    void close(std::uint64_t packet, Instant now, Instant since) {
        datagrams_[(first_ + size_++) % kDatagrams] = {packet, now, since, closed_, noted_ - closed_, false};
        closed_ = noted_;
        ++open_;
    }

    // From the oldest one; the oldest is never done.
    std::size_t size() const { return size_; }
    const Datagram& operator[](std::size_t i) const { return datagrams_[(first_ + i) % kDatagrams]; }
    std::uint32_t record(const Datagram& datagram, std::uint32_t i) const {
        return records_[(datagram.first + i) % kRecords];
    }
    void set_done(std::size_t i) {
        Datagram& datagram = datagrams_[(first_ + i) % kDatagrams];
        CARPD_ASSERT(!datagram.done);
        datagram.done = true;
        --open_;
    }
    // To be called when some were set.
    void drop_done() {
        for (; size_ > 0 && (*this)[0].done; --size_) first_ = (first_ + 1) % kDatagrams;
    }

    std::size_t on_their_way() const { return open_; }
    void clear() {
        size_ = open_ = 0;
        closed_ = noted_;
    }
    std::size_t memory() const {
        return datagrams_.capacity() * sizeof(Datagram) + records_.capacity() * sizeof(std::uint32_t);
    }

 private:
    // Twice the largest window: one that is late holds the place of those behind it that are done.
    static constexpr std::size_t kDatagrams = 2048;
    static constexpr std::uint32_t kRecords = 1u << 17;

    std::vector<Datagram> datagrams_ = std::vector<Datagram>(kDatagrams);
    std::vector<std::uint32_t> records_ = std::vector<std::uint32_t>(kRecords);
    std::size_t first_ = 0, size_ = 0, open_ = 0;
    std::uint32_t closed_ = 0, noted_ = 0;  // of all records ever, modulo 2^32
};

}  // namespace carpd
