// Why this host is, or is not, MASTER: carpd's JSON as sentences for an administrator. What keeps a host from
// being MASTER is decided in the core (`obstacle`, carp/election.h); here it is only said, with its numbers.
// Pure, as carpctl/render.h is, and throws what that throws.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "carpctl/render.h"

namespace carpd {

// One sentence, or a few that belong together.
struct Reason {
    std::string code;  // for programs (docs/man/carpctl.8)
    std::string text;
    bool is_detail = false;  // left out where many groups are explained
};
using Reasons = std::vector<Reason>;

// What is known: carpd's answer to `status`, and that of `carpd: sync`, or null without one.
struct Facts {
    const nlohmann::ordered_json& status;
    const nlohmann::ordered_json& sync_status;
};

// Of one element of the status's groups.
Reasons explain_group(const nlohmann::ordered_json& group, const Facts& facts);
// Of one element of the status's pools: where its hosts don't agree, or a share is on its way.
Reasons explain_hosts(const nlohmann::ordered_json& pool);
// State synchronisation, and what it does to mastership; nothing where it isn't configured.
Reasons explain_sync(const Facts& facts);
// What concerns no single group and needs attention.
Reasons explain_host(const Facts& facts);

// A paragraph for each group, each with all reasons or without details, and one for state synchronisation.
std::string render_explanation(const Facts& facts, bool with_details, const Paint& paint);
// The status with `reasons` in each group, in `sync` and beside them, and the sync status in `sync.status`.
nlohmann::ordered_json explanation(const Facts& facts);

}  // namespace carpd
