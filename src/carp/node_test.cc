#include "carp/node.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <new>
#include <variant>

// Counts allocations, to hold the core to its word that packets and timers cost none.
namespace {
std::size_t allocations = 0;
}
// Out of line, or g++ takes the pair for a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size)) return memory;
    std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
    std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace carpd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}

GroupConfig group(const char* name, std::uint8_t vhid) {
    GroupConfig config;
    config.name = name;
    config.interface = "eth0";
    config.vhid = Vhid{vhid};
    config.addresses = {{ip("192.0.2.100"), 24}};
    config.key = {'k'};
    return config;
}

LinkStatus good_link() {
    LinkStatus link;
    link.present = link.up = link.running = true;
    link.source4 = ip("192.0.2.1");
    link.source6 = ip("fe80::1");
    return link;
}

// A peer that shares `config`, and the packets it sends.
struct Peer {
    GroupConfig config;
    IpAddress source4 = ip("192.0.2.2"), source6 = ip("fe80::2");
    std::uint64_t counter = 1000;

    Advertisement advertisement() {
        Advertisement a;
        a.vhid = config.vhid.value;
        a.advbase = config.advbase.seconds;
        a.advskew = config.advskew.value;
        a.counter = counter++;
        a.digest = Authenticator(config.key, config.vhid, config.addresses).sign(a.counter);
        return a;
    }
    std::vector<std::uint8_t> packet(const AdvertisementBytes& payload, Family family = Family::ipv4) const {
        const AdvertisementPacket p(family == Family::ipv4 ? source4 : source6, carp_multicast_group(family),
                                    payload);
        return {p.bytes().begin(), p.bytes().end()};
    }
    std::vector<std::uint8_t> packet(Family family = Family::ipv4) {
        return packet(encode(advertisement()), family);
    }
};

class NodeTest : public testing::Test {
 protected:
    void configure(const std::vector<GroupConfig>& groups) {
        node_.configure(now_, share(groups), out_);
        node_.handle_link(now_, 0, good_link(), out_);
        forget();
    }
    Receipt hear(const std::vector<std::uint8_t>& packet, InterfaceId interface = 0) {
        return node_.handle_packet(now_, interface, packet, out_);
    }
    void pass(Duration duration) {
        for (const Instant end = now_ + duration; now_ < end;) {
            now_ = std::min(end, node_.next_deadline());
            node_.handle_timer(now_, out_);
            answer();
        }
    }
    // What a driver that performs the Actions since the last call tells of them: every send went well, but
    // not the `failing`th.
    void answer(int failing = -1) {
        for (; answered_ < out_.size(); ++answered_) {
            const Action action = out_[answered_];
            if (const auto* send = std::get_if<SendAdvertisement>(&action))
                node_.handle_send_result(now_, send->group, failing-- != 0, out_);
            if (const auto* install = std::get_if<InstallAddresses>(&action))
                node_.handle_install_result(now_, install->group, true, out_);
        }
    }
    void forget() {
        out_.clear();
        answered_ = 0;
    }
    State state() const { return node_.group(0)->state(); }
    template <class A>
    int count() const {
        int n = 0;
        for (const Action& action : out_) n += std::holds_alternative<A>(action);
        return n;
    }
    std::uint64_t dropped(DropReason reason) const {
        return node_.dropped()[static_cast<std::size_t>(reason)];
    }
    std::uint64_t group_dropped(DropReason reason) const {
        return node_.group(0)->counters().dropped[reason];
    }

    Node node_{42};
    Actions out_;
    std::size_t answered_ = 0;  // of out_
    Instant now_{seconds(100)};
};

