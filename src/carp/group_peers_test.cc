#include "carp/group_peers.h"

#include <gtest/gtest.h>

#include <deque>
#include <functional>

#include "carp/node.h"

namespace carpd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

IpAddress ip(const std::string& text) {
    return IpAddress::parse(text).value();
}

GroupConfig lan(int host, bool ipv6 = false) {
    GroupConfig config;
    config.name = "lan";
    config.interface = "eth0";
    config.vhid = Vhid{1};
    config.addresses = {{ip("192.0.2.100"), 24}};
    if (ipv6) config.addresses.push_back({ip("2001:db8::100"), 64});
    config.key = {'k'};
    config.advskew = AdvSkew{static_cast<std::uint8_t>(10 * host)};
    config.preempt = true;
    config.beacons = true;
    return config;
}

enum class Kind { advertisement, beacon };

// Some hosts on one LAN; what a packet needs to arrive is decided by `passes`.
class PeersTest : public testing::Test {
 protected:
    struct Host {
        explicit Host(std::uint64_t seed) : node(seed) {}
        Node node;
        int number = 0;
        bool alive = true;
        Actions out;
        std::size_t answered = 0;
    };

    Host& add(GroupConfig config, const std::string& name = "") {
        Host& host = *hosts_.emplace_back(std::make_unique<Host>(seed_++));
        host.number = static_cast<int>(hosts_.size());
        host.node.set_host_name(name.empty() ? "fw" + std::to_string(host.number) : name);
        start(host, std::move(config));
        return host;
    }
    void start(Host& host, GroupConfig config) {
        host.node.configure(now_, share({std::move(config)}), host.out);
        set_link(host, true);
    }
    // Another process on the same host.
    void restart(Host& host, GroupConfig config) {
        const std::string name = host.node.host_name();
        host.node = Node(seed_++);
        host.out.clear();
        host.answered = 0;
        host.alive = true;
        host.node.set_host_name(name);
        start(host, std::move(config));
    }
    void set_link(Host& host, bool running) {
        LinkStatus link;
        link.present = link.up = true;
        link.running = running;
        link.source4 = ip("192.0.2." + std::to_string(host.number));
        link.source6 = ip("fe80::" + std::to_string(host.number));
        host.node.handle_link(now_, 0, link, host.out);
        perform(host);
    }
    void stop(Host& host) {
        host.node.stop(now_, host.out);
        perform(host);
        host.alive = false;
    }
    void pass(Duration duration) {
        for (const Instant end = now_ + duration; now_ < end;) {
            Instant next = end;
            for (const auto& host : hosts_)
                if (host->alive) next = std::min(next, host->node.next_deadline());
            now_ = std::max(now_, next);
            for (const auto& host : hosts_) {
                if (!host->alive) continue;
                host->node.handle_timer(now_, host->out);
                perform(*host);
            }
        }
    }
    void perform(Host& host) {
        while (host.answered < host.out.size()) {
            const Action action = host.out[host.answered++];
            if (const auto* send = std::get_if<SendAdvertisement>(&action)) {
                said_.push_back({now_, host.number, {}});
                transmit(host, Kind::advertisement, send->destination, send->packet.bytes());
                host.node.handle_send_result(now_, send->group, true, host.out);
            } else if (const auto* beacon = std::get_if<SendBeacon>(&action)) {
                ++beacons_;
                const Bytes bytes = beacon->packet;
                recorded_.assign(bytes.begin(), bytes.end());
                transmit(host, Kind::beacon, beacon->destination, bytes);
            } else if (const auto* install = std::get_if<InstallAddresses>(&action)) {
                host.node.handle_install_result(now_, install->group, true, host.out);
            } else if (const auto* transition = std::get_if<ReportTransition>(&action)) {
                said_.push_back({now_, host.number, transition->to});
            } else if (const auto* news = std::get_if<ReportPeer>(&action)) {
                news_.push_back(std::to_string(host.number) + ": " + news->host + " " +
                                std::to_string(static_cast<int>(news->news)));
            }
        }
    }
    void transmit(const Host& from, Kind kind, const IpAddress& destination, Bytes bytes) {
        const std::vector<std::uint8_t> packet(bytes.begin(), bytes.end());
        for (const auto& host : hosts_) {
            const bool is_for =
                destination.is_multicast() || destination == ip("192.0.2." + std::to_string(host->number));
            if (host.get() == &from || !host->alive || !is_for) continue;
            if (!passes(from.number, host->number, kind, destination.family())) continue;
            last_ = host->node.handle_packet(now_, 0, packet, host->out);
            perform(*host);
        }
    }
    const GroupPeers& peers(const Host& host) const { return *host.node.peers(0); }
    // All news since the last call.
    std::vector<std::string> news() {
        std::sort(news_.begin(), news_.end());
        return std::exchange(news_, {});
    }
    static std::string text(const Host& host, const std::string& peer, PeerNews news) {
        return std::to_string(host.number) + ": " + peer + " " + std::to_string(static_cast<int>(news));
    }
    GroupPeers::Trouble trouble(const Host& host, std::size_t peer = 0) const {
        return peers(host).trouble(now_, peers(host).peers().at(peer));
    }

