// The fewest faults that still break a statement (delta debugging, Zeller and Hildebrandt 2002).
#pragma once

#include <functional>
#include <vector>

namespace carpd::sim {

// `breaks` says whether a world with only these faults breaks the statement; it does with `faults`. It does
// with what is returned, too, and no longer if any one of it is left out.
std::vector<int> shrink(std::vector<int> faults, const std::function<bool(const std::vector<int>&)>& breaks);

}  // namespace carpd::sim
