#include "sync/finder.h"

#include <gmock/gmock.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sync/encoded.h"
#include "sync/sample_flows.h"
#include "sync/test_channels.h"

namespace carpd {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using test_channels::Buffer;
using test_channels::key_of;
using Verdict = PeerFinder::Verdict;

constexpr std::size_t kPlaces = 7;
constexpr int kEverybody = -1;

// A host with one address, driven as `carpd: sync` drives it. Its kernel takes every change.
struct Node {
    std::unique_ptr<SyncHost> host;  // null: it is off
    std::unique_ptr<PeerFinder> finder;
    std::vector<int> peers;  // their addresses
    int address = 0;
    std::uint64_t hellos_to_all = 0, datagrams = 0;  // that it sent

    std::set<int> up() const {
        std::set<int> result;
        for (std::size_t i = 0; i < peers.size(); ++i)
            if (host->session(i).is_up()) result.insert(peers[i]);
        return result;
    }
    std::uint64_t dropped(SyncDrop reason) const { return finder->channel().counters()[reason]; }
};

struct Datagram {
    int from, to;
    Buffer bytes;
};

class Link {
 public:
    Instant now{std::chrono::hours(1)};
    std::deque<Node> nodes;
    std::vector<Datagram> recorded;
    bool records = false;
    std::uint32_t loss = 0;    // per cent
    std::set<int> cut;         // addresses that neither hear nor are heard
    bool only_to_all = false;  // what goes to one host is lost

    explicit Link(std::size_t hosts, std::uint64_t seed = 1) : random_(seed) {
        for (std::size_t i = 0; i < hosts; ++i) start(nodes.size());
    }
    Node& operator[](std::size_t i) { return nodes[i]; }

    // Starts a host, or starts it anew.
    void start(std::size_t i, std::string name = {}, std::uint8_t key = 7, int address = -1) {
        if (i == nodes.size()) nodes.emplace_back();
        SyncHostConfig config;
        config.channel = test_channels::config_of(name.empty() ? "fw" + std::to_string(i) : name);
        config.finds_peers = true;
        config.max_flows = 10'000;
        config.table_key = {random_.next(), random_.next()};
        const auto fill = [this](std::span<std::uint8_t> out) {
            for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random_.next());
        };
        const SyncKeys keys{key_of(key), {}};
        Node& node = nodes[i];
        node = Node();
        node.host = std::make_unique<SyncHost>(now, config, keys, 0, fill);
        node.finder = std::make_unique<PeerFinder>(now, config.channel, keys, fill, kPlaces);
        node.address = address < 0 ? static_cast<int>(i) : address;
    }
    void kill(std::size_t i) { nodes[i].host.reset(); }

