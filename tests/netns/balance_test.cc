// Three hosts serve the same addresses at the same time: every client is served by one of them, whatever
// happens to the others.
#include <fmt/format.h>

#include <map>

#include "pool_fixture.h"

namespace carpd::lab {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const IpAddress kService4 = *IpAddress::parse(kPool4), kService6 = *IpAddress::parse(kPool6);

bool is_from_pool(const CapturedFrame& frame) {
    return frame.ip_source() == kService4 || frame.ip_source() == kService6;
}

class BalanceMode : public PoolFixture, public testing::WithParamInterface<const char*> {
 protected:
    void SetUp() override {
        PoolFixture::SetUp();
        if (IsSkipped()) return;
        build({.balancing = GetParam()});
        ask();
    }
    bool by_arp() const { return std::string(GetParam()) == "arp"; }
    // After a server's death, or while it is drained, the next one serves its clients.
    ServerOf next_for(int lost) {
        return [this, lost](int client, const IpAddress& service) {
            const int home = home_of(client, service);
            return home == lost ? (home + 1) % 3 : home;
        };
    }
    ServerOf home() {
        return [this](int client, const IpAddress& service) { return home_of(client, service); };
    }
    // Behind ARP balancing a frame that is on its way to the old MASTER comes too late (rule N7).
    int lost_at_hand_over() const { return by_arp() ? 5 : 0; }
    // docs/protocol/balance.md §1.
    MacAddress source_of_answers(int index) {
        const std::string mode = GetParam();
        if (mode == "ip" || mode == "ip-stealth") return server(index).host().mac();
        return virtual_mac(Vhid{static_cast<std::uint8_t>(mode == "arp" ? index + 1 : 1)});
    }
};

TEST_P(BalanceMode, EachClientIsServedByItsHost) {
    std::deque<Capture> captures;
    for (int i = 0; i < 3; ++i) captures.emplace_back(server(i).host(), Capture::What::everything);
    const Time from = Clock::now();
    expect_served(home());
    expect_none_lost(from, [](int, const IpAddress&) { return true; });
    for (int i = 0; i < 3; ++i) {
        int answers = 0;
        for (const CapturedFrame& frame : captures[static_cast<std::size_t>(i)].frames()) {
            if (!frame.sent) continue;
            EXPECT_EQ(frame.source().bytes[0] & 1, 0) << "a multicast source";
            if (!is_from_pool(frame)) continue;
            ++answers;
            EXPECT_EQ(frame.source(), source_of_answers(i));
        }
        EXPECT_GT(answers, 0);
    }
}

TEST_P(BalanceMode, TheNextHostServesTheClientsOfADeadOne) {
    expect_served(home());
    const Time killed = Clock::now();
    server(1).power_off();
    ASSERT_TRUE(wait_until([&] { return server(2).carpnodes() == std::vector{2, 3}; }, 10s));
    expect_served(next_for(1));
    expect_none_lost(killed,
                     [&](int client, const IpAddress& service) { return home_of(client, service) != 1; });

    const Time booted = Clock::now();
    server(1).boot();
    ASSERT_TRUE(pool().wait_home());
    expect_served(home());
    expect_few_lost(booted, 5);
}

TEST_P(BalanceMode, AHostIsDrained) {
    std::optional<Sessions> sessions4, sessions6;
    if (!by_arp()) {  // where frames come to the MASTER alone, connections can't stay
        sessions4.emplace(crowd(), kPool4, 1s);
        sessions6.emplace(crowd(), kPool6, 1s);
    }
    const Time drained = Clock::now();
    server(1).demote(100);
    ASSERT_TRUE(wait_carpnodes({{1}, {}, {2, 3}}));
    expect_served(next_for(1));
    expect_few_lost(drained, lost_at_hand_over());
    const auto expect_alive = [&] {
        for (auto* sessions : {&sessions4, &sessions6})
            if (*sessions) {
                EXPECT_EQ((*sessions)->survivors(5s), kClients);
            }
    };
    expect_alive();

    const Time back = Clock::now();
    server(1).demote(0);
    ASSERT_TRUE(pool().wait_home());
    expect_served(home());
    expect_few_lost(back, lost_at_hand_over());
    expect_alive();
}

TEST_P(BalanceMode, ABackupOfAllIsSilent) {
    // A SYN of the hand-over that both hosts answered (rule N7): this one would say so again after a second.
    server(1).host().set("net/ipv4/tcp_synack_retries", "0");
    server(1).demote(100);
    ASSERT_TRUE(wait_carpnodes({{1}, {}, {2, 3}}));
    ASSERT_TRUE(wait_until([&] { return server(1).web().connections() == 0; }, 10s));
    expect_served(next_for(1));
    Capture capture(server(1).host(), Capture::What::everything);
    crowd().host().ip("neigh flush all");
    expect_served(next_for(1));
    int heard = 0;
    for (const CapturedFrame& frame : capture.frames()) {
        heard += !frame.sent;
        if (!frame.sent) continue;
        EXPECT_FALSE(is_from_pool(frame) || frame.claims(kService4) || frame.claims(kService6) ||
                     frame.is_advertisement());
    }
    EXPECT_GT(heard, 0);
}

INSTANTIATE_TEST_SUITE_P(, BalanceMode, testing::Values("ip", "ip-stealth", "ip-unicast", "arp"),
                         [](const auto& test) {
                             std::string name = test.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

// ---- with weights

class BalanceWeights : public PoolFixture {};

TEST_F(BalanceWeights, ALostShareIsSpreadOverAllOthers) {
    build({.hash = "weighted", .weights = {3, 1, 1}});
    ask();
    const auto home = [&](int client, const IpAddress& service) { return home_of(client, service); };
    expect_served(home);
    const Time killed = Clock::now();
    server(0).power_off();
    ASSERT_TRUE(wait_until([&] { return server(1).carpnodes() == std::vector{1, 2}; }, 10s));
    const auto survivors_home = [&](int client, const IpAddress& service) {
        return home_of(client, service) != 0;
    };
    expect_none_lost(killed, survivors_home);
}

TEST_F(BalanceWeights, OtherWeightsMoveClientsButNoConnections) {
    build({.hash = "weighted", .weights = {1, 1, 1}});
    ask();
    Sessions sessions(crowd(), kPool4, 1s);
    const auto home = [&](int client, const IpAddress& service) { return home_of(client, service); };
    expect_served(home);
    for (int i = 0; i < 3; ++i) {
        std::string config = server(i).config();
        config.replace(config.find("[1, 1, 1]"), 9, "[4, 1, 1]");
        server(i).carpd().apply(config);
    }
    set_weights({4, 1, 1});
    ASSERT_TRUE(pool().wait_home());
    expect_served(home);
    EXPECT_EQ(sessions.survivors(5s), kClients);
}

// ---- switches

class BalanceSwitch : public PoolFixture {};

// A Linux bridge with a querier sends a frame to a multicast MAC where somebody listens to the IP address
// within; to an address that is none of a group nobody does.
TEST_F(BalanceSwitch, KeepsFramesBackAndThatIsSaid) {
    lab().make_snooping();
    build({});
    const auto all_say = [&](const char* part) {
        return wait_until(
            [&] {
                return server(0).says(fmt::format(fmt::runtime(part), "10.1.0.2")) &&
                       server(1).says(fmt::format(fmt::runtime(part), "10.1.0.3")) &&
                       server(2).says(fmt::format(fmt::runtime(part), "10.1.0.1"));
            },
            20s, 50ms);
    };
    EXPECT_TRUE(all_say("frames to the pool's address 01:00:5e:00:01:01 don't come from {}"));
    lab().switch_space().ip("link set br0 type bridge mcast_snooping 0");
    EXPECT_TRUE(all_say("frames to the pool's address 01:00:5e:00:01:01 come from {} again"));
}

TEST_F(BalanceSwitch, SnoopsAndLetsStealthBe) {
    lab().make_snooping();
    build({.balancing = "ip-stealth"});
    ask();
    expect_served([&](int client, const IpAddress& service) { return home_of(client, service); });
    // And nobody takes it for one that keeps frames back.
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(wait_until([&] { return server(i).hears_probes_of(2); }, 20s, 50ms));
        EXPECT_FALSE(server(i).says("don't come from"));
    }
}

// ---- mistakes and malice

TEST_F(BalanceSwitch, OtherCarpnodesOnAHostAreSaid) {
    build({});
    std::string config = server(1).config();
    config.replace(config.find("\"3:"), 0, "\"7:200\", ");
    server(1).carpd().apply(config);
    const auto is_said = [&](int host) { return server(host).says("has another balancing, hash"); };
    EXPECT_TRUE(wait_until([&] { return is_said(0) && is_said(2); }, 10s));
}

// Who asks for an address, "10.1.2.0" and so on.
std::vector<std::uint8_t> request_of_stranger(std::uint32_t number) {
    std::vector<std::uint8_t> frame(60);
    ByteWriter out(frame);
    const MacAddress own{
        {0x02, 0x77, 0, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)}};
    for (int i = 0; i < 6; ++i) out.u8(0xff);
    out.bytes(own.bytes);
    for (const int word : {0x0806, 1, 0x0800, 0x0604, 1}) out.u16(static_cast<std::uint16_t>(word));
    out.bytes(own.bytes);
    out.u32(0x0a010200 + number);
    out.bytes(MacAddress{}.bytes);
    out.bytes(kService4.bytes());
    return frame;
}

// Ten thousand strangers ask within a second: each is answered, once, by the leader's MASTER, and nobody
// remembers them.
TEST_F(BalanceSwitch, AFloodOfArpRequestsIsAnsweredOnce) {
    constexpr std::uint32_t kStrangers = 10'000;
    build({});
    std::deque<Capture> captures;
    std::vector<int> memory;
    for (int i = 0; i < 3; ++i) {
        captures.emplace_back(server(i).host());
        memory.push_back(memory_kib(server(i).carpd().engine_pid()));
    }
    Injector strangers(crowd().host());
    Time next = Clock::now();
    for (std::uint32_t number = 0; number < kStrangers; ++number) {
        strangers.frame(request_of_stranger(number));
        if (number % 100 == 99) std::this_thread::sleep_until(next += 10ms);
    }
    for (int i = 0; i < 3; ++i) {
        const auto answers = [&] {
            std::map<MacAddress, int> by_asker;
            for (const CapturedFrame& frame : captures[static_cast<std::size_t>(i)].frames())
                if (frame.sent && frame.claims_by_arp(kService4)) ++by_asker[frame.destination()];
            return by_asker;
        };
        if (i == 0) {
            EXPECT_TRUE(wait_until([&] { return answers().size() == kStrangers; }, 5s, 50ms));
        }
        EXPECT_EQ(answers().size(), i == 0 ? kStrangers : 0);
        for (const auto& [asker, count] : answers()) EXPECT_EQ(count, 1);
        EXPECT_LE(memory_kib(server(i).carpd().engine_pid()), memory[static_cast<std::size_t>(i)] + 1024);
        EXPECT_THAT(server(i).host().run({"ip", "neigh"}).output, testing::Not(HasSubstr("10.1.2.")));
    }
    EXPECT_TRUE(pool().wait_home());
}

}  // namespace
}  // namespace carpd::lab
