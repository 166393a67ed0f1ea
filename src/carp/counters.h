// What a group counts. Field names are those of the JSON.
#pragma once

#include <array>
#include <cstdint>

#include "wire/drop_reason.h"

namespace carpd {

using DropCounters = std::array<std::uint64_t, kDropReasonCount>;

struct Counters {
    std::uint64_t advertisements_received_ipv4 = 0, advertisements_received_ipv6 = 0;  // accepted ones
    std::uint64_t alternate_accepted = 0;  // of them those signed as only the alternate allows (rule D5)
    std::uint64_t advertisements_sent_ipv4 = 0, advertisements_sent_ipv6 = 0;
    std::uint64_t bow_outs_received = 0, bow_outs_sent = 0;
    std::uint64_t send_errors = 0;
    std::uint64_t transitions_to_init = 0, transitions_to_backup = 0, transitions_to_master = 0;
    std::uint64_t announcements = 0;   // times the addresses were announced
    std::uint64_t rivals_heard = 0;    // advertisements heard while MASTER
    std::uint64_t takeovers_held = 0;  // times it would have taken over, and its set forbade it
    DropCounters dropped{};
    bool operator==(const Counters&) const = default;
};

}  // namespace carpd
