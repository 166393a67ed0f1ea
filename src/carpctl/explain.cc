#include "carpctl/explain.h"

#include <fmt/format.h>

#include "carpctl/explain_parts.h"
#include "control/refusal.h"

namespace carpd {

namespace {

Json to_json(const Reasons& reasons) {
    Json json = Json::array();
    for (const Reason& reason : reasons) json.push_back({{"code", reason.code}, {"text", reason.text}});
    return json;
}

// The first sentence stands behind the name, the others below it.
std::string paragraph(const std::string& heading, const Reasons& reasons, bool with_details) {
    std::string out;
    for (const Reason& reason : reasons)
        if (with_details || !reason.is_detail)
            out += (out.empty() ? heading + ": " : "  ") + reason.text + "\n";
    return out;
}

}  // namespace

Reasons explain_host(const Facts& facts) {
    Reasons reasons;
    if (const int restarts = number(facts.status, "restarts"); restarts > 0)
        reasons.push_back(
            {"restarts",
             fmt::format("Its engine died or hung, and was started again, {} time{}; the log says why.",
                         restarts, restarts == 1 ? "" : "s")});
    for (const auto& [reason, count] : facts.status.at("dropped").items())
        if (!is_zero(count))
            reasons.push_back(
                {"refused_" + reason,
                 fmt::format("{} packets of no group were refused as {}: {}.", integer<std::uint64_t>(count),
                             printable(reason), explain_refusal(reason)),
                 true});
    return reasons;
}

std::string render_explanation(const Facts& facts, bool with_details, const Paint& paint) {
    std::string out;
    const auto add = [&](const std::string& name, const Reasons& reasons) {
        const std::string text = paragraph(paint.bold(name), reasons, with_details);
        if (!out.empty() && !text.empty()) out += "\n";
        out += text;
    };
    for (const Json& group : facts.status.at("groups")) add(text(group, "name"), explain_group(group, facts));
    for (const Json& pool : pools_of(facts.status)) add(text(pool, "name"), explain_hosts(pool));
    add("sync", explain_sync(facts));
    add("carpd", explain_host(facts));
    return out;
}

Json explanation(const Facts& facts) {
    Json json = facts.status;
    for (Json& group : json.at("groups")) group["reasons"] = to_json(explain_group(group, facts));
    if (json.contains("pools"))
        for (Json& pool : json.at("pools")) pool["reasons"] = to_json(explain_hosts(pool));
    if (Json& sync = json.at("sync"); !sync.is_null()) {
        sync["reasons"] = to_json(explain_sync(facts));
        sync["status"] = facts.sync_status;
    }
    json["reasons"] = to_json(explain_host(facts));
    return json;
}

}  // namespace carpd
