// A set of deadlines, one for each of N owners, that answers "which is the earliest?" without a scan: an
// indexed binary heap. Setting one costs O(log N); nothing is allocated after resize().
#pragma once

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
        for (std::size_t owner = at_.size(); owner < count; ++owner) {
            at_.push_back(kNever);
            place_.push_back(static_cast<std::uint32_t>(heap_.size()));
            heap_.push_back(static_cast<std::uint32_t>(owner));
        }
    }

    void set(std::size_t owner, Instant at) {
        CARPD_ASSERT(owner < at_.size());
        at_[owner] = at;
        std::size_t place = sift_up(place_[owner]);
        sift_down(place);
    }

    // The owner with the earliest deadline, the lowest number among equals; kNever if none is set.
    std::pair<std::size_t, Instant> earliest() const {
        if (heap_.empty()) return {0, kNever};
        return {heap_[0], at_[heap_[0]]};
    }

 private:
    bool before(std::size_t a, std::size_t b) const {
        // Equal deadlines go in owner order, so that a run can be replayed whatever happened before it.
        return std::pair(at_[heap_[a]], heap_[a]) < std::pair(at_[heap_[b]], heap_[b]);
    }
    void swap(std::size_t a, std::size_t b) {
        std::swap(heap_[a], heap_[b]);
        place_[heap_[a]] = static_cast<std::uint32_t>(a);
        place_[heap_[b]] = static_cast<std::uint32_t>(b);
    }
    std::size_t sift_up(std::size_t i) {
        for (; i > 0 && before(i, (i - 1) / 2); i = (i - 1) / 2) swap(i, (i - 1) / 2);
        return i;
    }
    void sift_down(std::size_t i) {
        for (std::size_t child = 2 * i + 1; child < heap_.size(); child = 2 * i + 1) {
            if (child + 1 < heap_.size() && before(child + 1, child)) ++child;
            if (!before(child, i)) return;
            swap(i, child);
            i = child;
        }
    }

    std::vector<Instant> at_;
    std::vector<std::uint32_t> heap_, place_;
};

}  // namespace carpd
