// A set of deadlines, one for each of N owners, that answers "which is the earliest?" without a scan: an
// indexed heap. Setting one costs O(log N); nothing is allocated after resize().
#pragma once

#include <algorithm>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/time.h"

namespace carpd {

class Deadlines {
 public:
    // Owners are numbered 0..count-1; new ones start at kNever. It never shrinks.
    void resize(std::size_t count) {
        for (std::size_t owner = place_.size(); owner < count; ++owner) {
            place_.push_back(static_cast<std::uint32_t>(heap_.size()));
            heap_.push_back({kNever, static_cast<std::uint32_t>(owner)});
        }
    }

    void set(std::size_t owner, Instant at) {
        CARPD_ASSERT(owner < place_.size());
        const std::size_t place = place_[owner];
        const Entry entry{at, static_cast<std::uint32_t>(owner)};
        if (entry < heap_[place])
            sift_up(place, entry);
        else if (heap_[place] < entry)
            sift_down(place, entry);
    }

    // The owner with the earliest deadline, the lowest number among equals; kNever if none is set.
    std::pair<std::size_t, Instant> earliest() const {
        if (heap_.empty()) return {0, kNever};
        return {heap_[0].owner, heap_[0].at};
    }

 private:
    // Equal deadlines go in owner order, so that a run can be replayed whatever happened before it.
    struct Entry {
        Instant at;
        std::uint32_t owner;
        auto operator<=>(const Entry&) const = default;
    };
    // So many fill a line of the processor's cache: with thousands of owners its misses are what a heap
    // costs.
    static constexpr std::size_t kChildren = 4;

    void put(std::size_t place, const Entry& entry) {
        heap_[place] = entry;
        place_[entry.owner] = static_cast<std::uint32_t>(place);
    }
    void sift_up(std::size_t hole, const Entry& entry) {
        while (hole > 0) {
            const std::size_t parent = (hole - 1) / kChildren;
            if (heap_[parent] < entry) break;
            put(hole, heap_[parent]);
            hole = parent;
        }
        put(hole, entry);
    }
    void sift_down(std::size_t hole, const Entry& entry) {
        while (true) {
            const std::size_t first = kChildren * hole + 1;
            if (first >= heap_.size()) break;
            const auto begin = heap_.begin() + static_cast<std::ptrdiff_t>(first);
            const auto end = begin + static_cast<std::ptrdiff_t>(std::min(kChildren, heap_.size() - first));
            const auto child = std::min_element(begin, end);
            if (entry < *child) break;
            put(hole, *child);
            hole = static_cast<std::size_t>(child - heap_.begin());
        }
        put(hole, entry);
    }

    std::vector<Entry> heap_;
    std::vector<std::uint32_t> place_;  // by owner
};

}  // namespace carpd