    Verdict hear(std::size_t i, int from, Buffer bytes) {
        Node& node = nodes[i];
        const PeerFinder::Heard heard = node.finder->hear(now, bytes, *node.host);
        node.peers.resize(node.host->peers());
        if (heard.verdict == Verdict::found) node.peers[heard.peer] = from;
        say_hello(i);
        make_changes(node);
        return heard.verdict;
    }
    void deliver(const Datagram& datagram) {
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            Node& node = nodes[i];
            if (!node.host || node.address == datagram.from) continue;
            if (datagram.to != kEverybody && datagram.to != node.address) continue;
            const auto peer = std::ranges::find(node.peers, datagram.from);
            const auto number = static_cast<std::size_t>(peer - node.peers.begin());
            if (peer == node.peers.end()) {
                hear(i, datagram.from, datagram.bytes);
            } else if (datagram.to != kEverybody || !node.host->session(number).is_up()) {
                Buffer bytes = datagram.bytes;
                node.host->receive(now, number, bytes);
                make_changes(node);
            }
        }
    }

    void run(Duration duration) {
        for (const Instant end = now + duration; now < end;) {
            Instant next = wire_.empty() ? kNever : wire_.begin()->first;
            for (const Node& node : nodes)
                if (node.host)
                    next = std::min({next, node.host->next_deadline(), node.finder->next_deadline()});
            ASSERT_LT(++steps_, 3'000'000);
            now = std::clamp(next, now, end);
            for (; !wire_.empty() && wire_.begin()->first <= now; wire_.erase(wire_.begin()))
                deliver(Datagram(wire_.begin()->second));
            for (std::size_t i = 0; i < nodes.size(); ++i)
                if (nodes[i].host) drive(i);
        }
    }
    // The time until it holds; `most`: it doesn't.
    template <class Predicate>
    Duration time_until(Predicate predicate, Duration most) {
        const Instant start = now;
        while (!predicate() && now - start < most) run(milliseconds(1));
        return now - start;
    }
    bool all_up() const {
        return std::ranges::all_of(nodes, [&](const Node& node) {
            return !node.host || node.up().size() + 1 == static_cast<std::size_t>(std::ranges::count_if(
                                                             nodes, [](const Node& n) { return !!n.host; }));
        });
    }
    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_.next() % n); }

    // ---- flows that pass the host
    void tell(std::size_t i, FlowEvent::Kind kind, std::uint32_t number) {
        Flow flow{sample_identity(number), sample_state(number)};
        nodes[i].host->on_event(now, {kind, flow, true, true, true});
        make_changes(nodes[i]);
    }
    void make_master(std::size_t i) {
        nodes[i].host->set_master(now, true);
        make_changes(nodes[i]);
    }
    // Of one host, as another one holds them.
    std::uint32_t held(std::size_t by, int address) {
        const auto at = std::ranges::find(nodes[by].peers, address);
        if (at == nodes[by].peers.end()) return 0;
        return nodes[by]
            .host->session(static_cast<std::size_t>(at - nodes[by].peers.begin()))
            .inbox()
            .table()
            .size();
    }

 private:
    static void make_changes(Node& node) { node.host->changes_done(node.host->changes().size()); }

    void drive(std::size_t i) {
        Node& node = nodes[i];
        node.host->on_timer(now);
        make_changes(node);
        if (node.host->wants_dump()) {  // its kernel has what it owns
            node.host->begin_dump(now);
            for (Slot slot = 0; slot < node.host->own().end(); ++slot)
                if (node.host->own().holds(slot))
                    node.host->on_event(now, {FlowEvent::Kind::listed,
                                              {identity_of(node.host->own().identity(slot)),
                                               state_of(node.host->own().state(slot))},
                                              true,
                                              true,
                                              true});
            node.host->end_dump(now);
        }
        while (const auto peer = node.finder->forget(now, *node.host))
            node.peers.erase(node.peers.begin() + static_cast<std::ptrdiff_t>(*peer));
        say_hello(i);
        Buffer out(SyncHost::kLeastDatagram);
        for (std::size_t peer = 0; peer < node.peers.size(); ++peer)
            while (const std::size_t size = node.host->poll_transmit(now, peer, {}, out))
                send(node, node.peers[peer], Buffer(out.begin(), out.begin() + size));
    }
    void say_hello(std::size_t i) {
        Buffer out(kLongestHelloDatagram);
        out.resize(nodes[i].finder->transmit(now, *nodes[i].host, {}, out));
        if (out.empty()) return;
        ++nodes[i].hellos_to_all;
        send(nodes[i], kEverybody, out);
    }
    void send(Node& from, int to, const Buffer& bytes) {
        ++from.datagrams;
        if (records) recorded.push_back({from.address, to, bytes});
        if (only_to_all && to != kEverybody) return;
        if (cut.contains(from.address) || cut.contains(to) || below(100) < loss) return;
        wire_.emplace(now + microseconds(100 + below(200)), Datagram{from.address, to, bytes});
    }

    Random random_;
    std::multimap<Instant, Datagram> wire_;
    int steps_ = 0;
};

using Addresses = std::set<int>;

TEST(Finder, TwoHostsMeetAtOnce) {
    Link link(2);
    EXPECT_LT(link.time_until([&] { return link.all_up(); }, seconds(5)), milliseconds(10));
    const std::uint64_t before = link[0].hellos_to_all;
    link.run(seconds(10));
    EXPECT_NEAR(static_cast<double>(link[0].hellos_to_all - before), 10, 1) << "seldom, in company";
    EXPECT_EQ(link[0].finder->counters().found, 1u);
    EXPECT_EQ(link[0].host->session(0).channel().counters().downs, 0u);
}

TEST(Finder, AsManyAsThereMayBeFindEachOther) {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        Link link(kPlaces + 1, seed);
        link.loss = seed % 3 ? 0 : 20;
        EXPECT_LT(link.time_until([&] { return link.all_up(); }, seconds(20)), seconds(link.loss ? 15 : 3))
            << seed;
        link.loss = 0;
        link.run(seconds(5));
        EXPECT_TRUE(link.all_up());
    }
}

