// From the hash of an identity to its slot: open addressing in 256 parts, each of which doubles by itself, so
// that at a million flows the longest pause is that of moving four thousand entries. It keeps half of each
// hash, and so needs to look at no flow when it grows or erases.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/assert.h"
#include "wire/flow_record.h"

namespace carpd {

class SlotIndex {
 public:
    // `is_it(slot)` decides among those with the same hash.
    template <class IsIt>
    std::optional<Slot> find(std::uint64_t hash, IsIt is_it) const {
        const Part& part = parts_[hash >> 56];
        if (part.entries.empty()) return std::nullopt;
        const std::size_t mask = part.entries.size() - 1;
        for (std::size_t i = hash & mask; part.entries[i].slot != kNone; i = (i + 1) & mask) {
            const Entry& entry = part.entries[i];
            if (entry.hash == static_cast<std::uint32_t>(hash) && is_it(entry.slot)) return entry.slot;
        }
        return std::nullopt;
    }

    // It isn't there yet.
    void insert(std::uint64_t hash, Slot slot) {
        Part& part = parts_[hash >> 56];
        if (4 * (part.used + 1) > 3 * part.entries.size()) grow(part);
        put(part.entries, {static_cast<std::uint32_t>(hash), slot});
        ++part.used;
    }

    // It is there. What stood behind it moves up, so that nothing marks its place.
    void erase(std::uint64_t hash, Slot slot) {
        Part& part = parts_[hash >> 56];
        CARPD_ASSERT(part.used > 0);
        const std::size_t mask = part.entries.size() - 1;
        std::size_t hole = hash & mask;
        while (part.entries[hole].slot != slot) {
            CARPD_ASSERT(part.entries[hole].slot != kNone);
            hole = (hole + 1) & mask;
        }
        for (std::size_t i = (hole + 1) & mask; part.entries[i].slot != kNone; i = (i + 1) & mask) {
            const std::size_t from_home = (i - part.entries[i].hash) & mask;
            if (from_home < ((i - hole) & mask)) continue;
            part.entries[hole] = part.entries[i];
            hole = i;
        }
        part.entries[hole] = {};
        --part.used;
    }

    std::size_t memory() const {
        std::size_t bytes = sizeof *this;
        for (const Part& part : parts_) bytes += part.entries.capacity() * sizeof(Entry);
        return bytes;
    }

 private:
    static constexpr Slot kNone = ~Slot{0};
    static constexpr std::size_t kFirstSize = 8;
    struct Entry {
        std::uint32_t hash = 0;
        Slot slot = kNone;
    };
    struct Part {
        std::vector<Entry> entries;  // a power of two, or none
        std::size_t used = 0;
    };

    static void put(std::vector<Entry>& entries, const Entry& entry) {
        const std::size_t mask = entries.size() - 1;
        std::size_t i = entry.hash & mask;
        while (entries[i].slot != kNone) i = (i + 1) & mask;
        entries[i] = entry;
    }
    static void grow(Part& part) {
        std::vector<Entry> larger(part.entries.empty() ? kFirstSize : 2 * part.entries.size());
        for (const Entry& entry : part.entries)
            if (entry.slot != kNone) put(larger, entry);
        part.entries.swap(larger);
    }

    std::array<Part, 256> parts_;
};

}  // namespace carpd
