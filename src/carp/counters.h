// What a group counts. Field names are those of the JSON.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/assert.h"
#include "wire/drop_reason.h"

namespace carpd {

using DropCounters = std::array<std::uint64_t, kDropReasonCount>;

// Of these reasons those that are decided when it is known whose packet it is: there are thousands of groups.
class GroupDropCounters {
 public:
    // 0 of a reason that no group can have.
    std::uint64_t operator[](DropReason reason) const {
        const std::size_t place = place_of(reason);
        return place < counts_.size() ? counts_[place] : 0;
    }
    void count(DropReason reason) {
        const std::size_t place = place_of(reason);
        CARPD_ASSERT(place < counts_.size());
        ++counts_[place];
    }
    // Of a reason that no group can have: nothing.
    void set(DropReason reason, std::uint64_t count) {
        if (const std::size_t place = place_of(reason); place < counts_.size()) counts_[place] = count;
    }
    bool operator==(const GroupDropCounters&) const = default;

 private:
    static constexpr std::array kReasons = {
        DropReason::bad_ttl,    DropReason::vrrp2,        DropReason::vrrp3,      DropReason::not_running,
        DropReason::bad_family, DropReason::unknown_peer, DropReason::bad_digest, DropReason::own_advert};
    static std::size_t place_of(DropReason reason) {
        return static_cast<std::size_t>(std::find(kReasons.begin(), kReasons.end(), reason) -
                                        kReasons.begin());
    }

    std::array<std::uint64_t, kReasons.size()> counts_{};
};

struct Counters {
    std::uint64_t advertisements_received_ipv4 = 0, advertisements_received_ipv6 = 0;  // accepted ones
    std::uint64_t alternate_accepted = 0;  // of them those signed as only the alternate allows (rule D5)
    std::uint64_t advertisements_sent_ipv4 = 0, advertisements_sent_ipv6 = 0;
    std::uint64_t bow_outs_received = 0, bow_outs_sent = 0;
    std::uint64_t send_errors = 0;
    // Timers keep these rare enough for 32 bits.
    std::uint32_t transitions_to_init = 0, transitions_to_backup = 0, transitions_to_master = 0;
    std::uint32_t announcements = 0;   // times the addresses were announced
    std::uint32_t commits_missed = 0;  // times they answered before the flows were committed (rule Y1)
    std::uint64_t rivals_heard = 0;    // advertisements heard while MASTER
    std::uint64_t takeovers_held = 0;  // times it would have taken over, and its set forbade it
    GroupDropCounters dropped;
    bool operator==(const Counters&) const = default;
};

}  // namespace carpd
