// Who demotes a group, why, and what ends it.
#include <fmt/format.h>

#include "carp/virtual_host.h"
#include "carpctl/commands.h"
#include "carpctl/explain_parts.h"
#include "control/human.h"

namespace carpd {

namespace {

std::string find_track(const Json& tracks, const std::string& name) {
    for (const Json& track : tracks) {
        if (track.at("name") != name) continue;
        if (!track.at("known").get<bool>()) return "has no result yet, which counts as failed";
        return fmt::format("fails ({}) for {}", text(track, "why"), duration(track.at("since_ms")));
    }
    return "fails";
}

// "while this host lacks flows of its peers (34 % are here)"
std::string sync_demotion(const Facts& facts) {
    const Json& sync = facts.status.at("sync");
    if (sync.is_null()) return "this host lacks flows of its peers";
    const Json& ends = sync.at("demotion_remaining_ms");
    const std::string incomplete = text(sync, "incomplete");
    if (incomplete == "no")
        return "this host has only just got all flows of its peers; ends " +
               (ends.is_null() ? "soon" : "in " + duration(ends));
    const std::string share = share_held(facts.sync_status);
    std::string why = fmt::format("this host lacks flows of its peers ({}{}{})",
                                  explain_incomplete(incomplete), share.empty() ? "" : "; ", share);
    if (!ends.is_null()) return why + fmt::format("; ends in {}, or when it has them", duration(ends));
    return why + "; ends when it has them";
}

// Set by `carpctl demote`.
std::string operators_demotion(const std::string& name, const std::string& group, const std::string& ends) {
    const auto colon = name.find(':');
    const std::string own_name = colon == std::string::npos ? name : name.substr(colon + 1);
    if (own_name == kDrainDemotion)
        return fmt::format("an operator drained this host; ends {}with `carpctl undrain{}`", ends,
                           colon == std::string::npos ? " " + group : "");
    std::string command = "carpctl demote ";
    if (colon != std::string::npos) command += "-g ";
    if (own_name != kOperatorDemotion) command += fmt::format("-n {} ", own_name);
    return fmt::format("an operator did that; ends {}with `{}{} 0`", ends, command,
                       colon == std::string::npos ? group : name.substr(0, colon));
}

// What ends it by itself, or that not even a restart does.
std::string ending(const std::string& name, const Json& group, const Json& status) {
    const auto endings = group.find("demotion_remaining_ms");  // not of a carpd that knew none
    if (endings != group.end() && endings->contains(name))
        return fmt::format("in {}, or ", duration(endings->at(name)));
    const auto kept = status.find("kept_demotions");
    if (kept == status.end()) return "";
    for (const Json& one : *kept) {
        const bool is_own = one.at("interface_group").is_null();
        const std::string full =
            is_own ? one.at("name").get<std::string>()
                   : one.at("interface_group").get<std::string>() + ":" + one.at("name").get<std::string>();
        if (full == name && (!is_own || one.at("group") == group.at("name")))
            return "not when carpd starts again, but ";
    }
    return "";
}

std::string why_demoted(const std::string& name, const Json& group, const Facts& facts) {
    if (name == kSendErrorDemotion)
        return "three advertisements in a row could not be sent; ends when three in a row can";
    if (name == kAddressesDemotion)
        return "the kernel refused the group's addresses (carpd's log says why); ends when it takes them";
    if (name == kHoldDownDemotion) {
        const Json& ends = group.at("hold_down_remaining_ms");
        return "carpd has just started (hold-down); ends " +
               (ends.is_null() ? "soon" : "in " + duration(ends));
    }
    if (name == kSyncDemotion) return sync_demotion(facts);
    if (name.starts_with(kTrackDemotion))
        return fmt::format("{}; ends when it passes",
                           track_trouble(name.substr(kTrackDemotion.size()), facts.status));
    if (name.starts_with(kTogetherDemotion)) {
        const std::string other = printable(name.substr(kTogetherDemotion.size()));
        return fmt::format("{} is in its set and can't serve, or not as well; see `carpctl explain {}`",
                           other, other);
    }
    return operators_demotion(printable(name), text(group, "name"), ending(name, group, facts.status));
}

}  // namespace

std::string track_trouble(const std::string& name, const Json& status) {
    return fmt::format("the check {} {}", printable(name), find_track(status.at("tracks"), name));
}

void explain_demotions(const Json& group, const Facts& facts, Reasons& out) {
    const Json& all = group.at("demotion_reasons");
    for (const auto& [name, json] : all.items()) {
        const int amount = integer<int>(json);
        const std::string effect = amount < 0 ? fmt::format("Its demotion is lowered by {}", -amount)
                                              : fmt::format("It is demoted by {}", amount);
        out.push_back({"demotion", fmt::format("{} ({}): {}.", effect, printable(name),
                                               why_demoted(name, group, facts))});
    }
    if (all.size() > 1)
        out.push_back({"demotion_sum", fmt::format("Its demotion is {} in all.", number(group, "demotion"))});
}

}  // namespace carpd