// Every refusal of a packet that names no group of ours: its reason, and a counter of the node.
TEST_F(NodeTest, CountsStrangersPacketsUnderTheirNames) {
    configure({group("lan", 1)});
    Peer peer{group("lan", 1)};
    const auto good = peer.packet();
    const auto payload_at = [&](std::size_t offset, std::uint8_t value) {
        auto p = good;
        p[20 + offset] = value;
        return p;
    };
    const auto expect = [&](DropReason reason, const std::vector<std::uint8_t>& packet,
                            InterfaceId interface = 0) {
        const std::uint64_t before = dropped(reason);
        const Receipt receipt = hear(packet, interface);
        EXPECT_EQ(receipt.refused, reason) << to_string(reason);
        EXPECT_FALSE(receipt.group);
        EXPECT_EQ(dropped(reason), before + 1) << to_string(reason);
    };
    expect(DropReason::bad_interface, good, 7);
    expect(DropReason::bad_ip_header, {});
    auto header = good;
    header[10] ^= 1;
    expect(DropReason::bad_ip_header, header);
    expect(DropReason::bad_version, payload_at(0, 0x41));
    expect(DropReason::bad_checksum, payload_at(2, 9));
    auto vrrp3 = payload_at(0, 0x31);
    vrrp3[21] = 9;
    expect(DropReason::vrrp3, vrrp3);

    Advertisement other = peer.advertisement();
    other.vhid = 2;
    expect(DropReason::bad_vhid, peer.packet(encode(other)));

    const AdvertisementPacket elsewhere(peer.source4, ip("224.0.0.5"), encode(peer.advertisement()));
    expect(DropReason::bad_destination, {elsewhere.bytes().begin(), elsewhere.bytes().end()});
    EXPECT_EQ(state(), State::backup);
}

TEST_F(NodeTest, CountsRefusalsOfAGroupThere) {
    GroupConfig config = group("lan", 1);
    configure({config});
    Peer peer{config};
    const auto expect = [&](DropReason reason, const std::vector<std::uint8_t>& packet) {
        const Receipt receipt = hear(packet);
        EXPECT_EQ(receipt.refused, reason) << to_string(reason);
        EXPECT_EQ(receipt.group, GroupId{0});
        EXPECT_EQ(group_dropped(reason), 1u) << to_string(reason);
    };
    expect(DropReason::bad_family, peer.packet(Family::ipv6));

    Advertisement forged = peer.advertisement();
    forged.digest[19] ^= 1;
    expect(DropReason::bad_digest, peer.packet(encode(forged)));

    // A VRRP router with our id takes our MAC: that is the group's trouble.
    std::vector<std::uint8_t> vrrp = peer.packet();
    vrrp[20] = 0x31;
    expect(DropReason::vrrp3, vrrp);

    pass(seconds(4));
    ASSERT_EQ(state(), State::master);
    for (const Action& action : out_)
        if (const auto* sent = std::get_if<SendAdvertisement>(&action)) {
            const Bytes own = sent->packet.bytes();
            expect(DropReason::own_advert, {own.begin(), own.end()});
            break;
        }
    EXPECT_EQ(state(), State::master);

    node_.handle_link(now_, 0, LinkStatus{}, out_);
    expect(DropReason::not_running, peer.packet());
}

TEST_F(NodeTest, UnicastPeersAreCheckedByAddressAndHopLimit) {
    GroupConfig config = group("lan", 1);
    config.peers = {ip("192.0.2.2")};
    configure({config});
    Peer peer{config};
    const auto unicast = [&](const char* source, std::uint8_t ttl) {
        const AdvertisementPacket p(ip(source), ip("192.0.2.1"), encode(peer.advertisement()));
        std::vector<std::uint8_t> bytes(p.bytes().begin(), p.bytes().end());
        // The header checksum follows the TTL (RFC 1624).
        bytes[8] = ttl;
        const int sum = (bytes[10] << 8 | bytes[11]) + ((255 - ttl) << 8);
        bytes[10] = static_cast<std::uint8_t>((sum + (sum >> 16)) >> 8);
        bytes[11] = static_cast<std::uint8_t>(sum + (sum >> 16));
        return bytes;
    };
    EXPECT_EQ(hear(unicast("192.0.2.2", 255)).refused, std::nullopt);
    EXPECT_EQ(hear(unicast("192.0.2.3", 255)).refused, DropReason::unknown_peer);
    EXPECT_EQ(hear(unicast("192.0.2.2", 254)).refused, DropReason::bad_ttl);

    config.peer_routed = true;
    node_.configure(now_, share({config}), out_);
    EXPECT_EQ(hear(unicast("192.0.2.2", 254)).refused, std::nullopt);
    EXPECT_EQ(node_.group(0)->counters().advertisements_received_ipv4, 2u);
}

// Two partitioned hosts, one of them ucarp or FreeBSD, which counts on from what it heard of us: it is not
// us.
TEST_F(NodeTest, APeerThatAdoptedOurCounterIsHeard) {
    configure({group("lan", 1)});
    pass(seconds(20));
    ASSERT_EQ(state(), State::master);
    Peer peer{group("lan", 1)};
    peer.config.advskew = AdvSkew{100};
    for (const Action& action : out_)
        if (const auto* sent = std::get_if<SendAdvertisement>(&action)) {
            peer.counter = decode_advertisement(sent->packet.bytes().subspan(20))->counter + 1;
            break;
        }
    for (int i = 0; i < 100; ++i) EXPECT_EQ(hear(peer.packet()).refused, std::nullopt);
}

