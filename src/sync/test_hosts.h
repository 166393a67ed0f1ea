// Hosts with kernels and a network between them in virtual time, for the tests. A kernel is a map of flows
// that takes changes and tells of traffic, as linux/conntrack_message.h says of the real one; each host is
// driven as a process would drive it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "sync/encoded.h"
#include "sync/host.h"
#include "sync/sample_flows.h"

namespace carpd::test_hosts {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = FlowEvent::Kind;
using Name = std::pair<FlowTuple, std::uint16_t>;

inline Name name_of(const FlowIdentity& identity) {
    return {identity.original, identity.zone};
}

struct Kernel {
    struct Entry {
        Flow flow;
        Instant ends;
    };
    std::map<Name, Entry> flows;
    std::vector<FlowEvent> events;  // that nobody has read
    std::size_t most = 1'000'000;

    void put(Instant now, const Flow& flow) {
        flows[name_of(flow.identity)] = {flow, now + seconds(flow.state.timeout)};
    }
    void tell(Kind kind, const Flow& flow) { events.push_back({kind, flow, true, true, true}); }

    bool make(Instant now, const FlowChange& change) {
        const Name name = name_of(change.flow.identity);
        if (change.kind == FlowChange::Kind::remove)
            flows.erase(name);
        else if (!lacks_master(change.flow.identity) && (flows.contains(name) || flows.size() < most))
            put(now, change.flow);
        else
            return false;
        return true;
    }
    bool lacks_master(const FlowIdentity& identity) const {
        return identity.is_expectation() && !flows.contains({*identity.master, identity.zone});
    }
    void expire(Instant now) {
        for (auto it = flows.begin(); it != flows.end();) {
            if (it->second.ends > now) {
                ++it;
                continue;
            }
            tell(Kind::ended, it->second.flow);
            it = flows.erase(it);
        }
    }
};

struct Node {
    std::unique_ptr<SyncHost> host;  // null: carpd doesn't run
    Kernel kernel;
    Instant expire_at{};
    bool hears_events = true;  // or they are lost
    bool makes_changes = true;
};

class World {
 public:
    World(std::size_t count, std::uint64_t seed) : nodes(count), random_(seed) {
        for (std::size_t i = 0; i < count; ++i) start(i);
    }
    World(const World&) = delete;  // hosts have its address

    Instant now{std::chrono::hours(1)};
    std::vector<Node> nodes;
    std::uint32_t loss = 0;  // per cent
    Duration least_delay = microseconds(100), jitter{};
    std::set<std::pair<std::size_t, std::size_t>> cut;  // from, to
    std::set<Buffer> ever;                              // identities of flows that traffic made
    std::uint32_t max_flows = 10'000;
    std::uint32_t timeout = 432'000;
    bool commit_at_takeover = false;
    bool defers = false;

