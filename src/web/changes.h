// The last changes that the engine told: what `carpctl monitor` shows, kept also over an engine's end. Used
// by the thread that hears them and by those that serve them.
#pragma once

#include <cstddef>
#include <deque>
#include <mutex>
#include <string>

#include "control/json.h"

namespace carpd {

class Changes {
 public:
    static constexpr std::size_t kMost = 2000;

    // `line` is a monitor's. Beyond kMost the oldest goes.
    void add(std::string line);
    // The engine's answer to a history request: those that weren't heard go to the end, for who asks has
    // just connected. Whether it was one.
    bool add_history(const std::string& answer);

    // A JSON list, the oldest first.
    std::string list() const;

 private:
    void add_locked(std::string line);

    mutable std::mutex mutex_;
    std::deque<std::string> lines_;
};

}  // namespace carpd
