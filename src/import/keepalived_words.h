// What of keepalived's words carpd needs no like of, and what it has no like of, and why.
#pragma once

#include <optional>
#include <string_view>

namespace carpd {

// Of a vrrp_instance: what carpd does without being told.
bool is_needless_in_instance(std::string_view word);
// Why the word is left out; nothing of words that nobody thought of.
std::optional<std::string_view> why_no_match(std::string_view word);

}  // namespace carpd