TEST_F(NodeTest, EarlyTimersAreHarmlessAndLateOnesTolerated) {
    configure({group("lan", 1)});
    for (int i = 0; i < 2999; ++i) {
        node_.handle_timer(now_ += milliseconds(1), out_);
        ASSERT_EQ(state(), State::backup);
    }
    EXPECT_TRUE(out_.empty());
    now_ += seconds(3600);
    node_.handle_timer(now_, out_);
    answer();
    EXPECT_EQ(state(), State::master);
    EXPECT_EQ(count<SendAdvertisement>(), 1);
    forget();
    now_ += milliseconds(2700);
    node_.handle_timer(now_, out_);
    EXPECT_EQ(count<SendAdvertisement>(), 1) << "missed advertisements aren't made up for";
    EXPECT_GT(node_.next_deadline(), now_);
}

// Rules F1 and F2.
TEST_F(NodeTest, LeaseIsRenewedWhenEveryCopyOfAnAdvertisementWasSent) {
    GroupConfig both = group("lan", 1);
    both.addresses.push_back({ip("2001:db8::100"), 64});
    configure({both});
    pass(seconds(3));
    ASSERT_EQ(state(), State::master);
    ASSERT_EQ(count<InstallAddresses>(), 1);
    Instant lease = node_.group(0)->lease_until();
    EXPECT_EQ(lease, now_ + milliseconds(2812) + std::chrono::microseconds(500));

    for (int failing : {-1, 0, 1}) {
        forget();
        now_ += seconds(1);
        node_.handle_timer(now_, out_);
        EXPECT_EQ(count<SendAdvertisement>(), 2);
        answer(failing);
        EXPECT_EQ(count<RenewLease>(), failing < 0 ? 1 : 0) << failing;
        EXPECT_EQ(node_.group(0)->lease_until(), failing < 0 ? lease + seconds(1) : lease);
        lease = node_.group(0)->lease_until();
    }
}

// Rule F4: whatever wakes a MASTER whose lease has lapsed, the first thing it does is to withdraw.
TEST_F(NodeTest, LateMasterWithdrawsBeforeItSpeaks) {
    Peer peer{group("lan", 1)};
    peer.config.advskew = AdvSkew{200};
    const std::vector<std::function<void()>> awakenings = {
        [&] { node_.handle_timer(now_, out_); },
        [&] { hear(peer.packet()); },
        [&] { node_.handle_demotion(now_, 0, kOperatorDemotion, 1, out_); },
        [&] { node_.handle_request(now_, 0, State::backup, out_); },
    };
    for (const auto& wake_up : awakenings) {
        node_ = Node(42);
        configure({group("lan", 1)});
        pass(seconds(3));
        ASSERT_EQ(state(), State::master);
        forget();
        now_ = node_.group(0)->lease_until();
        wake_up();
        EXPECT_EQ(state(), State::backup);
        ASSERT_FALSE(out_.empty());
        EXPECT_TRUE(std::holds_alternative<WithdrawAddresses>(out_[0]));
        EXPECT_EQ(count<SendAdvertisement>(), 0);
        EXPECT_EQ(node_.group(0)->cause(), Cause::lease_lapsed);
    }
}

// Rule F3.
TEST_F(NodeTest, BackupThatCannotAdvertiseInstallsNothing) {
    configure({group("lan", 1)});
    now_ = node_.next_deadline();
    node_.handle_timer(now_, out_);
    answer(0);
    EXPECT_EQ(state(), State::backup);
    EXPECT_EQ(node_.group(0)->cause(), Cause::cannot_advertise);
    EXPECT_EQ(count<InstallAddresses>(), 0);
    EXPECT_EQ(count<WithdrawAddresses>(), 0);
}

