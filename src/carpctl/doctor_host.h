// What this host shows of itself: files below /proc, /sys and /run, its addresses, and the packet filter's
// rules. Reads only.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "carpctl/doctor.h"

namespace carpd {

// `interfaces`: those of the groups. What can't be looked at is added to `untested`.
HostView look_at_host(const std::set<std::string>& interfaces, std::vector<std::string>& untested);
// The file as carpd would read it.
KnownConfig look_at_config(const std::string& file);
// Of what `iptables-legacy-save` prints, or the same of ip6tables; `program` is the one that changes it.
std::vector<BlockingRule> legacy_blocking_rules(const std::string& program, const std::string& tables);
// Of the answer of `nft -j list ruleset`; empty of anything else.
std::vector<BlockingRule> blocking_rules(const std::string& ruleset);
// Of the vendor and the product that the firmware names; empty: none that is known.
std::string platform_of(const std::string& vendor, const std::string& product);

}  // namespace carpd
