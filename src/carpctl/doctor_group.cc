// What a group's own part of the status tells: its interface, and what it refuses.
#include <fmt/format.h>

#include <algorithm>

#include "carp/digest_search.h"
#include "carpctl/doctor_parts.h"
#include "control/refusal.h"

namespace carpd {

namespace {

// What happened longer ago may have been mended since.
constexpr double kRecent_ms = 60'000;
// Searching takes some tenths of a second.
constexpr std::size_t kMostSearched = 8;

const GroupConfig* configured(const Json& group, const Case& known) {
    if (!known.config.has()) return nullptr;
    for (const GroupConfig& config : known.config.content.config.groups)
        if (config.interface == group.at("interface") && config.vhid.value == group.at("vhid"))
            return &config;
    return nullptr;
}

std::optional<Advertisement> advertisement_of(const Json& refused) {
    if (!refused.contains("advertisement") || refused.at("advertisement").is_null()) return std::nullopt;
    const auto hex = refused.at("advertisement").get<std::string>();
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    const auto decoded = decode_advertisement(bytes);
    if (!decoded) return std::nullopt;
    return *decoded;
}

void judge_digest(const Json& group, const Json& refused, const Case& known, Troubles& out) {
    const std::string from = text(refused, "source");
    const std::string name = group.at("name").get<std::string>();
    const GroupConfig* config = configured(group, known);
    const auto advertisement = advertisement_of(refused);
    const auto searched = std::count_if(out.begin(), out.end(), [](const Trouble& f) {
        return f.code == "key-differs" || f.code == "addresses-differ";
    });
    if (!config || !advertisement || std::cmp_greater_equal(searched, kMostSearched)) {
        out.push_back(
            {"key-differs", name,
             fmt::format("Advertisements of {} have a digest that is wrong here: its password or its "
                         "list of addresses is another.",
                         from),
             "Compare both hosts' carpd.toml; with `--config FILE`, doctor tells which of the two it is."});
        return;
    }
    const IpAddress seen = IpAddress::parse(refused.at("source").get<std::string>()).value_or(IpAddress{});
    const auto& groups = known.config.content.config.groups;
    const auto found = search_digest(*advertisement, *config, groups, std::span(&seen, 1), kDigestTries);
    const std::string text = fmt::format("Advertisements of {} have a digest that is wrong here: {}.", from,
                                         in_words(found, *config));
    if (found && found->key == KeyFound::own && found->same_list())
        out.push_back({"config-not-loaded", name, text, "Load the file: `carpctl reload`."});
    else if (found && found->key == KeyFound::own)
        out.push_back({"addresses-differ", name, text,
                       "Give both hosts the same `addresses`; while they differ, both are MASTER."});
    else
        out.push_back(
            {"key-differs", name, text,
             fmt::format("Give both hosts the same password and `addresses`; while they differ, both are "
                         "MASTER. If {} isn't one of yours, somebody else uses vhid {}: take another.",
                         from, number(group, "vhid"))});
}

std::string advice_on(const std::string& reason, const std::string& from, const Json& group) {
    if (reason == "unknown_peer")
        return fmt::format("If {} is one of the hosts, name it among `peers`.", from);
    if (reason == "own_advert")
        return "Frames come back to their sender: look for a loop in the network, or for a clone of this "
               "host.";
    if (reason == "bad_ttl")
        return "Something between the hosts routes advertisements; put both on one LAN, or use `peers` and "
               "`peer-routed`.";
    if (reason == "bad_family")
        return fmt::format("Give the group addresses of the same families on all hosts ({} here).",
                           group.at("addresses").size());
    return "`carpctl capture` and `carpctl decode` show the packets.";
}

}  // namespace

const Json& group_before(const Json& group, const Case& known) {
    static const Json kNone;
    // They stand in one order, unless a reload came between; thousands needn't be compared with thousands.
    const Json& before = known.before.at("groups");
    const auto place = static_cast<std::size_t>(&group - &known.now.at("groups").front());
    if (place < before.size() && before.at(place).at("name") == group.at("name")) return before.at(place);
    const auto found = std::find_if(before.begin(), before.end(),
                                    [&](const Json& other) { return other.at("name") == group.at("name"); });
    return found != before.end() ? *found : kNone;
}

void judge_refusals(const Json& group, const Case& known, Troubles& out) {
    const Json& refused = group.at("last_refused");
    if (refused.is_null() || refused.at("age_ms").get<double>() > kRecent_ms) return;
    const std::string reason = text(refused, "reason"), from = text(refused, "source");
    const std::string name = group.at("name").get<std::string>();
    if (reason == "not_running") return;  // INIT hears nobody, and that is a finding of its own
    if (reason == "bad_digest") return judge_digest(group, refused, known, out);
    if (reason == "vrrp2" || reason == "vrrp3")
        return out.push_back(
            {"vrrp-same-id", name,
             fmt::format("{} speaks VRRP with the id {}, and so has this group's virtual MAC, too.", from,
                         number(group, "vhid")),
             "Give the group another vhid on all its hosts, or that router another id; switches send frames "
             "for "
             "this MAC now to the one, now to the other."});
    out.push_back(
        {"adverts-refused", name,
         fmt::format("Advertisements of {} are refused as {}: {}.", from, reason, explain_refusal(reason)),
         advice_on(reason, from, group)});
}

void judge_interface(const Json& group, const Case& known, Troubles& out) {
    const std::string name = group.at("name").get<std::string>(), interface = text(group, "interface");
    const auto add = [&](std::string_view code, std::string text, std::string advice) {
        out.push_back({code, name, std::move(text), std::move(advice)});
    };
    if (!group.at("interface_present").get<bool>())
        return add("interface-missing", fmt::format("This host has no interface {}.", interface),
                   "Create it, or name another in carpd.toml; the group goes on by itself.");
    if (!group.at("interface_up").get<bool>())
        return add("link-down", fmt::format("{} is down.", interface),
                   fmt::format("`ip link set {} up`.", interface));
    if (!group.at("interface_running").get<bool>())
        return add("link-down", fmt::format("{} has no carrier.", interface),
                   "Look at the cable, the switch's port, and what is at its other end.");
    for (const Family family : kFamilies) {
        const bool is_ipv6 = family == Family::ipv6;
        if (has_family(group, family) && group.at(is_ipv6 ? "source_ipv6" : "source_ipv4").is_null())
            add("no-own-address",
                fmt::format(
                    "{} has no {} of its own, so the other hosts see no advertisements of this one for "
                    "those of the group.",
                    interface, is_ipv6 ? "link-local IPv6 address" : "IPv4 address"),
                is_ipv6 ? fmt::format("`sysctl net.ipv6.conf.{}.disable_ipv6=0`, and leave addr_gen_mode on.",
                                      interface)
                        : fmt::format("Give {} an address beside the shared one.", interface));
    }
    const Json& before = group_before(group, known);
    const std::uint64_t errors = count(group.at("counters"), "send_errors");
    const std::uint64_t errors_before =
        before.is_null() ? errors : count(before.at("counters"), "send_errors");
    if (errors > errors_before)
        add("cannot-send",
            fmt::format("The kernel didn't take {} advertisements just now.", errors - errors_before),
            "carpd's log says why; look for packet filters at the interface's egress and for its queue.");
    if (text(group, "dataplane") == "macvlan" && text(group, "mac") == "virtual" &&
        !(known.config.has() && known.config.content.config.dataplane == DataPlaneChoice::macvlan))
        add("no-gate",
            "The kernel runs no BPF program for this group, so its addresses stand on a macvlan device: if "
            "carpd hangs, its supervisor has to take them away.",
            "carpd's log says what is missing: CAP_BPF and CAP_NET_ADMIN, Linux 5.10 with BPF and "
            "sch_clsact, or "
            "write dataplane = \"macvlan\" if you want it so.");
}

}  // namespace carpd
