#include "carpctl/render_peers.h"

#include <fmt/format.h>

#include "carpctl/parts.h"

namespace carpd {

namespace {

constexpr double kSilence_ms = 16'000;  // rule V6
constexpr double kLate_ms = 10;         // less is how computers are

std::string address_of(const Json& host) {
    return host.at("addresses").empty() ? "-" : printable(host.at("addresses")[0].get<std::string>());
}

std::string name_of(const Json& host) {
    return host.at("name").get<std::string>().empty() ? address_of(host) : text(host, "name");
}

// Of clones that have one name their addresses.
std::string column_of(const Json& group, const Json& us, const Json& host) {
    const Json& hosts = group.at("hosts");
    const auto namesakes = std::count_if(
        hosts.begin(), hosts.end(), [&](const Json& other) { return other.at("name") == host.at("name"); });
    return namesakes > 1 || us.at("name") == host.at("name") ? address_of(host) : name_of(host);
}

bool has_family(const Json& group, bool ipv6) {
    const Json& addresses = group.at("addresses");
    return std::any_of(addresses.begin(), addresses.end(), [&](const Json& address) {
        return (address.get<std::string>().find(':') != std::string::npos) == ipv6;
    });
}

// What one host hears of another, who said so `ago_ms` ago.
std::string hearing(const Json& group, const Json& heard, double ago_ms) {
    double latest = -1;
    std::string missing;
    int families = 0, missed = 0;
    for (const bool ipv6 : {false, true}) {
        if (!has_family(group, ipv6)) continue;
        ++families;
        const Json& age = heard.at(ipv6 ? "ipv6_age_ms" : "ipv4_age_ms");
        const bool is_heard = !age.is_null() && age.get<double>() < kSilence_ms;
        if (is_heard) latest = latest < 0 ? age.get<double>() : std::min(latest, age.get<double>());
        if (!is_heard) missing = ipv6 ? "no IPv6" : "no IPv4";
        missed += !is_heard;
    }
    if (missed == families) return "NO";
    if (missed > 0) return missing;
    const Json& advertised = heard.at("advertisement_age_ms");
    if (!advertised.is_null()) latest = std::min(latest, advertised.get<double>());
    const double late = heard.at("late_ms").get<double>();
    return duration(Json(latest + ago_ms)) +
           (late >= kLate_ms ? fmt::format(", late {}", duration(late)) : "");
}

// Its last beacon lists nobody of that id: whether it can't have heard this host yet, or another.
bool is_too_early(const Json& host) {
    return host.at("hears_us").is_null();
}
bool is_too_early(const Json& host, const Json& other) {
    const auto heard_for = [](const Json& one) {
        return one.value("heard_for_ms", 1e12);
    };  // an older carpd doesn't say
    return heard_for(host) < kSilence_ms ||
           heard_for(other) - host.at("beacon_age_ms").get<double>() < kSilence_ms;
}

std::string hears(const Json& group, const Json& host, const Json& id, bool too_early) {
    for (const Json& heard : host.at("hears"))
        if (heard.at("id") == id) return hearing(group, heard, host.at("beacon_age_ms").get<double>());
    return too_early ? "?" : "NO";
}

bool has_trouble(const Json& host, std::string_view trouble) {
    const Json& troubles = host.at("trouble");
    return std::find(troubles.begin(), troubles.end(), trouble) != troubles.end();
}

bool is_there(const Json& host) {
    return !host.at("left").get<bool>() && !has_trouble(host, "silent");
}

std::string skew_of(const Json& of, const char* demotion) {
    const int demoted = number(of, demotion);
    return fmt::format("{}{}", number(of, "advskew"), demoted ? fmt::format(" (demoted {})", demoted) : "");
}

Row our_row(const Json& group, const Json& us) {
    const Json& source =
        group.at("source_ipv4").is_null() ? group.at("source_ipv6") : group.at("source_ipv4");
    Row row = {text(us, "name") + " (this)",
               upper(text(group, "state")),
               duration(group.at("since_ms")),
               skew_of(group, "demotion"),
               source.is_null() ? "-" : printable(source.get<std::string>()),
               text(group, "fingerprint"),
               "-"};
    for (const Json& host : group.at("hosts")) row.push_back(is_there(host) ? hearing(group, host, 0) : "-");
    return row;
}

Row row_of(const Json& group, const Json& us, const Json& host) {
    const bool left = host.at("left").get<bool>(), there = is_there(host);
    Row row = {column_of(group, us, host),
               left    ? "left"
               : there ? upper(text(host, "state"))
                       : "silent",
               there ? duration(host.at("since_ms")) : duration(host.at("beacon_age_ms")),
               skew_of(host, "demotion"),
               address_of(host),
               text(host, "fingerprint"),
               there ? hears(group, host, us.at("id"), is_too_early(host)) : "-"};
    for (const Json& other : group.at("hosts")) {
        const bool itself = other.at("id") == host.at("id");
        row.push_back(itself || !there || !is_there(other)
                          ? "-"
                          : hears(group, host, other.at("id"), is_too_early(host, other)));
    }
    return row;
}

std::string table(const Json& group, const Json& us, const Paint& paint) {
    Row header = {"HOST", "STATE", "SINCE", "SKEW", "ADDRESS", "CONFIG", "HEARS " + text(us, "name")};
    for (const Json& host : group.at("hosts")) header.push_back("HEARS " + column_of(group, us, host));
    std::vector<Row> rows = {header, our_row(group, us)};
    for (const Json& host : group.at("hosts")) rows.push_back(row_of(group, us, host));
    const auto lines = aligned(rows);
    std::string out = "  " + paint.dim(lines[0]) + "\n";
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const bool is_trouble = i > 1 && !group.at("hosts")[i - 2].at("trouble").empty();
        out += "  " + (is_trouble ? paint.warning(lines[i]) : lines[i]) + "\n";
    }
    return out;
}

std::string render(const Json& group, const Json& us, const Paint& paint) {
    std::string out = fmt::format("{}: vhid {} on {}\n", paint.bold(text(group, "name")),
                                  number(group, "vhid"), text(group, "interface"));
    const Json& hosts = group.at("hosts");
    if (hosts.is_null()) return out + "  no beacons (`beacons = false`), so hosts don't see each other\n";
    if (hosts.empty())
        return out +
               "  no other host that runs carpd has been heard: others don't run it, are down, or what they "
               "send doesn't arrive\n";
    out += table(group, us, paint);
    for (const Json& host : hosts)
        for (const Json& trouble : host.at("trouble"))
            out += "  " + paint.warning("! " + explain_trouble(host, trouble.get<std::string>())) + "\n";
    return out;
}

}  // namespace

std::string explain_trouble(const Json& host, std::string_view trouble) {
    const std::string name = name_of(host);
    if (trouble == "silent")
        return fmt::format(
            "{} isn't heard any more (for {}): it is down, or what it sends doesn't arrive here.", name,
            duration(host.at("beacon_age_ms")));
    if (trouble == "deaf")
        return fmt::format(
            "{} doesn't hear this host, or in one family only: what this one sends doesn't arrive there.",
            name);
    if (trouble == "unadvertised")
        return fmt::format(
            "{} is MASTER, and its beacons come, but not its advertisements: frames from the "
            "virtual MAC are kept back.",
            name);
    if (trouble == "addresses_differ")
        return fmt::format(
            "{} has another list of addresses, so each host refuses the other's advertisements.", name);
    return fmt::format("{}: {}", name, printable(trouble));
}

std::string render_peers(const LongStatus& status, const Paint& paint) {
    std::string out;
    for (std::size_t i = 0; i < status.size(); ++i)
        out += (out.empty() ? "" : "\n") + render(status.group(i), status.rest().at("host"), paint);
    return out.empty() ? "no groups\n" : out;
}

}  // namespace carpd
