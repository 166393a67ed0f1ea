// "did you mean ...?"
#pragma once

#include <span>
#include <string_view>

namespace carpd {

// The one of `known` (small letters) that `text` most likely was meant to be, empty if it resembles none: few
// letters wrong, missing, too many, swapped or capital, or an abbreviation.
std::string_view nearest(std::string_view text, std::span<const std::string_view> known);

}  // namespace carpd