// Rules Y1 and F1: the lease that the addresses begin with is that of the last advertisement.
TEST_F(NodeTest, AddressesWaitForTheFlows) {
    configure({group("lan", 1)});
    node_.set_commit_wait(now_, seconds(2), out_);
    EXPECT_TRUE(out_.empty());
    pass(seconds(3));
    ASSERT_EQ(state(), State::master);
    EXPECT_EQ(count<CommitFlows>(), 1);
    EXPECT_EQ(count<InstallAddresses>(), 0);
    EXPECT_TRUE(node_.group(0)->waits_for_flows());
    EXPECT_EQ(node_.group(0)->lease_until(), kNever);
    pass(milliseconds(1900));
    EXPECT_EQ(count<SendAdvertisement>(), 2);
    EXPECT_EQ(count<CommitFlows>(), 1);
    EXPECT_EQ(count<RenewLease>() + count<AnnounceAddresses>(), 0);
    forget();
    node_.handle_committed(now_, 0, out_);
    answer();
    ASSERT_EQ(count<InstallAddresses>(), 1);
    const Instant advertised = now_ - milliseconds(900);
    EXPECT_EQ(std::get<InstallAddresses>(out_[0]).lease_until,
              advertised + lease_length(AdvBase{1}, AdvSkew{0}));
    EXPECT_EQ(node_.group(0)->lease_until(), std::get<InstallAddresses>(out_[0]).lease_until);
    EXPECT_FALSE(node_.group(0)->waits_for_flows());
    EXPECT_EQ(count<AnnounceAddresses>(), 1);
    EXPECT_EQ(node_.group(0)->counters().commits_missed, 0u);
    forget();
    node_.handle_committed(now_, 0, out_);
    node_.handle_committed(now_, 7, out_);
    EXPECT_TRUE(out_.empty());
}

TEST_F(NodeTest, AddressesWaitNoLongerThanTheBound) {
    configure({group("lan", 1)});
    node_.set_commit_wait(now_, milliseconds(200), out_);
    pass(seconds(3) + milliseconds(199));
    EXPECT_EQ(count<InstallAddresses>(), 0);
    pass(milliseconds(1));
    EXPECT_EQ(count<InstallAddresses>(), 1);
    ASSERT_EQ(count<ReportUncommitted>(), 1);
    for (const Action& action : out_)
        if (const auto* report = std::get_if<ReportUncommitted>(&action)) {
            EXPECT_EQ(report->waited, milliseconds(200));
        }
    EXPECT_EQ(node_.group(0)->counters().commits_missed, 1u);
    forget();
    node_.handle_committed(now_, 0, out_);
    EXPECT_TRUE(out_.empty());
}

// Rule Y2: a single advertisement that can't be sent doesn't end it, as it doesn't end a MASTER that answers;
// without any for a lease it is over.
TEST_F(NodeTest, WhoWaitsIsMasterForAsLongAsALease) {
    configure({group("lan", 1)});
    node_.set_commit_wait(now_, seconds(60), out_);
    pass(seconds(3));
    ASSERT_TRUE(node_.group(0)->waits_for_flows());
    forget();
    now_ = node_.next_deadline();
    node_.handle_timer(now_, out_);
    answer(0);
    EXPECT_EQ(state(), State::master);
    EXPECT_TRUE(node_.group(0)->waits_for_flows());
    now_ += lease_length(AdvBase{1}, AdvSkew{0}) - seconds(1);
    forget();
    node_.handle_committed(now_, 0, out_);
    EXPECT_EQ(state(), State::backup);
    EXPECT_EQ(node_.group(0)->cause(), Cause::lease_lapsed);
    EXPECT_EQ(count<InstallAddresses>() + count<WithdrawAddresses>(), 0);
}

TEST_F(NodeTest, NobodyWaitsWithoutSynchronisation) {
    configure({group("lan", 1), group("dmz", 2)});
    node_.set_commit_wait(now_, seconds(60), out_);
    pass(seconds(3));
    EXPECT_EQ(count<CommitFlows>(), 2);
    forget();
    node_.set_commit_wait(now_, Duration(0), out_);
    EXPECT_EQ(count<InstallAddresses>(), 2);
}

TEST_F(NodeTest, CountsItsMasters) {
    configure({group("lan", 1), group("dmz", 2)});
    EXPECT_EQ(node_.masters(), 0u);
    pass(seconds(3));
    EXPECT_EQ(node_.masters(), 2u);
    node_.handle_request(now_, 0, State::backup, out_);
    EXPECT_EQ(node_.masters(), 1u);
    configure({group("lan", 1)});
    EXPECT_EQ(node_.masters(), 0u);
    pass(seconds(3));
    EXPECT_EQ(node_.masters(), 1u);
    node_.stop(now_, out_);
    EXPECT_EQ(node_.masters(), 0u);
}

