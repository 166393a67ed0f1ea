// Another program's output, within limits.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace carpd {

struct ProgramOutput {
    std::string text;                      // what it wrote to standard output, at most so many bytes
    bool is_cut = false;                   // there was more
    std::optional<std::string> failure{};  // "ip is not installed", "nft takes longer than 5 s", ...
};

// Runs it (argv[0] is looked for in PATH) without input, and ends it with its children when its time is over
// or its output is too long. What it says on standard error becomes part of a failure.
ProgramOutput run_program(const std::vector<std::string>& argv, std::chrono::milliseconds patience,
                          std::size_t most);
// The same with its output to this descriptor.
std::optional<std::string> run_program_into(int fd, const std::vector<std::string>& argv,
                                            std::chrono::milliseconds patience);

}  // namespace carpd
