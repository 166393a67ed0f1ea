// What a group's other hosts tell by beacons (docs/protocol/beacon.md).
#include "carpctl/doctor_parts.h"
#include "carpctl/render_peers.h"

namespace carpd {

namespace {

constexpr std::string_view kSeeAlso = " See \"Advertisements that go one way\" in doctor.md.";

bool has(const Troubles& found, std::string_view code, const std::string& group) {
    return std::any_of(found.begin(), found.end(), [&](const Trouble& trouble) {
        return trouble.code == code && trouble.group == group;
    });
}

}  // namespace

// What the LAN and refused advertisements have shown already isn't said again.
void judge_peers(const Json& group, Troubles& out) {
    const Json& hosts = group.value("hosts", Json());
    if (hosts.is_null()) return;
    const std::string name = group.at("name").get<std::string>();
    for (const Json& host : hosts) {
        for (const Json& one : host.at("trouble")) {
            const auto trouble = one.get<std::string>();
            const std::string text = explain_trouble(host, trouble);
            if (trouble == "silent")
                out.push_back(
                    {"peer-gone", name, text,
                     "If it is to be off, nothing; else start it, or run doctor there: nobody would "
                     "take over from this host, or two would be MASTER."});
            else if (trouble == "deaf")
                out.push_back({"peer-deaf", name, text,
                               "Where it is heard in no family, both become MASTER. Run doctor there." +
                                   std::string(kSeeAlso)});
            else if (trouble == "unadvertised")
                out.push_back(
                    {"peer-unadvertised", name, text,
                     "Let foreign MACs pass at its port, or set `mac = \"interface\"` on all hosts; "
                     "`carpctl doctor --foreign-macs` there shows it."});
            else if (trouble == "addresses_differ" && !has(out, "addresses-differ", name))
                out.push_back({"addresses-differ", name, text,
                               "Give both hosts the same `addresses`; while they differ, both are MASTER."});
        }
    }
}

}  // namespace carpd