TEST(Finder, WhoComesLaterIsFoundByAll) {
    Link link(3);
    link.run(seconds(5));
    link.start(3);
    EXPECT_LT(link.time_until([&] { return link.all_up(); }, seconds(5)), milliseconds(500));
}

TEST(Finder, TwoGroupsThatMeetBecomeOne) {
    Link link(4);
    link.cut = {2, 3};
    link.run(seconds(1));
    link.cut = {0, 1};
    link.run(seconds(5));
    link.cut.clear();
    EXPECT_LT(link.time_until([&] { return link.all_up(); }, seconds(5)), seconds(3));
}

TEST(Finder, FlowsGoToAllThatWereFound) {
    Link link(3);
    link.run(seconds(1));
    link.make_master(0);
    for (std::uint32_t number = 0; number < 100; ++number) link.tell(0, FlowEvent::Kind::created, number);
    link.run(seconds(1));
    EXPECT_EQ(link.held(1, 0), 100u);
    EXPECT_EQ(link.held(2, 0), 100u);
    link.start(3);
    link.run(seconds(1));
    EXPECT_EQ(link.held(3, 0), 100u);
}

TEST(Finder, AHostIsNotItsOwnPeer) {
    Link link(1);
    link.records = true;
    link.run(seconds(1));
    ASSERT_FALSE(link.recorded.empty());
    for (const Datagram& datagram : link.recorded)
        EXPECT_EQ(link.hear(0, 99, datagram.bytes), Verdict::refused);
    EXPECT_EQ(link[0].dropped(SyncDrop::own_datagram), link.recorded.size());
    link.start(0);  // what it said in an earlier life
    EXPECT_EQ(link.hear(0, 99, link.recorded[0].bytes), Verdict::refused);
    EXPECT_EQ(link[0].dropped(SyncDrop::same_name), 1u);
    EXPECT_EQ(link[0].host->peers(), 0u);
}

TEST(Finder, AnotherKeyOrTheSameNameIsRefused) {
    Link link(2);
    link.run(seconds(1));
    link.start(2, "fw2", 8);
    link.start(3, "fw0");
    link.run(seconds(5));
    EXPECT_EQ(link[0].up(), Addresses{1});
    EXPECT_EQ(link[2].up(), Addresses{});
    EXPECT_EQ(link[1].up(), Addresses{0});
    EXPECT_EQ(link[3].up(), Addresses{});
    EXPECT_GT(link[0].dropped(SyncDrop::bad_seal), 10u);
    EXPECT_GT(link[0].dropped(SyncDrop::same_name), 2u);
    EXPECT_GT(link[2].dropped(SyncDrop::bad_seal), 5u);
    EXPECT_GT(link[1].finder->counters().known, 0u);
    link.start(2, "fw2", 7);
    link.kill(3);
    link.run(seconds(2));
    EXPECT_EQ(link[0].up(), (Addresses{1, 2}));
}

TEST(Finder, AnotherKeyForAllIsTakenOver) {
    Link link(2);
    link.run(seconds(1));
    for (Node& node : link.nodes) {
        const SyncKeys both{key_of(9), key_of(7)};
        node.host->set_keys(link.now, both);
        node.finder->set_keys(link.now, both);
    }
    link.start(2, "fw2", 9);
    link.run(seconds(1));
    EXPECT_EQ(link[0].up(), (Addresses{1, 2})) << "peers that were there stay, and new ones have the new key";
}

// ---- who comes and goes

TEST(Finder, AHostThatStartsAnewIsFoundAnew) {
    Link link(3);
    link.run(seconds(1));
    link.start(1);
    EXPECT_LT(link.time_until([&] { return link.all_up(); }, seconds(5)), milliseconds(1500));
    EXPECT_EQ(link[0].peers.size(), 2u);
    link.kill(2);
    link.run(seconds(30));
    EXPECT_EQ(link[0].up(), Addresses{1});
    EXPECT_EQ(link[0].peers.size(), 2u);
    link.start(2);
    EXPECT_LT(link.time_until([&] { return link.all_up(); }, seconds(5)), milliseconds(500));
    EXPECT_EQ(link[0].peers.size(), 2u);
}

TEST(Finder, AHostThatComesWithAnotherAddressWaitsUntilItsOldOneIsDown) {
    Link link(2);
    link.run(seconds(1));
    link.start(1, {}, 7, 42);
    EXPECT_LT(link.time_until([&] { return link[0].up() == Addresses{42}; }, seconds(5)), milliseconds(1500));
    EXPECT_EQ(link[0].peers, std::vector<int>{42}) << "one name has one place";
    EXPECT_GT(link[0].finder->counters().known, 0u);
}

