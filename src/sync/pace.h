// How fast datagrams leave for a peer (N3, N6, N7 of docs/protocol/sync.md): the round trip as
// acknowledgements show it, after what time one that wasn't acknowledged is lost, and how many may be on
// their way.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace carpd {

class Pace {
 public:
    static constexpr Duration kGap = std::chrono::milliseconds(1);  // between datagrams that aren't full
    static constexpr std::uint32_t kLeastWindow = 8, kFirstWindow = 64, kMostWindow = 1024;

    Duration round_trip() const { return round_trip_; }
    std::uint32_t window() const { return window_; }

    // What isn't acknowledged after so long is lost. Doubled whenever that happens until an acknowledgement
    // says how long a round trip is: otherwise none would ever be in time where it has become longer.
    Duration patience() const { return (2 * round_trip_ + kSpare) * (1 << doubled_); }

    // A datagram was acknowledged.
    void on_acknowledged() { window_ = std::min(window_ + 1, kMostWindow); }
    // The latest of them had left so long ago. Longer ones are believed sooner than shorter ones.
    void on_round_trip(Duration sample) {
        sample = std::clamp(sample, Duration::zero(), kMostRoundTrip);
        round_trip_ += (sample - round_trip_) / (sample > round_trip_ ? 2 : 8);
        doubled_ = 0;
    }
    // Halves the window, once a round trip.
    void on_loss(Instant now) {
        if (now < halve_again_) return;
        window_ = std::max(window_ / 2, kLeastWindow);
        halve_again_ = now + round_trip_;
    }
    void on_impatience() { doubled_ = std::min(doubled_ + 1, kMostDoubled); }

 private:
    // 5 ms of it a receiver may wait before it acknowledges (N8).
    static constexpr Duration kSpare = std::chrono::milliseconds(7);
    static constexpr Duration kMostRoundTrip = std::chrono::seconds(1);
    static constexpr int kMostDoubled = 5;

    Duration round_trip_ = std::chrono::milliseconds(5);
    int doubled_ = 0;
    std::uint32_t window_ = kFirstWindow;
    Instant halve_again_ = Instant::min();
};

}  // namespace carpd
