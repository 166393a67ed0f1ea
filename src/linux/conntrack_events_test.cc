#include "linux/conntrack_events.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <map>
#include <optional>
#include <set>

#include "linux/conntrack_dump.h"
#include "linux/conntrack_table.h"
#include "linux/conntrack_test_flows.h"
#include "linux/test_network.h"

namespace carpd {
namespace {

using Kind = FlowEvent::Kind;

class ConntrackEventsTest : public testing::Test {
 protected:
    void SetUp() override {
        if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "needs the right to make network namespaces (root)";
        host.emplace();
        table.emplace(open_table());
    }

    static ConntrackTable open_table() {
        auto opened = ConntrackTable::open();
        EXPECT_TRUE(opened.has_value());
        return std::move(opened.value());
    }
    static ConntrackEvents open_events(const ConntrackEvents::Options& options) {
        auto opened = ConntrackEvents::open(options);
        EXPECT_TRUE(opened.has_value()) << opened.error().to_string();
        return std::move(opened.value());
    }
    // A rule that needs to know flows makes the kernel track them.
    static void track() {
        run("nft 'add table inet t; add chain inet t c { type filter hook input priority 0; };"
            "add rule inet t c ct state invalid drop'");
    }
    static void change(ConntrackTable& through, FlowChange::Kind kind, const Flow& flow) {
        const FlowChange changes[] = {{kind, flow}};
        EXPECT_TRUE(through.run(changes).empty());
    }
    // Events until `enough` says so, or none comes.
    static std::vector<FlowEvent> hear(ConntrackEvents& events,
                                       const std::function<bool(const std::vector<FlowEvent>&)>& enough) {
        std::vector<FlowEvent> heard;
        while (!enough(heard) && readable(events.fd())) {
            const auto batch = events.read();
            EXPECT_EQ(batch.lost, 0u);
            heard.insert(heard.end(), batch.events.begin(), batch.events.end());
        }
        EXPECT_TRUE(enough(heard));
        return heard;
    }

