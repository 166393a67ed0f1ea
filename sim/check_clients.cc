// Checker of pools: who serves which client, of some.
#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "sim/checkers.h"
#include "sim/host.h"
#include "sim/world.h"

namespace carpd::sim {

namespace {

constexpr Moment kSlack = 10 * kMillisecond;  // for timers that fire a little late

class Clients : public Checker {
 public:
    explicit Clients(World& world) : Checker(world), owner_since_(static_cast<std::size_t>(world.groups())) {
        Dice dice(stream(world.plan().seed, 50));
        for (const PoolPlan& plan : world.plan().pools) {
            Pool& pool = pools_.emplace_back();
            pool.plan = &plan;
            for (int i = 0; i < kSampled; ++i) pool.clients.push_back(draw_client(dice));
        }
    }
    std::string_view name() const override { return "clients"; }

    void on_ownership(int host, int group, bool owns) override {
        const int number = world_.plan().groups[static_cast<std::size_t>(group)].pool;
        if (number == 0) return;
        Pool& pool = pools_[static_cast<std::size_t>(number - 1)];
        if (owns) {
            check_settling(pool, number, host, group);
            owner_since_[static_cast<std::size_t>(group)][static_cast<std::size_t>(host)] = world_.now();
        }
        look(pool, true);
    }
    void on_shares(int, int pool) override { look(pools_[static_cast<std::size_t>(pool - 1)], false); }
    void before_disturbance() override {
        for (int h = 0; h < world_.hosts(); ++h)
            if (!world_.station(h).awake() || world_.active(FaultKind::late_wake_ups, h))
                slept_at_ = world_.now();
        for (const Pool& pool : pools_)
            for (const Sampled& client : pool.clients) check(pool, client);
    }
    // All is well again, so every client is served by the host that the rules name.
    void at_end() override {
        before_disturbance();
        for (const Pool& pool : pools_) {
            Shares shares(pool.plan->balance, pool.plan->key);
            shares.set_at_home(at_home(*pool.plan));
            for (const Sampled& client : pool.clients) {
                const CarpnodeIndex carpnode = carpnode_of(shares, *pool.plan, client.client);
                if (std::has_single_bit(client.served_by) &&
                    client.served_by == world_.owners(pool.plan->groups[carpnode]))
                    continue;
                broken(pool.plan->groups[carpnode],
                       fmt::format("{} hosts serve the client {} at the end, or not its carpnode's MASTER",
                                   std::popcount(client.served_by), client.client.address.to_string()));
            }
        }
    }

 private:
    static constexpr int kSampled = 64;
    struct Sampled {
        Client client;
        HostSet served_by = 0;
        Moment since = 0;  // that many serve it
    };
    struct Pool {
        const PoolPlan* plan;
        std::vector<Sampled> clients;
        bool is_whole = false;  // each of its carpnodes has one owner
        Moment owners_since = 0;
    };

    static Sampled draw_client(Dice& dice) {
        std::array<std::uint8_t, 16> bytes{};
        for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(dice.next());
        Client client{IpAddress::from_bytes(Bytes(bytes).first(4)), {}};
        std::copy_n(bytes.begin() + 4, client.mac.bytes.size(), client.mac.bytes.begin());
        return {client};
    }