TEST_F(NodeTest, BytesThatAreNotAuthenticChangeNothingButCounters) {
    configure({group("lan", 1)});
    Peer stranger{group("lan", 1)};
    stranger.config.key = {'x'};
    Random random(7);
    const Instant deadline = node_.next_deadline();
    for (int i = 0; i < 20000; ++i) {
        std::vector<std::uint8_t> bytes = stranger.packet();
        if (i % 3 == 0) bytes.resize(random.next() % (bytes.size() + 1));
        if (i % 2 == 0 && !bytes.empty())
            bytes[random.next() % bytes.size()] = static_cast<std::uint8_t>(random.next());
        EXPECT_TRUE(hear(bytes).refused);
    }
    EXPECT_EQ(state(), State::backup);
    EXPECT_EQ(node_.next_deadline(), deadline);
    EXPECT_TRUE(out_.empty());
}

TEST_F(NodeTest, PacketsAndTimersAllocateNothing) {
    configure({group("lan", 1), group("dmz", 2)});
    Peer peer{group("dmz", 2)};
    pass(seconds(4));
    peer.config.advskew = AdvSkew{0};
    const auto packet = peer.packet();
    const auto garbage = std::vector<std::uint8_t>(60, 0x45);
    out_.reserve(64);
    forget();
    const std::size_t before = allocations;
    for (int i = 0; i < 1000; ++i) {
        node_.handle_packet(now_, 0, packet, out_);
        node_.handle_packet(now_, 0, garbage, out_);
        now_ = std::max(now_, node_.next_deadline());
        node_.handle_timer(now_, out_);
        answer();
        forget();
    }
    EXPECT_EQ(allocations, before);
}

// A set of lan and dmz, which is held: it would time out the lan's master, and hears a better one of the dmz.
TEST_F(NodeTest, AHeldSetAllocatesNothingAndDoesNotSpin) {
    auto lan = group("lan", 1), dmz = group("dmz", 2);
    lan.together = dmz.together = "edge";
    lan.advskew = dmz.advskew = AdvSkew{100};
    configure({lan, dmz});
    Peer peer{group("dmz", 2)};
    const auto wait = [&] {
        for (const Instant end = now_ + seconds(1); now_ < end;) {
            const Instant due = node_.next_deadline();
            EXPECT_GT(due, now_);
            now_ = std::min(end, due);
            node_.handle_timer(now_, out_);
        }
    };
    out_.reserve(64);
    for (int i = 0; i < 20; ++i, wait()) hear(peer.packet());
    EXPECT_EQ(count<ReportHeld>(), 1);
    forget();
    std::vector<std::vector<std::uint8_t>> packets;
    for (int i = 0; i < 100; ++i) packets.push_back(peer.packet());
    const std::size_t before = allocations;
    for (const auto& packet : packets) {
        hear(packet);
        wait();
    }
    EXPECT_EQ(allocations, before);
    EXPECT_TRUE(out_.empty());
    EXPECT_EQ(state(), State::backup);
    EXPECT_EQ(node_.group(0)->held(), Cause::master_timed_out);
    EXPECT_GT(node_.group(0)->counters().takeovers_held, 30u);
}

// What each carries is what the others have, and what all have from elsewhere counts once.
TEST_F(NodeTest, ASetHasOneStanding) {
    auto lan = group("lan", 1), dmz = group("dmz", 2), wan = group("wan", 3);
    lan.together = dmz.together = wan.together = "edge";
    dmz.interface_groups = {"outside"};
    configure({lan, dmz, wan});
    node_.hold_down(now_, now_ + seconds(60), out_);
    node_.demote_interface_group(now_, "outside", "work", 5, kNever, out_);
    node_.demote_group(now_, 0, "disk", 20, kNever, out_);
    for (GroupId id = 0; id < 3; ++id) EXPECT_EQ(node_.group(id)->demotion().value(), 153) << id;
    EXPECT_EQ(node_.group(2)->demotion().amount("together:lan"), 25);
    node_.demote_group(now_, 0, "disk", 0, kNever, out_);
    node_.demote_interface_group(now_, "outside", "work", 0, kNever, out_);
    for (GroupId id = 0; id < 3; ++id) EXPECT_EQ(node_.group(id)->demotion().contributions().size(), 1u);

    // A member that leaves the set takes nothing along.
    node_.demote_group(now_, 0, "disk", 20, kNever, out_);
    wan.together.clear();
    configure({lan, dmz, wan});
    EXPECT_EQ(node_.group(1)->demotion().value(), 148);
    EXPECT_EQ(node_.group(2)->demotion().value(), 128);
}

