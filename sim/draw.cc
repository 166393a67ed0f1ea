// How a world is drawn from its seed. Most are small, as clusters are; some are large.
#include <fmt/format.h>

#include <algorithm>

#include "sim/dice.h"
#include "sim/plan.h"

namespace carpd::sim {

namespace {

enum Purpose : std::uint64_t { kHosts = 1, kGroups, kFaults, kTimes, kSets, kFlows, kPools };

IpAddress address(const std::string& text) {
    return *IpAddress::parse(text);
}

Kind draw_kind(Dice& dice) {
    constexpr Kind kForeign[] = {Kind::openbsd, Kind::freebsd, Kind::netbsd, Kind::ucarp};
    return kForeign[dice.below(4)];
}

void draw_hosts(Plan& plan, bool fast) {
    Dice dice(stream(plan.seed, kHosts));
    const int count =
        dice.one_in(4) ? static_cast<int>(dice.between(3, kMaxHosts)) : static_cast<int>(dice.between(2, 3));
    const bool mixed = dice.one_in(4);
    const bool addressless = dice.one_in(8);
    // Who has the lowest address is not who comes first.
    const auto turn = dice.below(static_cast<std::uint64_t>(count));
    const std::int64_t drift = dice.one_in(4) ? 10'000 : 200;
    for (int h = 0; h < count; ++h) {
        HostPlan host;
        host.name = fmt::format("h{}", h + 1);
        if (mixed && h > 0 && dice.one_in(2)) host.kind = fast ? Kind::openbsd : draw_kind(dice);
        host.has_own_addresses = !addressless || host.kind != Kind::carpd;
        const std::uint64_t place =
            (static_cast<std::uint64_t>(h) + turn) % static_cast<std::uint64_t>(count);
        host.own4 = address(fmt::format("10.0.0.{}", 11 + place));
        host.own6 = address(fmt::format("fe80::{:x}", 0x20 - place));  // ordered the other way round
        host.global6 = address(fmt::format("2001:db8::{:x}", 0x11 + place));
        host.clock_offset = dice.between(0, 1'000) * kSecond;
        host.clock_ppm = dice.between(-drift, drift);
        host.receive_buffer =
            static_cast<std::uint32_t>(dice.one_in(4) ? dice.between(4, 64) : dice.between(256, 2048));
        plan.hosts.push_back(host);
    }
    plan.min_delay = dice.between(20, 100) * kMicrosecond;
    const std::int64_t slowest = fast ? 300 : dice.one_in(4) ? 5'000 : 1'000;
    plan.max_delay = plan.min_delay + dice.between(1, slowest) * kMicrosecond;
}

void draw_addresses(GroupPlan& g, Dice& dice, bool only_one_ipv4) {
    const std::uint64_t families = only_one_ipv4 ? 0 : dice.below(4);  // 0, 1: IPv4; 2: IPv6; 3: both
    const int n = g.vhid.value;
    const bool two = !only_one_ipv4 && dice.one_in(4);
    if (families != 2 && two) g.addresses.push_back({address(fmt::format("10.0.2.{}", n)), 16});
    if (families != 2) g.addresses.push_back({address(fmt::format("10.0.1.{}", n)), 16});
    if (families >= 2) g.addresses.push_back({address(fmt::format("2001:db8::1:{:x}", n)), 64});
    if (families >= 2 && two) g.addresses.push_back({address(fmt::format("2001:db8::2:{:x}", n)), 64});
}

// Stand-ins don't share an advskew with anybody: how ties end among them is not carpd's business, except with
// one BSD, which yields.
void draw_skews(const Plan& plan, GroupPlan& g, Dice& dice, std::uint8_t least) {
    const bool ties = dice.one_in(4);
    const std::uint64_t preempting = dice.below(3);  // nobody, everybody, some
    for (std::size_t h = 0; h < plan.hosts.size(); ++h) {
        Settings& s = g.settings[h];
        const int range = g.advbase.seconds == 0 ? 60 : 239;
        s.advskew = static_cast<std::uint8_t>(least + dice.below(static_cast<std::uint64_t>(range)));
        if (dice.one_in(2) && g.advbase.seconds > 0) s.advskew = static_cast<std::uint8_t>(100 * (h % 3));
        if (ties) s.advskew = static_cast<std::uint8_t>(least + 10);
        s.preempt = preempting == 1 || (preempting == 2 && dice.one_in(2));
        if (plan.has_foreign(g.members))
            s.advskew = static_cast<std::uint8_t>(least + 25 * h + dice.below(20));
    }
}

void draw_groups(Plan& plan, bool fast) {
    Dice dice(stream(plan.seed, kGroups));
    const int many = dice.one_in(4) ? 10 : 4;
    const int count = static_cast<int>(dice.one_in(40) ? dice.between(10, 50) : dice.between(1, many));
    const std::uint8_t slow = static_cast<std::uint8_t>(dice.one_in(12) ? dice.between(2, 10) : 1);
    for (int i = 0; i < count; ++i) {
        GroupPlan g;
        g.name = fmt::format("g{}", i + 1);
        g.vhid.value = static_cast<std::uint8_t>(i + 1);
        g.advbase.seconds = fast && i == 0 ? 0 : slow;
        // ucarp shares only groups with one IPv4 address.
        const bool simple = dice.one_in(2);
        for (std::size_t h = 0; h < plan.hosts.size(); ++h) {
            const Kind kind = plan.hosts[h].kind;
            if (kind == Kind::ucarp && !simple) continue;
            if (kind != Kind::carpd && kind != Kind::openbsd && g.advbase.seconds == 0) continue;
            if (h >= 2 && dice.one_in(8)) continue;
            g.members |= static_cast<HostSet>(1u << h);
        }
        if (g.members == 1) g.members |= 2;
        if (plan.hosts[1].kind != Kind::carpd && g.advbase.seconds == 0) g.members |= 2;
        const bool foreign = plan.has_foreign(g.members);
        draw_addresses(g, dice, simple || (g.members & 2 && plan.hosts[1].kind == Kind::ucarp));
        const bool own = std::all_of(plan.hosts.begin(), plan.hosts.end(),
                                     [](const HostPlan& h) { return h.has_own_addresses; });
        g.unicast = own && !foreign && dice.one_in(3);
        const std::uint8_t least =
            g.advbase.seconds > 0
                ? 0
                : static_cast<std::uint8_t>(dice.one_in(4) ? dice.between(0, 8) : dice.between(12, 60));
        draw_skews(plan, g, dice, least);
        plan.groups.push_back(g);
    }
}

// In every third world the groups that have the same members as the first are in a set: on all hosts, mostly.
// Where hosts without it contradict those with it about who is better, it need not come to rest (rule G6).
void draw_sets(Plan& plan) {
    Dice dice(stream(plan.seed, kSets));
    const GroupPlan first = plan.groups.front();
    HostSet in_set = first.members;
    const bool partly = dice.one_in(4);
    if (partly) in_set = static_cast<HostSet>(in_set & dice.between(1, 255));
    if (!dice.one_in(3) || plan.has_foreign(first.members)) return;
    for (GroupPlan& g : plan.groups) {
        if (g.members != first.members || g.advbase != first.advbase) continue;
        g.set = 1;
        g.in_set = in_set;
        if (partly) g.settings = first.settings;
    }
    // The set's groups on two networks: a lan and a wan. A host without the set that lost one of the two
    // would keep the other without a word, which those with the set could only take for deafness (rule G3).
    if (partly || dice.one_in(2)) return;
    plan.interfaces = 2;
    for (std::size_t i = 1; i < plan.groups.size(); i += 2)
        if (plan.groups[i].set != 0) plan.groups[i].interface = 1;
}

// In every third world without stand-ins there is a pool, besides: mostly every host has a carpnode at home
// and preempts, as users have it.
void draw_pool(Plan& plan) {
    Dice dice(stream(plan.seed, kPools));
    const HostSet all = static_cast<HostSet>((1u << plan.hosts.size()) - 1);
    if (!dice.one_in(3) || plan.has_foreign(all)) return;
    const bool usual = !dice.one_in(4);
    PoolPlan pool;
    pool.balance.pool = "pool";
    pool.balance.mode = static_cast<Balancing>(dice.below(4));
    pool.balance.hash = dice.one_in(3) ? BalanceHash::bsd : BalanceHash::weighted;
    GroupPlan g = plan.groups.back();
    g.set = g.in_set = 0;
    g.unicast = false;
    g.members = all;
    g.pool = 1;
    g.interface = 0;
    g.advbase.seconds = std::max<std::uint8_t>(1, g.advbase.seconds);
    const auto count = static_cast<std::size_t>(dice.between(2, 6));
    for (std::size_t i = 0; i < count; ++i) {
        g.vhid.value = static_cast<std::uint8_t>(plan.groups.size() + 1);
        g.name = fmt::format("g{}", g.vhid.value);
        if (i == 0) {
            g.addresses.clear();
            draw_addresses(g, dice, false);
        }
        if (!usual) draw_skews(plan, g, dice, 0);
        for (std::size_t h = 0; usual && h < plan.hosts.size(); ++h)
            g.settings[h] = {.advskew = static_cast<std::uint8_t>(
                                 h == i % plan.hosts.size() ? 0 : 20 + 20 * ((h + i) % plan.hosts.size())),
                             .preempt = true};
        const auto weight = static_cast<std::uint8_t>(dice.one_in(2) ? 1 : dice.between(1, 100));
        pool.balance.carpnodes.push_back({g.vhid.value, 0, weight});
        pool.groups.push_back(static_cast<int>(plan.groups.size()));
        plan.groups.push_back(g);
    }
    plan.pools.push_back(pool);
    plan.pools.back().key = plan.config(0, pool.groups.front(), Settings{}).key;
}

// Of what a fault may be. The common ones of a real cluster come more often.
FaultKind draw_fault_kind(Dice& dice) {
    constexpr FaultKind kOften[] = {FaultKind::crash,     FaultKind::kill,         FaultKind::pause,
                                    FaultKind::partition, FaultKind::loss,         FaultKind::link_loss,
                                    FaultKind::stop,      FaultKind::late_wake_ups};
    if (dice.one_in(3)) return kOften[dice.below(std::size(kOften))];
    return static_cast<FaultKind>(dice.below(static_cast<std::uint64_t>(FaultKind::lacks_flows)));
}

void draw_details(const Plan& plan, Fault& f, Dice& dice, bool fast) {
    const auto hosts = static_cast<std::uint64_t>(plan.hosts.size());
    f.host = static_cast<int>(dice.below(hosts));
    f.peer = static_cast<int>((static_cast<std::uint64_t>(f.host) + 1 + dice.below(hosts - 1)) % hosts);
    f.group = static_cast<int>(dice.below(plan.groups.size()));
    f.side = static_cast<HostSet>(dice.between(1, (1 << hosts) - 2));
    f.family = dice.one_in(3) ? Family::ipv4 : Family::ipv6;
    f.chance = static_cast<std::uint32_t>(dice.one_in(3) ? dice.between(200, 1000) : dice.between(1, 200));
    f.span = dice.scaled(kMillisecond, fast ? 200 * kMillisecond : 2 * kSecond);
    f.amount = static_cast<int>(dice.between(1, 254));
    f.settings.advskew = static_cast<std::uint8_t>(dice.between(0, fast ? 60 : 240));
    f.settings.preempt = dice.one_in(2);
    if (f.kind == FaultKind::flapping || f.kind == FaultKind::state_request)
        f.amount = static_cast<int>(dice.scaled(1, 32));
    f.some_copies = dice.one_in(2);
    if (f.kind == FaultKind::send_failures && (f.some_copies || dice.one_in(2))) f.chance = 1000;
    if (f.kind == FaultKind::forgery || f.kind == FaultKind::replay)
        f.span = dice.scaled(5 * kMillisecond, 2 * kSecond);
    if (f.kind == FaultKind::flapping) f.span = dice.scaled(kMillisecond, 500 * kMillisecond);
    f.interface = static_cast<std::size_t>(dice.below(plan.interfaces));
    const GroupPlan& group = plan.groups[static_cast<std::size_t>(f.group)];
    f.all_groups = dice.one_in(2) || group.in_set != (group.set != 0 ? group.members : 0);
    if (f.kind == FaultKind::demoting_check) f.amount = std::min(f.amount, 240);
    const bool configures = f.kind == FaultKind::reload || f.kind == FaultKind::key_change ||
                            f.kind == FaultKind::address_change || f.kind == FaultKind::removal ||
                            f.kind == FaultKind::stop || f.kind == FaultKind::kill ||
                            f.kind == FaultKind::pause || f.kind == FaultKind::state_request ||
                            f.kind == FaultKind::late_wake_ups || f.kind == FaultKind::send_failures ||
                            f.kind == FaultKind::install_failures || f.kind == FaultKind::demoting_check ||
                            f.kind == FaultKind::withdrawing_check;
    // What only carpd has happens to carpd; h1 always is one.
    if (configures && plan.hosts[static_cast<std::size_t>(f.host)].kind != Kind::carpd) f.host = 0;
}

void draw_faults(Plan& plan, bool fast) {
    Dice dice(stream(plan.seed, kFaults));
    const int count = dice.one_in(16) ? 0 : static_cast<int>(dice.scaled(1, 16));
    const Moment first = (fast ? 2 : 8) * kSecond * std::max<int>(1, plan.groups.back().advbase.seconds);
    for (int i = 0; i < count; ++i) {
        Fault f;
        f.id = i + 1;
        f.kind = draw_fault_kind(dice);
        f.begin = dice.between(first, plan.healed - kSecond);
        f.end = std::min(plan.healed, f.begin + dice.scaled(kMillisecond, 2 * 60 * kSecond));
        draw_details(plan, f, dice, fast);
        plan.faults.push_back(f);
    }
}

// In every third world hosts synchronise flows: all of carpd's, mostly. Each lacks some at times.
void draw_flows(Plan& plan) {
    Dice dice(stream(plan.seed, kFlows));
    if (!dice.one_in(3)) return;
    for (std::size_t h = 0; h < plan.hosts.size(); ++h) {
        if (plan.hosts[h].kind != Kind::carpd || dice.one_in(8)) continue;
        plan.hosts[h].commit_wait = dice.scaled(kMillisecond, 2 * kSecond);
        for (auto lacking = dice.below(4); lacking > 0; --lacking) {
            Fault f;
            f.id = static_cast<int>(plan.faults.size()) + 1;
            f.kind = FaultKind::lacks_flows;
            f.host = static_cast<int>(h);
            f.begin = dice.between(8 * kSecond, plan.healed - kSecond);
            f.end = std::min(plan.healed, f.begin + dice.scaled(kMillisecond, 2 * 60 * kSecond));
            plan.faults.push_back(f);
        }
    }
}

}  // namespace

Plan draw_plan(std::uint64_t seed) {
    Plan plan;
    plan.seed = seed;
    Dice dice(stream(seed, kTimes));
    const bool fast = dice.one_in(8);
    draw_hosts(plan, fast);
    draw_groups(plan, fast);
    draw_sets(plan);
    draw_pool(plan);
    plan.healed = dice.between(300, 480) * kSecond;
    plan.end = 600 * kSecond;
    draw_faults(plan, fast);
    draw_flows(plan);
    for (std::size_t g = 0; g < plan.groups.size(); ++g)
        plan.end =
            std::max(plan.end, plan.healed + 2 * plan.settling_bound(static_cast<int>(g)) + 10 * kSecond);
    return plan;
}

}  // namespace carpd::sim
