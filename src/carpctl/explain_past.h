// Why this host was, or was not, MASTER at a moment that has passed: of the changes that carpd remembers, and
// of the state that it is in. Pure, as carpctl/explain.h is, and throws what that throws.
#pragma once

#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "carpctl/explain.h"

namespace carpd {

// carpd's answers to `status` and to `history`.
struct Past {
    const nlohmann::ordered_json& status;
    const nlohmann::ordered_json& history;
    std::time_t now;
};

// Of one element of the status's groups: its state in the second `at`, the cause, what else happened in the
// minute around it, and what ended it.
Reasons explain_past(const nlohmann::ordered_json& group, const Past& past, std::time_t at);
std::string render_past(const Past& past, std::time_t at, const Paint& paint);
// {"schema":1,"at":...,"groups":[{"name":...,"state":...,"reasons":[...]}]}; the state is null where nothing
// is known.
nlohmann::ordered_json past_json(const Past& past, std::time_t at);

}  // namespace carpd
