#include "web/changes.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace carpd {

void Changes::add(std::string line) {
    const std::lock_guard lock(mutex_);
    add_locked(std::move(line));
}

void Changes::add_locked(std::string line) {
    lines_.push_back(std::move(line));
    if (lines_.size() > kMost) lines_.pop_front();
}

bool Changes::add_history(const std::string& answer) {
    const Json json = Json::parse(answer, nullptr, false);
    const auto changes = json.is_object() ? json.find("changes") : json.end();
    if (!json.is_object() || changes == json.end() || !changes->is_array()) return false;
    const std::lock_guard lock(mutex_);
    for (const Json& change : *changes) {
        std::string line = dump(change);
        if (std::find(lines_.begin(), lines_.end(), line) == lines_.end()) add_locked(std::move(line));
    }
    return true;
}

std::string Changes::list() const {
    const std::lock_guard lock(mutex_);
    return fmt::format("[{}]", fmt::join(lines_, ","));
}

}  // namespace carpd
