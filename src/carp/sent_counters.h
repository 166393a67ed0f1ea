// The counters of our own advertisements: a random start, then a fixed step for each packet (rule C1), so
// that what we ever sent is one arithmetic progression and a looped or replayed packet of ours is recognised
// for as long as we run (rule C2), in constant memory.
#pragma once

#include <cstdint>

namespace carpd {

class SentCounters {
 public:
    // FreeBSD, NetBSD and ucarp go on from the counter they last heard, one by one. A large step keeps the
    // counters they make from ours out of our progression.
    static constexpr std::uint64_t kStep = std::uint64_t{1} << 32;

    explicit SentCounters(std::uint64_t first) : progress_{.first = first} {}

    // What another process needs in order to go on from here.
    struct Progress {
        std::uint64_t first = 0, sent = 0, last_heard = 0;
        bool operator==(const Progress&) const = default;
    };
    explicit SentCounters(const Progress& progress) : progress_(progress) {}
    const Progress& progress() const { return progress_; }

    // The counter for the next packet: never 0, and never the one last heard from a peer, whom OpenBSD would
    // take for itself (rules C3, C4). Skipped values count as sent.
    std::uint64_t take() {
        do {
            ++progress_.sent;
        } while (last() == 0 || last() == progress_.last_heard);
        return last();
    }
    bool is_ours(std::uint64_t counter) const {
        const std::uint64_t distance = counter - progress_.first;
        return distance % kStep == 0 && distance / kStep < progress_.sent;
    }
    void heard(std::uint64_t counter) { progress_.last_heard = counter; }
    // The one sent last, for the tie-break of equal sources (rule E10); 0 before the first.
    std::uint64_t last() const {
        return progress_.sent == 0 ? 0 : progress_.first + (progress_.sent - 1) * kStep;
    }

 private:
    Progress progress_;
};

}  // namespace carpd
