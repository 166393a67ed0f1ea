#include "sim/shrink.h"

#include <algorithm>

namespace carpd::sim {

namespace {

std::vector<int> without(const std::vector<int>& faults, std::size_t first, std::size_t count) {
    std::vector<int> rest;
    for (std::size_t i = 0; i < faults.size(); ++i)
        if (i < first || i >= first + count) rest.push_back(faults[i]);
    return rest;
}

// Leaves out every part of `size` faults that isn't needed; whether there was any.
bool leave_out(std::vector<int>& faults, std::size_t size,
               const std::function<bool(const std::vector<int>&)>& breaks) {
    bool smaller = false;
    for (std::size_t first = 0; first < faults.size();) {
        std::vector<int> fewer = without(faults, first, size);
        if (breaks(fewer)) {
            faults = std::move(fewer);
            smaller = true;
        } else {
            first += size;
        }
    }
    return smaller;
}

}  // namespace

std::vector<int> shrink(std::vector<int> faults, const std::function<bool(const std::vector<int>&)>& breaks) {
    for (std::size_t size = std::max<std::size_t>(1, faults.size() / 2);; size = (size + 1) / 2) {
        while (leave_out(faults, size, breaks)) {
        }
        if (size == 1) return faults;
    }
}

}  // namespace carpd::sim
