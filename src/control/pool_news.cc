#include "control/pool_news.h"

#include <fmt/format.h>

#include "balance/macs.h"
#include "control/json.h"

namespace carpd {

namespace {

// What keeps frames to a pool's MAC back, and what to do.
std::string_view remedy(Balancing mode) {
    switch (mode) {
        case Balancing::ip:
            return "let it flood frames to that address, or see who asks for them by IGMP (its table of "
                   "multicast groups)";
        case Balancing::ip_stealth:
            return "it may have learned that address at a port: remove the entry, and find out who sends "
                   "from it";
        case Balancing::ip_unicast:
            return "ip-unicast needs a hub, or ports that get a copy of each other's frames";
        case Balancing::arp: break;
    }
    return "";
}

}  // namespace

std::string_view to_identifier(PoolNews news) {
    constexpr std::string_view kNames[] = {"pool_differs", "pool_agrees", "stray_carpnode", "probes_missing",
                                           "probes_heard"};
    return kNames[static_cast<std::size_t>(news)];
}

bool is_trouble(PoolNews news) {
    return news != PoolNews::pool_agrees && news != PoolNews::probes_heard;
}

std::string describe(const GroupConfig& leader, const ReportPool& report) {
    const BalanceConfig& pool = *leader.balance;
    const std::string source = report.source.to_string(), mac = pool_mac(pool).to_string();
    switch (report.news) {
        case PoolNews::pool_differs:
            return fmt::format(
                "{}: {} has another balancing, hash, carpnodes or weights, so some clients are served by two "
                "hosts and some by none; configure the same on all hosts",
                pool.pool, source);
        case PoolNews::pool_agrees: return fmt::format("{}: {} has the same pool now", pool.pool, source);
        case PoolNews::stray_carpnode:
            return fmt::format(
                "{}: {} advertises vhid {} with this pool's password and addresses, and here the pool has no "
                "such carpnode; configure the same carpnodes on all hosts",
                pool.pool, source, report.vhid);
        case PoolNews::probes_missing:
            return fmt::format(
                "{}: frames to the pool's address {} don't come from {}, so a switch keeps them back, and "
                "clients may not reach the host that serves them; {}",
                pool.pool, mac, source, remedy(pool.mode));
        case PoolNews::probes_heard:
            return fmt::format("{}: frames to the pool's address {} come from {} again", pool.pool, mac,
                               source);
    }
    return {};
}

std::string monitor_line(const GroupConfig& leader, const ReportPool& report, std::string_view time) {
    Json json{{"time", time},
              {"event", "pool"},
              {"group", leader.name},
              {"interface", leader.interface},
              {"vhid", leader.vhid.value},
              {"reason", to_identifier(report.news)},
              {"pool", leader.balance->pool},
              {"peer", report.source.to_string()},
              {"peer_vhid", report.vhid != 0 ? Json(report.vhid) : Json(nullptr)},
              {"text", describe(leader, report)}};
    return dump(json);
}

}  // namespace carpd