    struct Said {
        Instant at;
        int host;
        std::optional<State> entered;
        bool operator==(const Said&) const = default;
    };

    std::vector<std::unique_ptr<Host>> hosts_;
    std::function<bool(int from, int to, Kind, Family)> passes = [](auto...) { return true; };
    std::uint64_t seed_ = 1;
    Instant now_{seconds(1000)};
    std::vector<std::string> news_;
    std::vector<Said> said_;  // what an election consists of
    int beacons_ = 0;
    std::vector<std::uint8_t> recorded_;  // the last beacon
    Receipt last_;
};

TEST_F(PeersTest, HostsThatHearEachOtherSaySo) {
    Host& one = add(lan(1));
    Host& two = add(lan(2));
    pass(seconds(60));
    EXPECT_EQ(news(), std::vector<std::string>{});
    ASSERT_EQ(peers(one).peers().size(), 1u);
    const GroupPeers::Peer& peer = peers(one).peers()[0];
    EXPECT_EQ(peer.said.name(), "fw2");
    EXPECT_EQ(peer.said.state, 1);
    EXPECT_EQ(peer.said.advskew, 20);
    EXPECT_EQ(peer.address(), ip("192.0.2.2"));
    EXPECT_EQ(peers(one).hears_us(now_, peer), std::optional(true));
    EXPECT_LT(now_ - peer.heard_at[0], GroupPeers::kInterval + milliseconds(1));
    EXPECT_FALSE(trouble(one).any());
    EXPECT_FALSE(trouble(two).any());
    // Two hosts, one beacon in five seconds each, and some more at the start.
    EXPECT_LE(beacons_, 2 * (12 + 5));
}

// A BACKUP whose packets are lost would be a second MASTER to those who need it: both find out.
TEST_F(PeersTest, BackupThatIsNotHeardIsFound) {
    Host& one = add(lan(1));
    Host& two = add(lan(2));
    pass(seconds(30));
    news();
    passes = [](int from, int, Kind, Family) { return from != 2; };
    pass(seconds(40));
    EXPECT_EQ(news(), (std::vector{text(one, "fw2", PeerNews::silent), text(two, "fw1", PeerNews::deaf)}));
    EXPECT_TRUE(trouble(one).is_silent);
    EXPECT_TRUE(trouble(two).is_deaf);
    EXPECT_EQ(two.node.group(0)->state(), State::backup);
    passes = [](auto...) { return true; };
    pass(seconds(10));
    EXPECT_EQ(news(), (std::vector{text(one, "fw2", PeerNews::heard), text(two, "fw1", PeerNews::hears_us)}));
    EXPECT_FALSE(trouble(one).any() || trouble(two).any());
}

TEST_F(PeersTest, HostThatComesLaterIsNews) {
    Host& one = add(lan(1));
    pass(seconds(30));
    add(lan(2));
    pass(seconds(30));
    EXPECT_EQ(news(), std::vector{text(one, "fw2", PeerNews::heard)});
}

// One that was never heard is found by itself.
TEST_F(PeersTest, HostThatWasNeverHeardFindsOut) {
    passes = [](int from, int, Kind, Family) { return from != 2; };
    Host& one = add(lan(1));
    Host& two = add(lan(2));
    pass(seconds(15));
    EXPECT_EQ(news(), std::vector<std::string>{});
    pass(seconds(15));
    EXPECT_EQ(news(), std::vector{text(two, "fw1", PeerNews::deaf)});
    EXPECT_TRUE(peers(one).peers().empty());
}

TEST_F(PeersTest, FilteredAdvertisementsOfAMasterAreFound) {
    passes = [](int, int, Kind kind, Family) { return kind == Kind::beacon; };
    Host& one = add(lan(1));
    Host& two = add(lan(2));
    pass(seconds(40));
    EXPECT_EQ(one.node.group(0)->state(), State::master);
    EXPECT_EQ(two.node.group(0)->state(), State::master);
    EXPECT_TRUE(trouble(one).advertisements_missing);
    EXPECT_TRUE(trouble(two).advertisements_missing);
    EXPECT_FALSE(trouble(one).is_deaf || trouble(one).is_silent);
    passes = [](auto...) { return true; };
    news();
    pass(seconds(10));
    EXPECT_FALSE(trouble(one).any() || trouble(two).any());
    EXPECT_FALSE(news().empty());
}

