#include "control/peer_news.h"

#include <fmt/format.h>

#include "control/json.h"

namespace carpd {

std::string_view to_identifier(PeerNews news) {
    constexpr std::string_view kNames[] = {"peer_heard",      "peer_left",      "peer_silent",
                                           "peer_deaf",       "peer_hears_us",  "peer_unadvertised",
                                           "peer_advertises", "peer_differs",   "peer_agrees",
                                           "peer_ipv4_only",  "peer_ipv6_only", "peer_both_families"};
    return kNames[static_cast<std::size_t>(news)];
}

bool is_trouble(PeerNews news) {
    switch (news) {
        case PeerNews::silent:
        case PeerNews::deaf:
        case PeerNews::advertisements_missing:
        case PeerNews::addresses_differ:
        case PeerNews::ipv4_only:
        case PeerNews::ipv6_only: return true;
        case PeerNews::heard:
        case PeerNews::left:
        case PeerNews::hears_us:
        case PeerNews::advertisements_heard:
        case PeerNews::addresses_agree:
        case PeerNews::both_families: return false;
    }
    return true;
}

std::string describe(const GroupConfig& group, const ReportPeer& report) {
    const std::string who = fmt::format(
        "{}: {} ({})", group.name, report.host.empty() ? "a host" : report.host, report.source.to_string());
    switch (report.news) {
        case PeerNews::heard: return who + " is heard";
        case PeerNews::left: return who + " has left the group";
        case PeerNews::silent:
            return who + " isn't heard any more: it is down, or what it sends doesn't arrive here";
        case PeerNews::deaf:
            return who +
                   " doesn't hear us, or in one family only; if in none, it becomes MASTER beside us: see "
                   "whether protocol 112 passes in that direction";
        case PeerNews::hears_us: return who + " hears us now";
        case PeerNews::advertisements_missing:
            return fmt::format(
                "{} is MASTER and is heard, but not its advertisements: something between keeps frames from "
                "the group's MAC back; see `carpctl doctor`",
                who);
        case PeerNews::advertisements_heard: return who + " is MASTER, and its advertisements come now";
        case PeerNews::addresses_differ:
            return who +
                   " has another list of addresses, so neither accepts the other's advertisements; configure "
                   "the same addresses on all hosts";
        case PeerNews::addresses_agree: return who + " has the same addresses now";
        case PeerNews::ipv4_only:
        case PeerNews::ipv6_only: {
            const bool is_ipv6 = report.news == PeerNews::ipv6_only;
            return fmt::format(
                "{}: the master {} is heard in {} only: something between keeps its {} advertisements back; "
                "see `carpctl doctor`",
                group.name, report.source.to_string(), is_ipv6 ? "IPv6" : "IPv4", is_ipv6 ? "IPv4" : "IPv6");
        }
        case PeerNews::both_families:
            return fmt::format("{}: the master {} is heard in both families again", group.name,
                               report.source.to_string());
    }
    return {};
}

std::string monitor_line(const GroupConfig& group, const ReportPeer& report, std::string_view time) {
    Json json{{"time", time},
              {"event", "peer"},
              {"group", group.name},
              {"interface", group.interface},
              {"vhid", group.vhid.value},
              {"reason", to_identifier(report.news)},
              {"host", report.host},
              {"peer", report.source.to_string()},
              {"text", describe(group, report)}};
    return dump(json);
}

}  // namespace carpd
