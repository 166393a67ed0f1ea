#include "sim/shrink.h"

#include <algorithm>

namespace carpd::sim {

namespace {

bool breaks(const Plan& plan, const std::vector<int>& faults, const std::string& checker) {
    const Witness nobody;
    const Outcome outcome = World(plan, &faults, nobody).run();
    return outcome.violation && outcome.violation->checker == checker;
}

std::vector<int> without(const std::vector<int>& faults, std::size_t first, std::size_t count) {
    std::vector<int> rest;
    for (std::size_t i = 0; i < faults.size(); ++i)
        if (i < first || i >= first + count) rest.push_back(faults[i]);
    return rest;
}

}  // namespace

std::vector<int> shrink(const Plan& plan, std::vector<int> faults, const std::string& checker) {
    for (std::size_t size = std::max<std::size_t>(1, faults.size() / 2); !faults.empty();) {
        bool smaller = false;
        for (std::size_t first = 0; first < faults.size();) {
            const std::vector<int> fewer = without(faults, first, size);
            if (breaks(plan, fewer, checker)) {
                faults = fewer;
                smaller = true;
            } else {
                first += size;
            }
        }
        if (!smaller && size == 1) break;
        if (!smaller) size = (size + 1) / 2;
        size = std::min(size, std::max<std::size_t>(1, faults.size()));
    }
    return faults;
}

}  // namespace carpd::sim