TEST_F(PeersTest, LossInOneFamilyIsFound) {
    Host& one = add(lan(1, true));
    Host& two = add(lan(2, true));
    pass(seconds(30));
    EXPECT_FALSE(trouble(one).any());
    news();
    passes = [](int from, int, Kind, Family family) { return from != 1 || family != Family::ipv6; };
    pass(seconds(30));
    EXPECT_TRUE(trouble(one).is_deaf);  // two doesn't hear one in IPv6
    EXPECT_FALSE(trouble(two).any());
}

TEST_F(PeersTest, OtherAddressesAreFoundUnlessTheyAreAccepted) {
    GroupConfig other = lan(2);
    other.addresses.push_back({ip("192.0.2.101"), 24});
    Host& one = add(lan(1));
    Host& two = add(other);
    pass(seconds(30));
    EXPECT_TRUE(trouble(one).addresses_differ);
    EXPECT_TRUE(trouble(two).addresses_differ);
    EXPECT_FALSE(trouble(one).advertisements_missing);  // they come, and are refused
    GroupConfig accepting = lan(1);
    accepting.accept_addresses = other.addresses;
    one.node.configure(now_, share({accepting}), one.out);
    pass(seconds(10));
    EXPECT_FALSE(trouble(one).addresses_differ);
}

TEST_F(PeersTest, WhoLeavesIsNotMissed) {
    Host& one = add(lan(1));
    Host& two = add(lan(2));
    pass(seconds(30));
    news();
    stop(two);
    pass(seconds(60));
    EXPECT_EQ(news(), std::vector{text(one, "fw2", PeerNews::left)});
    EXPECT_FALSE(trouble(one).any());
    EXPECT_TRUE(peers(one).peers()[0].said.leaves);
    restart(two, lan(2));
    pass(seconds(30));
    EXPECT_EQ(news().front(), text(one, "fw2", PeerNews::heard));
    EXPECT_EQ(peers(one).peers().size(), 1u);
}

TEST_F(PeersTest, RemovedGroupAndOneThatLosesItsBeaconsLeave) {
    Host& one = add(lan(1));
    Host& two = add(lan(2));
    pass(seconds(30));
    news();
    GroupConfig quiet = lan(2);
    quiet.beacons = false;
    two.node.configure(now_, share({quiet}), two.out);
    perform(two);
    EXPECT_EQ(news(), std::vector{text(one, "fw2", PeerNews::left)});
    EXPECT_EQ(two.node.peers(0), nullptr);
    one.node.configure(now_, share({}), one.out);
    perform(one);
    const auto last = parse_ip_packet(recorded_);
    EXPECT_TRUE(decode_beacon(last->payload)->leaves);
    EXPECT_EQ(last_.refused, std::nullopt);  // who has no beacons doesn't mind others'
}

// Somebody who recorded beacons sends them again: nothing that was said by an earlier process counts, and
// nothing twice.
// The sanitizer sees who goes on with what is gone.
TEST_F(PeersTest, GoesOnWhereTheSameIsConfiguredAgain) {
    Host& one = add(lan(1));
    Host& two = add(lan(2));
    pass(seconds(10));
    const std::size_t before = beacons_;
    one.node.configure(now_, share({lan(1)}), one.out);
    pass(seconds(10));
    EXPECT_GT(beacons_, before + 3);
    EXPECT_EQ(peers(one).peers().size(), 1u);
    EXPECT_FALSE(trouble(two).any());
    EXPECT_EQ(news(), std::vector<std::string>{});
}

TEST_F(PeersTest, OldBeaconsAreIgnored) {
    Host& one = add(lan(1));
    Host& two = add(lan(2));
    pass(seconds(30));
    stop(two);
    const auto goodbye = recorded_;
    restart(two, lan(2));
    pass(seconds(30));
    news();
    const auto before = peers(one).peers()[0].said;
    one.node.handle_packet(now_, 0, goodbye, one.out);
    perform(one);
    EXPECT_EQ(peers(one).peers()[0].said, before);
    EXPECT_EQ(peers(one).peers().size(), 1u);
    pass(seconds(6));
    const auto recorded = recorded_;
    pass(seconds(30));
    one.node.handle_packet(now_, 0, recorded, one.out);
    perform(one);
    EXPECT_EQ(news(), std::vector<std::string>{});
    EXPECT_FALSE(trouble(one).any());
}

