#include "carpctl/doctor.h"

#include <fmt/format.h>

#include <algorithm>

#include "carpctl/doctor_parts.h"

namespace carpd {

namespace {

constexpr TroubleKind kKinds[] = {
    {"address-static", Severity::fault},    {"address-unanswered", Severity::fault},
    {"addresses-differ", Severity::fault},  {"adverts-refused", Severity::fault},
    {"arp-ignore-off", Severity::fault},    {"cannot-send", Severity::fault},
    {"carp-blocked", Severity::fault},      {"check-fails", Severity::warning},
    {"config-invalid", Severity::fault},    {"config-not-loaded", Severity::warning},
    {"config-warning", Severity::warning},  {"devices-managed", Severity::warning},
    {"duplicate-address", Severity::fault}, {"engine-restarted", Severity::warning},
    {"family-unheard", Severity::fault},    {"foreign-macs-filtered", Severity::fault},
    {"hooks-fail", Severity::warning},      {"interface-missing", Severity::fault},
    {"key-differs", Severity::fault},       {"late-timers", Severity::warning},
    {"link-down", Severity::fault},         {"multicast-not-joined", Severity::warning},
    {"no-gate", Severity::warning},         {"no-own-address", Severity::fault},
    {"no-querier", Severity::fault},        {"peer-deaf", Severity::fault},
    {"peer-gone", Severity::warning},       {"peer-silent", Severity::warning},
    {"peer-unadvertised", Severity::fault}, {"pool-disagrees", Severity::fault},
    {"sync-incomplete", Severity::warning}, {"sync-peer-down", Severity::warning},
    {"two-masters", Severity::fault},       {"unheard-master", Severity::fault},
    {"vrrp-same-id", Severity::fault},
};

std::string_view word(Severity severity) {
    return severity == Severity::fault ? "fault" : "warning";
}

std::string plural(std::size_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

}  // namespace

std::span<const TroubleKind> trouble_kinds() {
    return kKinds;
}

Severity severity_of(const Trouble& finding) {
    const auto* kind =
        std::lower_bound(std::begin(kKinds), std::end(kKinds), finding.code,
                         [](const TroubleKind& k, std::string_view code) { return k.code < code; });
    return kind->severity;
}

Troubles diagnose(const Case& known) {
    Troubles found;
    for (const Json& group : known.now.at("groups")) {
        judge_interface(group, known, found);
        judge_refusals(group, known, found);
        judge_lan(group, known, found);
        judge_querier(group, known, found);
        judge_peers(group, found);
    }
    judge_config(known, found);
    judge_daemon(known, found);
    judge_host(known, found);
    std::stable_sort(found.begin(), found.end(),
                     [](const Trouble& a, const Trouble& b) { return severity_of(a) > severity_of(b); });
    return found;
}

std::string render_findings(const Troubles& findings, const Case& known, const Paint& paint) {
    std::string out;
    std::size_t faults = 0;
    for (const Trouble& finding : findings) {
        const Severity severity = severity_of(finding);
        faults += severity == Severity::fault;
        const std::string heading =
            fmt::format("{} {}{}{}", upper(std::string(word(severity))), finding.code,
                        finding.group.empty() ? "" : ", group ", printable(finding.group));
        out += fmt::format("{}\n  {}\n  {}\n", paint.warning(heading), finding.text, finding.advice);
    }
    for (const std::string& what : known.untested) out += "Not tested: " + what + ".\n";
    const std::size_t groups = known.now.at("groups").size();
    if (findings.empty())
        return out + fmt::format("Nothing wrong was found with {}.\n", plural(groups, "group"));
    return out + fmt::format("{} and {} found with {}; each is explained in doctor.md.\n",
                             plural(faults, "fault"), plural(findings.size() - faults, "warning"),
                             plural(groups, "group"));
}

Json findings_json(const Troubles& findings, const Case& known) {
    Json list = Json::array();
    for (const Trouble& finding : findings)
        list.push_back({{"code", finding.code},
                        {"severity", word(severity_of(finding))},
                        {"group", finding.group.empty() ? Json(nullptr) : Json(finding.group)},
                        {"text", finding.text},
                        {"advice", finding.advice}});
    return {{"schema", 1}, {"findings", list}, {"untested", known.untested}};
}

}  // namespace carpd