TEST(Finder, AnotherHostMayTakeANameThatIsFree) {
    Link link(2);
    link.run(seconds(1));
    link.start(1, "fw7");
    link.run(seconds(2));
    link.start(2, "fw1");
    EXPECT_LT(link.time_until([&] { return link.all_up(); }, seconds(5)), seconds(1));
    EXPECT_EQ(link[0].up(), (Addresses{1, 2}));
}

TEST(Finder, WhoWasNeverUpIsForgottenSoon) {
    Link link(2);
    link.only_to_all = true;
    link.run(milliseconds(1900));
    ASSERT_EQ(link[0].peers.size(), 1u);
    EXPECT_LT(link[0].datagrams - link[0].hellos_to_all, 22u);
    link.run(milliseconds(305));
    EXPECT_EQ(link[0].finder->counters().forgotten, 1u);
    link.run(seconds(20));
    EXPECT_NEAR(static_cast<double>(link[0].finder->counters().forgotten), 10, 1) << "it is found anew";
    link.only_to_all = false;
    EXPECT_LT(link.time_until([&] { return link.all_up(); }, seconds(5)), seconds(3));
}

TEST(Finder, WhoWasUpIsForgottenTenMinutesAfterItWentDown) {
    Link link(3);
    link.run(seconds(1));
    link.make_master(1);
    link.tell(1, FlowEvent::Kind::created, 1);
    link.run(seconds(1));
    ASSERT_EQ(link.held(0, 1), 1u);
    link.kill(1);
    link.run(seconds(1) + PeerFinder::kMemory - seconds(1));
    const auto at = std::ranges::find(link[0].peers, 1) - link[0].peers.begin();
    ASSERT_EQ(link[0].peers.size(), 2u);
    const Inbox& inbox = link[0].host->session(static_cast<std::size_t>(at)).inbox();
    EXPECT_TRUE(inbox.previous()) << "nobody is MASTER, so its flows are kept for whoever becomes it";
    link.run(seconds(2));
    EXPECT_EQ(link[0].peers, std::vector<int>{2});
    EXPECT_EQ(link[0].up(), Addresses{2});
    EXPECT_EQ(link[2].peers, std::vector<int>{0});
    EXPECT_EQ(link[0].host->session(0).channel().counters().downs, 0u);
    EXPECT_EQ(link[0].host->incomplete(link.now), SyncIncomplete::no);
    link.start(1);
    link.run(seconds(1));
    EXPECT_TRUE(link.all_up());
}

// A new peer's outbox must let go of slots as the others do, and one that went must hold none.
TEST(Finder, SlotsAreUsedAgainHoweverPeersComeAndGo) {
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
        Link link(3, seed);
        link.loss = seed == 2 ? 10 : 0;
        link.run(seconds(2));
        link.make_master(0);
        std::set<std::uint32_t> alive;
        for (int step = 0; step < 60; ++step) {
            for (int i = 0; i < 10; ++i) {
                const std::uint32_t number = link.below(300);
                const bool ends = alive.contains(number);
                link.tell(0, ends ? FlowEvent::Kind::ended : FlowEvent::Kind::created, number);
                ends ? void(alive.erase(number)) : void(alive.insert(number));
            }
            const std::size_t who = 1 + link.below(2);
            if (step % 20 == 9) link[who].host ? link.kill(who) : link.start(who);
            link.run(step % 20 == 15 ? PeerFinder::kMemory + seconds(2) : milliseconds(1 + link.below(200)));
        }
        for (const std::size_t i : {1u, 2u})
            if (!link[i].host) link.start(i);
        link.loss = 0;
        link.run(seconds(5));
        ASSERT_TRUE(link.all_up());
        EXPECT_GT(link[0].finder->counters().forgotten, 0u);
        EXPECT_EQ(link.held(1, 0), alive.size());
        EXPECT_EQ(link.held(2, 0), alive.size());
        EXPECT_LE(link[0].host->own().end(), 400u) << "slots leak";
    }
}

TEST(Finder, AHostThatFoundNobodyIsStartingForAMoment) {
    Link link(1);
    link.run(milliseconds(2990));
    EXPECT_EQ(link[0].host->incomplete(link.now), SyncIncomplete::starting);
    link.run(milliseconds(20));
    EXPECT_EQ(link[0].host->incomplete(link.now), SyncIncomplete::no);
}

