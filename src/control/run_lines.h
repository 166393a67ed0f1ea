// Lines of the history that are no group's: when carpd ran. They have the keys that all changes have
// (control/status.h), null where those are of a group.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace carpd {

// Before an engine that was started.
struct EngineStart {
    int restarts = 0;        // of the engine, since the supervisor started; 0: carpd itself was
    std::string last_end{};  // of the engine before: "was killed by SIGKILL"
    std::optional<Duration> not_running{};  // how long ago that was
};

std::string started_line(const EngineStart& start, std::string_view time);
std::string stopped_line(std::string_view time);  // in order; who is killed says nothing

}  // namespace carpd
