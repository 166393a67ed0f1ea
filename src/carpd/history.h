// The last changes of all groups, as monitors were told of them, and when carpd was started and stopped. The
// engine keeps them in a file, a line each, so that the next one knows them. What is written lacks at most
// the last second, and nothing waits for it.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "base/time.h"
#include "linux/state_writer.h"

namespace carpd {

class History {
 public:
    static constexpr std::size_t kMost = 200;

    History() = default;  // nothing, and no file
    // These lines, which are to be kept at `path`.
    History(std::string path, std::deque<std::string> lines)
        : path_(std::move(path)), lines_(std::move(lines)), is_kept_(lines_.empty()) {}
    // What the file at `path` has, or nothing if that makes no sense at `now_ms` (since 1970), which is what
    // `complaint` says then; otherwise that is empty.
    static History open(std::string path, std::uint64_t now_ms, std::string& complaint);

    // JSON in a line. Beyond kMost the oldest goes.
    const std::string& add(std::string line);
    const std::deque<std::string>& lines() const { return lines_; }

    // Whether keep() has something to do.
    bool is_due(Instant now) const;
    // Begins to write what the file lacks, or hears what became of that. The first failure of several in a
    // row is returned, a sentence; it is tried again.
    std::optional<std::string> keep(Instant now);
    // Writes it, and returns when that is done.
    void keep_at_end();

 private:
    std::string text() const;

    std::string path_;
    std::deque<std::string> lines_;
    StateWriter writer_;
    bool is_kept_ = true;  // or being written
    bool has_failed_ = false;
    Instant next_ = Instant::min();
};

}  // namespace carpd