// ---- against whom

TEST(Finder, ForgedHellosTakeNoPlaceAndLittleTime) {
    Link link(2);
    link.records = true;
    link.run(seconds(1));
    const std::uint64_t sent = link[0].datagrams;
    int tried = 0;
    for (int i = 0; i < 10'000; ++i) {
        Buffer forged = link.recorded[link.below(static_cast<std::uint32_t>(link.recorded.size()))].bytes;
        forged[link.below(static_cast<std::uint32_t>(forged.size()))] ^=
            static_cast<std::uint8_t>(1 + link.below(255));
        ASSERT_EQ(link.hear(0, 1000 + i, forged), Verdict::refused);
        tried += static_cast<int>(link[0].dropped(SyncDrop::hello_flood) == 0);
    }
    EXPECT_EQ(link[0].peers, std::vector<int>{1});
    EXPECT_LE(link[0].dropped(SyncDrop::bad_seal), 100u) << "a flood costs no more (K5)";
    EXPECT_GT(link[0].dropped(SyncDrop::hello_flood), 100u);
    EXPECT_EQ(link[0].datagrams, sent) << "nobody is answered";
    EXPECT_GT(tried, 0);
}

// Whatever was ever said on the link comes again, from any address.
TEST(Finder, RecordedHellosTakeNoPlace) {
    Link link(3);
    link.records = true;
    link.run(seconds(20));
    link.start(1);
    link.run(seconds(20));
    std::vector<Datagram> recorded = link.recorded;
    link.records = false;
    link.start(3);
    for (const bool alone : {false, true}) {
        if (alone) link.start(4, {}, 7), link.cut = {0, 1, 2, 3, 4};
        const std::uint64_t hellos = link[0].hellos_to_all;
        const Instant start = link.now;
        for (std::size_t i = 0; link.now < start + seconds(10); i = (i + 1) % recorded.size()) {
            const std::size_t to = alone ? 4 : link.below(4);
            const Verdict verdict =
                link.hear(to, 1000 + static_cast<int>(link.below(10'000)), recorded[i].bytes);
            ASSERT_TRUE(verdict == Verdict::refused || verdict == Verdict::waits);
            link.run(milliseconds(2));
        }
        EXPECT_LE(link[0].hellos_to_all - hellos, 115u) << "ten a second";
        for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(link[i].peers.size(), 3u) << i;
    }
    EXPECT_EQ(link[4].peers.size(), 0u);
}

// Somebody sends on what hosts say, at once, from addresses of his own: he gets the places of those hosts at
// most, for one name has one place.
TEST(Finder, RelayedHellosTakeOnePlaceForEachHost) {
    Link link(2);
    link.cut = {0, 1};
    link.records = true;
    int address = 1000;
    std::size_t most = 0;
    for (std::size_t next = 0; link.now < Instant(std::chrono::hours(1)) + seconds(30);
         link.run(milliseconds(1)))
        for (; next < link.recorded.size(); ++next) {
            const Datagram datagram = link.recorded[next];
            for (int i = 0; i < 3; ++i) link.hear(datagram.from == 0 ? 1 : 0, ++address, datagram.bytes);
            most = std::max(most, link[0].peers.size());
        }
    EXPECT_EQ(most, 1u);
    link.cut.clear();
    link.run(seconds(5));
    EXPECT_TRUE(link[0].up().contains(1));
    EXPECT_TRUE(link[1].up().contains(0));
}

TEST(Finder, MoreHostsThanThereMayBeAreRefusedAndDisturbNobody) {
    Link link(kPlaces + 1);
    link.run(seconds(5));
    ASSERT_TRUE(link.all_up());
    std::uint64_t before[kPlaces + 1];
    for (std::size_t i = 0; i <= kPlaces; ++i) before[i] = link[i].hellos_to_all;
    for (std::size_t i = 0; i < 12; ++i) link.start(kPlaces + 1 + i);
    link.run(seconds(4));
    for (std::size_t i = 0; i <= kPlaces; ++i) {
        EXPECT_EQ(link[i].up().size(), kPlaces) << i;
        EXPECT_EQ(link[i].peers.size(), kPlaces);
        EXPECT_GT(link[i].finder->counters().no_place, 10u);
        EXPECT_EQ(link[i].hellos_to_all, before[i]);
    }
    for (const Node& node : link.nodes) EXPECT_LE(node.peers.size(), kPlaces);
}

}  // namespace
}  // namespace carpd