TEST_F(NodeTest, OperatorsDemotionsMayEndByThemselves) {
    configure({group("lan", 1), group("dmz", 2)});
    node_.demote_group(now_, 0, "disk", 20, now_ + seconds(60), out_);
    node_.demote_group(now_, 0, "work", 3, now_ + seconds(9), out_);
    node_.demote_group(now_, 0, "work", 4, kNever, out_);  // what is said last counts
    node_.demote_group(now_, 1, "disk", 20, now_ + seconds(9), out_);
    configure({group("lan", 1)});
    configure({group("lan", 1), group("wan", 3)});  // in the place of dmz
    node_.demote_group(now_, 1, "disk", 5, kNever, out_);
    node_.demote_interface_group(now_, kAllGroups, "drain", 100, now_ + seconds(90), out_);
    EXPECT_EQ(node_.demotion_ends(0, "disk"), now_ + seconds(60));
    EXPECT_EQ(node_.demotion_ends(1, "carp:drain"), now_ + seconds(90));
    EXPECT_EQ(node_.demotion_ends(1, "disk"), kNever);
    for (const auto& [lan, wan] : {std::pair{124, 105}, {104, 105}, {4, 5}}) {
        pass(seconds(40));
        EXPECT_EQ(node_.group(0)->demotion().value(), lan);
        EXPECT_EQ(node_.group(1)->demotion().value(), wan);
    }
}

TEST_F(NodeTest, AcceptsAnAlternateAndCountsIt) {
    auto lan = group("lan", 1);
    lan.accept_key = Key{'n'};
    configure({lan});
    Peer newer{lan}, stranger{lan};
    newer.config.key = Key{'n'};
    stranger.config.key = Key{'x'};
    EXPECT_FALSE(hear(Peer{lan}.packet()).refused);
    EXPECT_EQ(node_.group(0)->counters().alternate_accepted, 0u);
    EXPECT_FALSE(hear(newer.packet()).refused);
    EXPECT_EQ(node_.group(0)->counters().alternate_accepted, 1u);
    EXPECT_EQ(hear(stranger.packet()).refused, DropReason::bad_digest);
    newer.config.addresses = {{ip("192.0.2.101"), 24}};
    EXPECT_EQ(hear(newer.packet()).refused, DropReason::bad_digest);
    lan.accept_addresses = newer.config.addresses;
    configure({lan});
    EXPECT_FALSE(hear(newer.packet()).refused);
    configure({group("lan", 1)});
    EXPECT_EQ(hear(newer.packet()).refused, DropReason::bad_digest);
}

TEST_F(NodeTest, ManyGroupsFireInOrderOfTheirDeadlines) {
    std::vector<GroupConfig> groups;
    for (int vhid = 1; vhid <= 255; ++vhid) {
        groups.push_back(group(("g" + std::to_string(vhid)).c_str(), static_cast<std::uint8_t>(vhid)));
        groups.back().advskew = AdvSkew{static_cast<std::uint8_t>(255 - vhid)};
    }
    configure(groups);
    for (int vhid = 255; vhid >= 1; --vhid) {
        now_ = node_.next_deadline();
        // Those that are masters by now advertise in between.
        node_.handle_timer(now_, out_);
        EXPECT_LE(now_, node_.next_deadline());
    }
    pass(seconds(5));
    Instant last{};
    int masters = 0;
    for (const Action& action : out_)
        if (const auto* report = std::get_if<ReportTransition>(&action)) {
            EXPECT_LE(last, report->at);
            last = report->at;
            masters += report->to == State::master;
        }
    EXPECT_EQ(masters, 255);
}

// Three copies that can't be sent demote, three that can take that back, and both would be said at once.
TEST_F(NodeTest, FailingAndSucceedingCopiesDoNotSetEachOtherOff) {
    GroupConfig config = group("lan", 1);
    config.addresses.push_back({ip("2001:db8::100"), 64});
    config.peers = {ip("192.0.2.2"),   ip("192.0.2.3"),   ip("192.0.2.4"),
                    ip("2001:db8::2"), ip("2001:db8::3"), ip("2001:db8::4")};
    configure({config});
    pass(seconds(4));
    ASSERT_EQ(state(), State::master);
    for (std::size_t i = 0; i < out_.size() && i < 1000; ++i)
        if (const auto* send = std::get_if<SendAdvertisement>(&out_[i]))
            node_.handle_send_result(now_, 0, send->destination.family() == Family::ipv6, out_);
    EXPECT_LT(out_.size(), 1000u);
}

}  // namespace
}  // namespace carpd
