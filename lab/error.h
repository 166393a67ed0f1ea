// The lab's own failures: a command that didn't work, a wait that took too long. They throw, so that whatever
// was built is torn down on the way out, and the text is what a person reads.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace carpd::lab {

class LabError : public std::runtime_error {
 public:
    using std::runtime_error::runtime_error;
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
    throw LabError(fmt::format(format, std::forward<Args>(args)...));
}

// Throws with errno's text if `result` is negative; otherwise returns it.
int check(int result, const char* operation);

}  // namespace carpd::lab