    // Rule N6, of hosts none of which is demoted.
    CarpnodeSet at_home(const PoolPlan& plan) const {
        const auto advskew = [&](int g) {
            const auto owner = static_cast<std::size_t>(std::countr_zero(world_.owners(g)));
            return world_.plan().groups[static_cast<std::size_t>(g)].settings[owner].advskew;
        };
        CarpnodeSet home = all_carpnodes(plan.groups.size());
        if (!world_.plan().hosts.front().has_own_addresses) return home;
        for (std::size_t k = 0; k < plan.groups.size(); ++k)
            for (int other : plan.groups)
                if (std::has_single_bit(world_.owners(other)) &&
                    world_.owners(other) == world_.owners(plan.groups[k]) &&
                    advskew(other) < advskew(plan.groups[k]))
                    home &= ~(CarpnodeSet{1} << k);
        return home;
    }
    // Who takes a carpnode over from one that still answers lets connections stay there.
    void check_settling(const Pool& pool, int number, int host, int group) {
        const auto& h = static_cast<const Host&>(world_.station(host));
        const bool faultless =
            world_.now() - world_.network_faulty_at() > world_.plan().settling_bound(group);
        if (!pool.plan->balance.by_ip() || h.settles(number) || !faultless) return;
        for (int other = 0; other < world_.hosts(); ++other) {
            if (other == host || !sim::contains(world_.owners(group), other)) continue;
            const Moment since =
                owner_since_[static_cast<std::size_t>(group)][static_cast<std::size_t>(other)];
            if (world_.now() - since > 2 * interval(pool))
                broken(group, fmt::format("{} took over from {}, which still answers, and its pool does not "
                                          "settle",
                                          world_.plan().hosts[static_cast<std::size_t>(host)].name,
                                          world_.plan().hosts[static_cast<std::size_t>(other)].name));
        }
    }
    // Something changed that decides who serves whom.
    void look(Pool& pool, bool owners_changed) {
        for (Sampled& client : pool.clients) {
            HostSet now = 0;
            for (int h = 0; h < world_.hosts(); ++h)
                if (static_cast<const Host&>(world_.station(h)).serves(*pool.plan, client.client))
                    now |= static_cast<HostSet>(1u << h);
            if (now == client.served_by) continue;
            check(pool, client);
            const bool is_other = now == 0 || client.served_by == 0 || std::has_single_bit(now) ||
                                  std::has_single_bit(client.served_by);
            client.served_by = now;
            if (is_other) client.since = world_.now();
        }
        if (!owners_changed) return;
        before_owners_change(pool);
        pool.owners_since = world_.now();
        pool.is_whole = std::all_of(pool.plan->groups.begin(), pool.plan->groups.end(),
                                    [this](int g) { return std::has_single_bit(world_.owners(g)); });
    }
    void before_owners_change(const Pool& pool) {
        for (const Sampled& client : pool.clients)
            if (client.since != world_.now()) check(pool, client);
    }

    Moment interval(const Pool& pool) const {
        Moment longest = 0;
        for (int g : pool.plan->groups) longest = std::max(longest, world_.plan().longest_interval(g));
        return longest;
    }
    // A carpnode's lease, with what a drifting clock adds.
    Moment lease(const Pool& pool) const {
        const AdvBase base =
            world_.plan().groups[static_cast<std::size_t>(pool.plan->groups.front())].advbase;
        const Moment lease = lease_length(base, AdvSkew{}).count();
        return lease + lease / 50;
    }

    void check(const Pool& pool, const Sampled& client) {
        if (std::has_single_bit(client.served_by)) return;
        const bool several = client.served_by != 0;
        if (!several && !pool.is_whole) return;
        // One that sleeps answers until its lease ends; one that wakes up reads what was said long ago, and
        // believes for so long that it was said now.
        const Moment late = lease(pool) + interval(pool);
        bool asleep = slept_at_ + late >= client.since;
        for (int a = 0; a < world_.hosts(); ++a) {
            const bool owns_any = std::any_of(pool.plan->groups.begin(), pool.plan->groups.end(),
                                              [&](int g) { return sim::contains(world_.owners(g), a); });
            if (!owns_any) continue;
            asleep = asleep || !world_.station(a).awake();
            for (int b = 0; b < a; ++b)
                if (!world_.same_side(a, b)) return;
        }
        Moment since = std::max(client.since, world_.disturbed_at());
        // That a carpnode was lost without a word is known when another host takes it over.
        if (pool.is_whole) since = std::max(since, pool.owners_since);
        const Moment wait = !pool.is_whole ? world_.plan().settling_bound(pool.plan->groups.front())
                            : asleep       ? late
                                           : interval(pool);
        const Moment bound = wait + 2 * world_.plan().max_delay + kSlack;
        if (world_.now() - since <= bound) return;
        broken(pool.plan->groups.front(),
               fmt::format("{} hosts served the client {} for {} ms; at most {} ms",
                           std::popcount(client.served_by), client.client.address.to_string(),
                           (world_.now() - since) / kMillisecond, bound / kMillisecond));
    }

    std::vector<Pool> pools_;
    Moment slept_at_ = 0;                                     // some host, the last time
    std::vector<std::array<Moment, kMaxHosts>> owner_since_;  // by group and host
};

}  // namespace

std::unique_ptr<Checker> clients(World& world) {
    return std::make_unique<Clients>(world);
}

}  // namespace carpd::sim
