// What `carpctl top` shows: a frame of every status, with rates since the one before. Pure: where it is shown
// and when is top_command.cc's part. Throws nlohmann::json::exception where the JSON isn't a status.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "carpctl/parts.h"

namespace carpd {

// A terminal's size in characters; 0: as much as it takes.
struct ScreenSize {
    std::size_t rows = 0, columns = 0;
};

class Top {
 public:
    explicit Top(Paint paint) : paint_(paint) {}

    // Lines with newlines, no more than `size` has: groups in trouble first, and how many are left out.
    // `at` is when the status was taken, by any clock that doesn't go back.
    std::string frame(const Json& status, std::chrono::nanoseconds at, ScreenSize size);

 private:
    struct Counts {
        std::uint64_t received = 0, sent = 0, refused = 0;
        std::map<std::string, std::uint64_t> refusals{};
    };
    // Each second; the reason of most refused packets, or of none.
    struct Rates {
        double received = 0, sent = 0, refused = 0;
        std::string worst{};
    };
    struct Line {
        const Json* group;
        std::optional<Rates> rates;
        int trouble;  // the greatest is 0
    };

    static Counts counts_of(const Json& group);
    std::optional<Rates> rates_of(const std::string& name, const Counts& now, double seconds) const;
    std::vector<Line> lines_of(const Json& groups, double seconds);
    std::string heading(const Json& status, const std::vector<Line>& lines) const;
    std::string table(const std::vector<Line>& lines, std::size_t shown, std::size_t columns) const;

    Paint paint_;
    std::map<std::string, Counts> before_;  // by group
    std::chrono::nanoseconds before_at_{0};
    std::int64_t pid_ = 0;  // of the engine that counts
};

}  // namespace carpd