TEST_F(PeersTest, StrangersAreRefusedAndCounted) {
    Host& one = add(lan(1));
    GroupConfig other = lan(2);
    other.key = {'x'};
    other.advskew = AdvSkew{200};
    add(other);
    pass(seconds(12));
    EXPECT_GE(one.node.group(0)->counters().dropped[DropReason::bad_digest], 1u);
    // What an advertisement of theirs shows isn't forgotten for a beacon of theirs.
    EXPECT_TRUE(one.node.group(0)->last_refused()->advertisement);
    EXPECT_TRUE(peers(one).peers().empty());
    // Our own comes back: no host, and no harm.
    stop(one);
    restart(one, lan(1));
    hosts_[1]->alive = false;
    pass(seconds(2));
    EXPECT_EQ(one.node.handle_packet(now_, 0, recorded_, one.out).refused, DropReason::own_advert);
}

TEST_F(PeersTest, NothingIsMadeOfALinkThatWasDown) {
    Host& one = add(lan(1));
    Host& two = add(lan(2));
    pass(seconds(30));
    news();
    const int before = beacons_;
    set_link(one, false);
    stop(two);
    hosts_[1]->alive = false;
    pass(seconds(60));
    EXPECT_EQ(beacons_, before + 1);  // two's last
    restart(two, lan(2));
    set_link(one, true);
    pass(seconds(40));
    for (const std::string& line : news())
        EXPECT_TRUE(line == text(one, "fw2", PeerNews::heard) || line == text(two, "fw1", PeerNews::heard) ||
                    line == text(one, "fw2", PeerNews::left))
            << line;
    EXPECT_FALSE(trouble(one).any());
}

// The host heard nobody for a minute, and nobody heard it: not a minute of news when it is back.
TEST_F(PeersTest, LinkThatComesBackRaisesNoAlarm) {
    Host& one = add(lan(1));
    Host& two = add(lan(2));
    pass(seconds(30));
    set_link(one, false);
    pass(seconds(60));
    news();
    set_link(one, true);
    pass(seconds(60));
    for (const std::string& line : news()) EXPECT_EQ(line, text(two, "fw1", PeerNews::heard));
    EXPECT_FALSE(trouble(one).any() || trouble(two).any());
}

TEST_F(PeersTest, KnowsAtMostFifteen) {
    for (int i = 1; i <= 20; ++i) add(lan(i));
    pass(seconds(30));
    EXPECT_EQ(peers(*hosts_[0]).peers().size(), GroupPeers::kMostPeers);
    // Those that fell silent make room.
    for (std::size_t i = 1; i < 18; ++i) hosts_[i]->alive = false;
    pass(seconds(120));
    int alive = 0;
    for (const auto& peer : peers(*hosts_[0]).peers()) alive += now_ - peer.last_heard_at() < seconds(6);
    EXPECT_EQ(alive, 2);
}

TEST_F(PeersTest, UnicastPeersGetTheirs) {
    GroupConfig first = lan(1), second = lan(2);
    first.peers = {ip("192.0.2.2")};
    second.peers = {ip("192.0.2.1")};
    Host& one = add(first);
    Host& two = add(second);
    pass(seconds(30));
    EXPECT_EQ(peers(one).hears_us(now_, peers(one).peers().at(0)), std::optional(true));
    EXPECT_EQ(peers(two).hears_us(now_, peers(two).peers().at(0)), std::optional(true));
}

// How late things come is seen for a minute or two.
TEST_F(PeersTest, LateAdvertisementsAreSeen) {
    Host& one = add(lan(1));
    Host& two = add(lan(2));
    pass(seconds(30));
    EXPECT_LT(peers(two).peers()[0].latest(), milliseconds(50));
    Instant pause = now_ + seconds(1);
    passes = [&](int from, int, Kind, Family) { return from != 1 || now_ > pause; };
    pass(seconds(5));
    EXPECT_GT(peers(two).peers()[0].latest(), milliseconds(400));
    pass(seconds(200));
    EXPECT_LT(peers(two).peers()[0].latest(), milliseconds(50));
    EXPECT_FALSE(trouble(one).any());
}

// An election goes as it would without.
TEST_F(PeersTest, ElectionsDoNotNoticeThem) {
    const auto play = [this](bool beacons) {
        hosts_.clear();
        said_.clear();
        seed_ = 1;
        now_ = Instant{seconds(1000)};
        for (int i = 1; i <= 3; ++i) {
            GroupConfig config = lan(i, true);
            config.beacons = beacons;
            add(config);
        }
        pass(seconds(20));
        hosts_[0]->alive = false;
        pass(seconds(20));
        passes = [](int from, int, Kind, Family) { return from != 2; };
        pass(seconds(30));
        passes = [](auto...) { return true; };
        pass(seconds(20));
        return said_;
    };
    const auto without = play(false);
    EXPECT_EQ(play(true), without);
    EXPECT_GT(without.size(), 100u);
}

}  // namespace
}  // namespace carpd
