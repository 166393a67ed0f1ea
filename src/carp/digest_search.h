// Which key and which list of addresses a refused digest was made with: what to tell an administrator whose
// hosts don't accept each other. CARP itself says only that something differs.
//
// Who calls it: `carpctl decode` and `carpctl doctor`; nothing in the daemon. Pure, and bounded by a number
// of tries, each of which costs a digest or two.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/addresses.h"
#include "carp/types.h"
#include "wire/advertisement.h"

namespace carpd {

// Whose key a digest was made with, from our side.
enum class KeyFound : std::uint8_t {
    own,
    accepted,   // the group's accept_key, with a list that isn't accepted together with it
    none,       // no password: twenty zero bytes
    cut_short,  // ours without its last character, as NetBSD's ifconfig passes it on
    of_group,   // that of another group
};

struct DigestFinding {
    KeyFound key = KeyFound::own;
    std::string group;                      // for KeyFound::of_group: its name
    std::vector<InterfaceAddress> signed_;  // the list that the sender has, in no order
    // Against the group's own list, ascending: what the sender doesn't have, and what only it has.
    std::vector<IpAddress> missing, extra;

    bool same_list() const { return missing.empty() && extra.empty(); }
    bool operator==(const DigestFinding&) const = default;
};

// What is tried for `group`, likely things first: with its key, the same in disguise and those of the host's
// other `groups` the group's list, one family of it, and nothing; but for the last the other groups' lists,
// too; with its own keys the list without one or a few addresses, with one more and with one replaced. New
// addresses are those of `groups` and `seen` (what the caller knows besides, as the sender's own), then those
// that differ from one of ours in their last 8 bits, then 16. Nothing: none of that, or more than `tries` of
// it.
std::optional<DigestFinding> search_digest(const Advertisement& advertisement, const GroupConfig& group,
                                           std::span<const GroupConfig> groups,
                                           std::span<const IpAddress> seen, std::size_t tries);

// All that for a group of two addresses; some tenths of a second.
inline constexpr std::size_t kDigestTries = 500'000;

// Of an advertisement whose vhid nobody here has: the group whose key and addresses it was made with, so that
// most likely one of both hosts has a wrong vhid. Null: none of `groups`.
const GroupConfig* signed_as(const Advertisement& advertisement, std::span<const GroupConfig> groups);

// What differs, as words that follow "bad digest: ": "the sender's list of addresses lacks 192.0.2.101".
std::string in_words(const std::optional<DigestFinding>& finding, const GroupConfig& group);

}  // namespace carpd
