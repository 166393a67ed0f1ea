#include "carp/pool_peers.h"

#include <algorithm>
#include <iterator>

namespace carpd {

namespace {

constexpr Duration kReportGap = std::chrono::seconds(10);
constexpr Duration kShown = std::chrono::minutes(1);

}  // namespace

std::vector<PoolHost> PoolPeers::memory() const {
    std::vector<PoolHost> known;
    std::copy_if(hosts_.begin(), hosts_.end(), std::back_inserter(known),
                 [](const Host& host) { return host.heard_at != Instant::min(); });
    return known;
}

void PoolPeers::resume(const std::vector<PoolHost>& hosts) {
    std::copy_n(hosts.begin(), std::min(hosts.size(), hosts_.size()), hosts_.begin());
}

void PoolPeers::hear(Instant now, const IpAddress& source, const Standing& standing, std::uint16_t mark,
                     Actions& out) {
    Host& peer = host(now, source);
    const bool was_same = pool(peer) == Pool::same;
    peer.heard_at = now;
    peer.gone_at = now + std::max(kProbeWait, master_down_interval(standing.advbase, standing.advskew));
    if (mark != peer.mark || mark == 0) peer.times = 0;
    peer.mark = mark;
    if (mark != 0) peer.times = std::min<std::uint8_t>(peer.times + 1, kSure);
    if (!was_same && pool(peer) == Pool::same) {
        peer.same_since = now;
        peer.probe_at = Instant::min();
    }
    tell(now, peer, out);
}

void PoolPeers::hear_probe(Instant now, const IpAddress& source, Actions& out) {
    for (Host& peer : hosts_) {
        if (peer.address != source || peer.gone_at <= now) continue;
        peer.probe_at = now;
        tell(now, peer, out);
    }
}

void PoolPeers::hear_stray(Instant now, std::uint8_t vhid, const IpAddress& source, Actions& out) {
    // In its own place, or in that of the one that was heard longest ago.
    auto place =
        std::find_if(strays_.begin(), strays_.end(), [vhid](const Stray& s) { return s.vhid == vhid; });
    if (place == strays_.end())
        place = std::min_element(strays_.begin(), strays_.end(), [](const Stray& a, const Stray& b) {
            return std::pair(a.vhid != 0, a.heard_at) < std::pair(b.vhid != 0, b.heard_at);
        });
    *place = {vhid, source, now};
    if (now < stray_report_due_) return;
    stray_report_due_ = now + kReportGap;
    out.emplace_back(ReportPool{leader_, PoolNews::stray_carpnode, source, vhid});
}

// The one that was heard longest ago gives its place to one that is new.
PoolPeers::Host& PoolPeers::host(Instant now, const IpAddress& source) {
    auto found = std::find_if(hosts_.begin(), hosts_.end(),
                              [&](const Host& h) { return h.address == source && h.gone_at > now; });
    if (found != hosts_.end()) return *found;
    found = std::min_element(hosts_.begin(), hosts_.end(),
                             [](const Host& a, const Host& b) { return a.heard_at < b.heard_at; });
    *found = Host{};
    found->address = source;
    return *found;
}

PoolPeers::Pool PoolPeers::pool(const Host& host) const {
    if (host.times < kSure) return Pool::unknown;
    return host.mark == fingerprint_ ? Pool::same : Pool::other;
}

PoolPeers::Probes PoolPeers::probes(Instant now, const Host& host) const {
    if (!by_ip_ || pool(host) != Pool::same) return Probes::not_expected;
    if (now >= std::max(host.same_since, host.probe_at) + kProbeWait) return Probes::missing;
    return host.probe_at == Instant::min() ? Probes::awaited : Probes::heard;
}

void PoolPeers::tell(Instant now, Host& host, Actions& out) {
    const auto report = [&](PoolNews news) { out.emplace_back(ReportPool{leader_, news, host.address, 0}); };
    const Pool its = pool(host);
    if (!host.is_said_to_differ && its == Pool::other) report(PoolNews::pool_differs);
    if (host.is_said_to_differ && its == Pool::same) report(PoolNews::pool_agrees);
    if (its != Pool::unknown) host.is_said_to_differ = its == Pool::other;
    const Probes come = probes(now, host);
    if (!host.is_said_to_be_kept_back && come == Probes::missing) report(PoolNews::probes_missing);
    if (host.is_said_to_be_kept_back && come == Probes::heard) report(PoolNews::probes_heard);
    if (come == Probes::missing || come == Probes::heard)
        host.is_said_to_be_kept_back = come == Probes::missing;
}

std::vector<PoolPeers::Peer> PoolPeers::peers(Instant now) const {
    std::vector<Peer> all;
    for (const Host& each : hosts_)
        if (each.gone_at > now) all.push_back({each.address, pool(each), probes(now, each), each.heard_at});
    std::sort(all.begin(), all.end(), [](const Peer& a, const Peer& b) { return a.address < b.address; });
    return all;
}

std::vector<PoolPeers::Stray> PoolPeers::strays(Instant now) const {
    std::vector<Stray> all;
    for (const Stray& each : strays_)
        if (each.vhid != 0 && now < each.heard_at + kShown) all.push_back(each);
    std::sort(all.begin(), all.end(), [](const Stray& a, const Stray& b) { return a.vhid < b.vhid; });
    return all;
}

}  // namespace carpd
