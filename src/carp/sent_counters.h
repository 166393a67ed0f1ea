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

    explicit SentCounters(std::uint64_t first) : first_(first) {}

    // The counter for the next packet: never 0, and never the one last heard from a peer, whom OpenBSD would
    // take for itself (rules C3, C4). Skipped values count as sent.
    std::uint64_t take() {
        do {
            ++sent_;
        } while (last() == 0 || last() == last_heard_);
        return last();
    }
    bool is_ours(std::uint64_t counter) const {
        const std::uint64_t distance = counter - first_;
        return distance % kStep == 0 && distance / kStep < sent_;
    }
    void heard(std::uint64_t counter) { last_heard_ = counter; }
    // The one sent last, for the tie-break of equal sources (rule E10); 0 before the first.
    std::uint64_t last() const { return sent_ == 0 ? 0 : first_ + (sent_ - 1) * kStep; }

 private:
    std::uint64_t first_;
    std::uint64_t sent_ = 0;
    std::uint64_t last_heard_ = 0;
};

}  // namespace carpd