    std::optional<TestHost> host;
    std::optional<ConntrackTable> table;
};

// A TCP connection over lo, from SYN to its end.
void talk(const IpAddress& address, std::uint16_t port) {
    const bool v4 = address.family() == Family::ipv4;
    sockaddr_in to4{AF_INET, htons(port), {}, {}};
    sockaddr_in6 to6{AF_INET6, htons(port), 0, {}, 0};
    std::memcpy(v4 ? static_cast<void*>(&to4.sin_addr) : &to6.sin6_addr, address.bytes().data(),
                address.bytes().size());
    const auto* to = v4 ? reinterpret_cast<const sockaddr*>(&to4) : reinterpret_cast<const sockaddr*>(&to6);
    const socklen_t size = v4 ? sizeof to4 : sizeof to6;
    const UniqueFd listener(socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(listener.get(), to, size), 0);
    ASSERT_EQ(listen(listener.get(), 1), 0);
    UniqueFd client(socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(client.get(), to, size), 0);
    UniqueFd server(accept(listener.get(), nullptr, nullptr));
    char byte = 'x';
    EXPECT_EQ(send(client.get(), &byte, 1, 0), 1);
    EXPECT_EQ(recv(server.get(), &byte, 1, 0), 1);
    client = UniqueFd();
    EXPECT_EQ(recv(server.get(), &byte, 1, 0), 0);
}

TEST_F(ConntrackEventsTest, TellsTheLifeOfAConnection) {
    track();
    ConntrackEvents events = open_events({});
    for (const char* address : {"127.0.0.1", "::1"}) {
        SCOPED_TRACE(address);
        talk(ip(address), 7777);
        const auto heard = hear(events, [](const auto& so_far) {
            return !so_far.empty() && so_far.back().tells_protocol &&
                   std::get<TcpState>(so_far.back().flow.state.protocol).state == 7;  // TIME_WAIT
        });
        const Flow& first = heard[0].flow;
        EXPECT_EQ(first.identity.original.destination, ip(address));
        EXPECT_EQ(first.identity.original.protocol, 6);
        EXPECT_EQ(first.identity.original.second, 7777);
        EXPECT_EQ(first.identity.reply, first.identity.original.inverse());
        EXPECT_EQ(std::get<TcpState>(first.state.protocol).state, 2);  // SYN_RECV: it was answered
        FlowState held = first.state;
        std::set<std::uint8_t> states;
        for (const FlowEvent& event : heard) {
            EXPECT_EQ(event.kind, Kind::changed);
            EXPECT_EQ(event.flow.identity, first.identity);
            update(held, event);
            states.insert(std::get<TcpState>(held.protocol).state);
            if (std::get<TcpState>(held.protocol).state == 3) {  // ESTABLISHED
                EXPECT_GT(held.timeout, 1000u);
                EXPECT_EQ(std::get<TcpState>(held.protocol).flags[0] & 1, 1);  // window scaling
                EXPECT_GT(std::get<TcpState>(held.protocol).window_scale[0], 0);
            }
        }
        EXPECT_TRUE(states.contains(3));
        EXPECT_EQ(held.status, kAssured);

        ConntrackTable other = open_table();
        change(other, FlowChange::Kind::remove, first);
        const auto end = hear(events, [](const auto& so_far) { return !so_far.empty(); });
        EXPECT_EQ(end[0].kind, Kind::ended);
        EXPECT_EQ(end[0].flow.identity, first.identity);
    }
    for (const auto refused : events.refused()) EXPECT_EQ(refused, 0u);
}

// That of which the traffic is made counts, not the ruleset's part in it.
TEST_F(ConntrackEventsTest, TellsTranslationsAndMarks) {
    run("nft 'add table ip n; add chain ip n out { type nat hook output priority -100; };"
        "add rule ip n out tcp dport 80 meta mark set 1 dnat to 127.0.0.1:7778;"
        "add chain ip n in { type filter hook input priority 0; }; add rule ip n in ct mark set 0x55'");
    ConntrackEvents events = open_events({});
    run("ip address add 192.0.2.1/32 dev lo");
    const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in at{AF_INET, htons(7778), {htonl(INADDR_LOOPBACK)}, {}};
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    ASSERT_EQ(listen(listener.get(), 1), 0);
    const UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in to{AF_INET, htons(80), {htonl(0xc0000201)}, {}};
    ASSERT_EQ(connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    const auto heard = hear(events, [](const auto& so_far) {
        return !so_far.empty() && so_far.back().flow.state.status & 4;  // assured
    });
    const Flow& flow = heard.back().flow;
    EXPECT_EQ(flow.identity.original.destination, ip("192.0.2.1"));
    EXPECT_EQ(flow.identity.reply.source, ip("127.0.0.1"));
    EXPECT_EQ(flow.identity.reply.first, 7778);
    EXPECT_TRUE(flow.identity.is_translated());
    EXPECT_EQ(flow.state.mark, 0x55u);
}

TEST_F(ConntrackEventsTest, DoesNotHearItsOwnInjections) {
    ConntrackEvents events = open_events({.ignored_port = table->port()});
    ConntrackTable other = open_table();
    const Flow ours = test_flow("tcp 4").flow, theirs = test_flow("tcp translated 6").flow;
    for (const auto kind : {FlowChange::Kind::create, FlowChange::Kind::update, FlowChange::Kind::remove}) {
        change(*table, kind, ours);
        change(other, kind, theirs);
    }
    const auto heard = hear(events, [](const auto& so_far) { return so_far.size() == 3; });
    for (const FlowEvent& event : heard) EXPECT_EQ(event.flow.identity, theirs.identity);
    EXPECT_EQ(heard[0].kind, Kind::created);
    EXPECT_EQ(heard[0].flow.state, theirs.state);
    EXPECT_EQ(heard[1].kind, Kind::changed);
    EXPECT_EQ(heard[2].kind, Kind::ended);
    EXPECT_FALSE(readable(events.fd(), 0));
}

// What an event of an injected flow tells is what was injected, whatever the flow.
TEST_F(ConntrackEventsTest, EventsOfEveryKindOfFlow) {
    ConntrackEvents events = open_events({});
    for (auto [name, flow] : test_flows()) {
        SCOPED_TRACE(name);
        auto* const tcp = std::get_if<TcpState>(&flow.state.protocol);
        if (tcp && tcp->state == 1) tcp->state = 2;  // of those that nobody answered it doesn't hear
        change(*table, FlowChange::Kind::create, flow);
        const auto heard = hear(events, [](const auto& so_far) { return so_far.size() == 1; });
        Flow expected = flow;
        if (flow.identity.master) expected.state.status |= 1;
        expected.state.timeout = heard[0].flow.state.timeout;
        EXPECT_EQ(heard[0].flow.identity, expected.identity);
        EXPECT_EQ(heard[0].flow.state, expected.state);
        EXPECT_NEAR(heard[0].flow.state.timeout, flow.state.timeout, 5);
    }
}

TEST_F(ConntrackEventsTest, AnOverrunIsToldAndADumpRepairsIt) {
    ConntrackEvents events = open_events({.buffer = 200 * 1280});
    std::set<std::uint16_t> known;
    std::uint64_t heard = 0, lost = 0;
    const auto learn = [&](const FlowEvent& event) { known.insert(event.flow.identity.original.first); };
    const auto drain = [&] {
        for (bool more = true; more;) {
            const auto batch = events.read();
            more = batch.more;
            for (const FlowEvent& event : batch.events) learn(event);
            heard += batch.events.size();
            lost += batch.lost;
            EXPECT_TRUE(!more || batch.lost == 0);  // told when it is empty
        }
    };
    Flow flow = test_flow("udp 4").flow;
    for (std::uint16_t port = 1; port <= 1000; ++port) {
        flow.identity.original.first = port;
        flow.identity.reply = flow.identity.original.inverse();
        change(*table, FlowChange::Kind::create, flow);
    }
    drain();
    EXPECT_GT(lost, 0u);
    EXPECT_EQ(heard + lost, 1000u);
    EXPECT_EQ(known.size(), heard);

    auto dump = ConntrackDump::start();
    ASSERT_TRUE(dump.has_value());
    for (bool more = true; more;) more = dump->read(learn).value();
    EXPECT_EQ(known.size(), 1000u);

    // Afterwards it hears again.
    flow.identity.original.first = 1001;
    flow.identity.reply = flow.identity.original.inverse();
    lost = 0;
    change(*table, FlowChange::Kind::create, flow);
    drain();
    EXPECT_EQ(lost, 0u);
    EXPECT_TRUE(known.contains(1001));
}

// A daemon that starts late hears of all flows only where the kernel was told to have events for all.
TEST_F(ConntrackEventsTest, HearsOfFlowsFromBeforeWhereAllHaveEvents) {
    run("sysctl -qw net.netfilter.nf_conntrack_events=1");
    const Flow flow = test_flow("udp 6").flow;
    change(*table, FlowChange::Kind::create, flow);
    ConntrackEvents events = open_events({});
    change(*table, FlowChange::Kind::remove, flow);
    const auto heard = hear(events, [](const auto& so_far) { return so_far.size() == 1; });
    EXPECT_EQ(heard[0].kind, Kind::ended);
    EXPECT_EQ(heard[0].flow.identity, flow.identity);
}

TEST_F(ConntrackEventsTest, ReadsNothingWhereNothingWaits) {
    ConntrackEvents events = open_events({});
    const auto batch = events.read();
    EXPECT_TRUE(batch.events.empty());
    EXPECT_FALSE(batch.more);
    EXPECT_EQ(batch.lost, 0u);
}

TEST_F(ConntrackEventsTest, DoesNotHearOfNewConnectionsThatNobodyAnswered) {
    track();
    ConntrackEvents events = open_events({});
    ConntrackTable other = open_table();
    Flow unanswered = test_flow("tcp 4").flow, helped = test_flow("ftp 6").flow, answered = unanswered;
    std::get<TcpState>(unanswered.state.protocol).state = 1;
    std::get<TcpState>(helped.state.protocol).state = 1;
    answered.identity.original.first = 1;
    answered.identity.reply = answered.identity.original.inverse();
    for (const Flow& flow : {unanswered, helped, answered}) change(other, FlowChange::Kind::create, flow);
    const auto heard = hear(events, [](const auto& so_far) { return so_far.size() == 2; });
    ASSERT_EQ(heard.size(), 2u);
    EXPECT_EQ(heard[0].flow.identity, helped.identity);  // no later event would tell of its helper
    EXPECT_EQ(heard[1].flow.identity, answered.identity);
}

TEST_F(ConntrackEventsTest, HearsOfThemWherePacketsWait) {
    track();
    ConntrackTable own = open_table();
    ConntrackEvents events = open_events({.ignored_port = own.port(), .unanswered = true});
    ConntrackEvents all = open_events({.unanswered = true});
    ConntrackTable other = open_table();
    Flow flow = test_flow("tcp 4").flow;
    std::get<TcpState>(flow.state.protocol).state = 1;
    change(own, FlowChange::Kind::create, flow);
    change(own, FlowChange::Kind::remove, flow);
    change(other, FlowChange::Kind::create, flow);
    const auto heard = hear(events, [](const auto& so_far) { return !so_far.empty(); });
    ASSERT_EQ(heard.size(), 1u);
    EXPECT_EQ(std::get<TcpState>(heard[0].flow.state.protocol).state, 1);
    EXPECT_EQ(hear(all, [](const auto& so_far) { return so_far.size() == 3; }).size(), 3u);
}

TEST_F(ConntrackEventsTest, HearsOnlyEndsIfNothingElseIsWanted) {
    track();
    ConntrackEvents events = open_events({});
    events.hear_all(false);
    ConntrackTable other = open_table();
    Flow flow = test_flow("udp 4").flow;
    change(other, FlowChange::Kind::create, flow);
    change(other, FlowChange::Kind::update, flow);
    change(other, FlowChange::Kind::remove, flow);
    const auto ends = hear(events, [](const auto& so_far) { return !so_far.empty(); });
    ASSERT_EQ(ends.size(), 1u);
    EXPECT_EQ(ends[0].kind, Kind::ended);

    events.hear_all(true);
    change(other, FlowChange::Kind::create, flow);
    EXPECT_EQ(hear(events, [](const auto& so_far) { return !so_far.empty(); })[0].kind, Kind::created);
}

}  // namespace
}  // namespace carpd