    SyncHost& operator[](std::size_t i) { return *nodes[i].host; }
    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_.next() % n); }

    void start(std::size_t i, std::string name = {}) {
        SyncHostConfig config;
        config.channel.name = HostName::from(name.empty() ? "fw" + std::to_string(i) : name).value();
        config.max_flows = max_flows;
        config.table_key = {random_.next(), random_.next()};
        config.commit_at_takeover = commit_at_takeover;
        config.defers = defers;
        if (defers) config.tells = [](const Flow& flow) { return is_worth_telling(flow, true); };
        Secret key;
        key.fill(7);
        nodes[i].kernel.events.clear();
        nodes[i].host = std::make_unique<SyncHost>(now, config, SyncKeys{key, {}}, nodes.size() - 1,
                                                   [this](std::span<std::uint8_t> out) {
                                                       for (std::uint8_t& byte : out)
                                                           byte = static_cast<std::uint8_t>(random_.next());
                                                   });
    }
    // Without a word.
    void kill(std::size_t i) { nodes[i].host.reset(); }
    void separate(std::size_t a, std::size_t b) { cut.insert({{a, b}, {b, a}}); }

    // ---- traffic

    // Packets of flow `number` pass host i: it begins, or goes on in `tcp_state`.
    void pass(std::size_t i, std::uint32_t number, std::uint8_t tcp_state = 3) {
        Kernel& kernel = nodes[i].kernel;
        Flow flow{sample_identity(number), sample_state(0)};
        flow.state.timeout = timeout;
        flow.state.mark = below(1000);
        std::get<TcpState>(flow.state.protocol).state = tcp_state;
        const bool is_new = !kernel.flows.contains(name_of(flow.identity));
        kernel.put(now, flow);
        ever.insert(encoded(flow.identity));
        if (nodes[i].host) kernel.tell(is_new ? Kind::created : Kind::changed, flow);
    }
    // Packets that only refresh it, which the kernel tells nobody.
    void refresh(std::size_t i, std::uint32_t number) {
        const auto it = nodes[i].kernel.flows.find(name_of(sample_identity(number)));
        if (it != nodes[i].kernel.flows.end()) it->second.ends = now + seconds(timeout);
    }
    void finish(std::size_t i, std::uint32_t number) {
        const auto it = nodes[i].kernel.flows.find(name_of(sample_identity(number)));
        if (it == nodes[i].kernel.flows.end()) return;
        if (nodes[i].host) nodes[i].kernel.tell(Kind::ended, it->second.flow);
        nodes[i].kernel.flows.erase(it);
    }
    bool has(std::size_t i, std::uint32_t number) {
        return nodes[i].kernel.flows.contains(name_of(sample_identity(number)));
    }
    // Some of `pool` flows begin, change or end.
    void churn(std::size_t i, std::uint32_t pool) {
        const std::uint32_t number = below(pool);
        if (below(3) == 0)
            finish(i, number);
        else
            pass(i, number, below(4) ? 3 : 4);
    }

    // ---- time

    void run(Duration duration) {
        const Instant end = now + duration;
        int steps_at_once = 0;
        while (true) {
            Instant next = end;
            if (!wire_.empty()) next = std::min(next, wire_.begin()->first);
            for (const Node& node : nodes)
                if (node.host) next = std::min({next, node.host->next_deadline(), node.expire_at});
            steps_at_once = next <= now ? steps_at_once + 1 : 0;
            ASSERT_LT(steps_at_once, 20'000);
            now = std::max(now, next);
            for (; !wire_.empty() && wire_.begin()->first <= now; wire_.erase(wire_.begin()))
                deliver(wire_.begin()->second);
            for (std::size_t i = 0; i < nodes.size(); ++i) drive(i);
            if (now >= end && next >= end) break;
        }
    }

    // Each flow has one owner, and each host's kernel has the flows of all, as their owners have them.
    void expect_equal() {
        const auto all = owned();
        for (std::size_t i = 0; i < nodes.size(); ++i)
            if (nodes[i].host) expect_all(i, all);
    }
    // Hosts that commit at takeover: that of `master` does, and no other has what nobody owns.
    void expect_committed(std::size_t master) {
        const auto all = owned();
        expect_all(master, all);
        for (std::size_t i = 0; i < nodes.size(); ++i)
            for (const auto& [name, entry] : nodes[i].kernel.flows)
                EXPECT_TRUE(!nodes[i].host || all.contains(name)) << "host " << i;
    }
    void check_nothing_is_invented() {
        for (const Node& node : nodes)
            for (const auto& [name, entry] : node.kernel.flows)
                ASSERT_TRUE(ever.contains(encoded(entry.flow.identity)));
    }

 private:
    using Owned = std::map<Name, std::pair<std::size_t, Flow>>;

    Owned owned() {
        Owned all;
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            if (!nodes[i].host) continue;
            const FlowTable& own = nodes[i].host->own();
            for (Slot slot = 0; slot < own.end(); ++slot) {
                if (!own.holds(slot)) continue;
                const Flow flow{identity_of(own.identity(slot)), state_of(own.state(slot))};
                EXPECT_TRUE(all.insert({name_of(flow.identity), {i, flow}}).second) << "two owners";
            }
        }
        return all;
    }
    void expect_all(std::size_t i, const Owned& all) {
        EXPECT_EQ(nodes[i].kernel.flows.size(), all.size()) << "host " << i;
        for (const auto& [name, owned] : all) {
            const auto it = nodes[i].kernel.flows.find(name);
            ASSERT_NE(it, nodes[i].kernel.flows.end()) << "host " << i << ", owner " << owned.first;
            EXPECT_EQ(it->second.flow.identity, owned.second.identity);
            EXPECT_EQ(it->second.flow.state.protocol, owned.second.state.protocol);
            EXPECT_EQ(it->second.flow.state.mark, owned.second.state.mark);
        }
        check_nothing_is_invented();
    }

    struct Datagram {
        std::size_t from, to;
        Buffer bytes;
    };
    static std::size_t peer_index(std::size_t of, std::size_t peer) { return peer < of ? peer : peer - 1; }

    void deliver(Datagram& datagram) {
        if (!nodes[datagram.to].host) return;
        nodes[datagram.to].host->receive(now, peer_index(datagram.to, datagram.from), datagram.bytes);
        make_changes(datagram.to);
    }
    void make_changes(std::size_t i) {
        SyncHost& host = *nodes[i].host;
        while (nodes[i].makes_changes && !host.changes().empty()) {
            const std::size_t batch = std::min<std::size_t>(host.changes().size(), 64);
            for (std::size_t k = 0; k < batch; ++k)
                if (!nodes[i].kernel.make(now, host.changes()[k]))
                    host.change_failed(now, host.changes()[k], FlowChangeFailure::full);
            host.changes_done(batch);
        }
    }
    void drive(std::size_t i) {
        Node& node = nodes[i];
        if (node.expire_at <= now) {
            node.kernel.expire(now);
            node.expire_at = now + seconds(1);
        }
        if (!node.host) return;
        node.host->on_timer(now);
        make_changes(i);
        if (!node.hears_events && !node.kernel.events.empty())
            node.host->on_lost_events(now, node.kernel.events.size());
        if (node.hears_events)
            for (const FlowEvent& event : node.kernel.events) node.host->on_event(now, event);
        node.kernel.events.clear();
        make_changes(i);
        if (node.hears_events && node.host->wants_dump()) {
            node.host->begin_dump(now);
            for (const bool expectations : {false, true})
                for (const auto& [name, entry] : node.kernel.flows) {
                    if (entry.flow.identity.is_expectation() != expectations) continue;
                    FlowEvent event{Kind::listed, entry.flow, true, true, true};
                    event.flow.state.timeout = static_cast<std::uint32_t>((entry.ends - now) / seconds(1));
                    node.host->on_event(now, event);
                }
            node.host->end_dump(now);
        }
        transmit(i);
    }
    void transmit(std::size_t i) {
        Buffer out(SyncHost::kLeastDatagram + below(300));
        for (std::size_t to = 0; to < nodes.size(); ++to) {
            if (to == i) continue;
            while (const std::size_t size =
                       nodes[i].host->poll_transmit(now, peer_index(i, to), {65536, 0}, out)) {
                if (cut.contains({i, to}) || below(100) < loss) continue;
                const Duration delay =
                    least_delay + Duration(jitter.count()
                                               ? random_.next() % static_cast<std::uint64_t>(jitter.count())
                                               : 0);
                wire_.emplace(now + delay, Datagram{i, to, Buffer(out.begin(), out.begin() + size)});
            }
        }
    }

    Random random_;
    std::multimap<Instant, Datagram> wire_;
};

// Two or three hosts, and a network that may be bad.
struct AnyWorld : World {
    explicit AnyWorld(int seed)
        : World(2 + static_cast<std::size_t>(seed % 2), static_cast<std::uint64_t>(seed)) {
        loss = seed % 3 ? below(30) : 0;
        if (seed % 4) jitter = Duration(below(3'000'000));
    }
};

inline void churn_for(World& world, std::size_t master, int steps, std::uint32_t pool = 300) {
    for (int step = 0; step < steps; ++step) {
        for (int i = 0; i < 5; ++i) world.churn(master, pool);
        world.run(Duration(world.below(5'000'000)));
        world.check_nothing_is_invented();
    }
}
// Until nothing is on its way any more.
inline void calm(World& world, Duration duration = seconds(4)) {
    world.loss = 0;
    world.run(duration);
}

inline std::vector<std::uint32_t> flows_of(World& world, std::size_t host, std::uint32_t pool = 300) {
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t number = 0; number < pool; ++number)
        if (world.has(host, number)) numbers.push_back(number);
    return numbers;
}

}  // namespace carpd::test_hosts
