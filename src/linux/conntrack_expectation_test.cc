#include "linux/conntrack_expectation.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "linux/conntrack_dump.h"
#include "linux/conntrack_events.h"
#include "linux/conntrack_table.h"
#include "linux/conntrack_test_flows.h"
#include "linux/test_network.h"

namespace carpd {
namespace {

using Kind = FlowChange::Kind;
using Buffer = std::vector<std::uint8_t>;

// What the flow "ftp" of test_flows() expects: its client's data connection to the server.
Flow expectation_of(const Flow& master) {
    const bool v4 = master.identity.original.source.family() == Family::ipv4;
    Flow flow;
    flow.identity.original = {master.identity.original.source, master.identity.original.destination, 6, 0,
                              50000};
    flow.identity.reply = flow.identity.original.inverse();
    flow.identity.master = master.identity.original;
    flow.identity.mask = {ip_of(v4 ? "255.255.255.255" : "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")};
    flow.identity.helper = {'f', 't', 'p'};
    flow.state.timeout = 200;
    flow.state.protocol = ExpectationState{};
    return flow;
}

// One that has everything.
Flow translated(Flow flow) {
    const bool v4 = flow.identity.original.source.family() == Family::ipv4;
    auto& expectation = std::get<ExpectationState>(flow.state.protocol);
    expectation.flags = 1;
    expectation.translation = {1, ip_of(v4 ? "10.0.0.5" : "fd00::5"), 50001};
    expectation.function = {"nat-follow-master"};
    return flow;
}

Buffer written(const Flow& flow) {
    Buffer buffer(kLongestConntrackMessage);
    buffer.resize(put_expectation(flow, 1, buffer));
    return buffer;
}

TEST(ConntrackExpectation, ReadsWhatItWrites) {
    for (const char* name : {"ftp 4", "ftp 6"}) {
        const Flow plain = expectation_of(test_flow(name).flow);
        Flow of_class = translated(plain);
        of_class.identity.zone = 300;
        std::get<ExpectationState>(of_class.state.protocol).expect_class = 2;
        for (const Flow& flow : {plain, translated(plain), of_class}) {
            const auto event = parse_flow(written(flow));
            ASSERT_TRUE(event.has_value());
            EXPECT_EQ(event->kind, FlowEvent::Kind::created);
            EXPECT_TRUE(event->tells_protocol);
            Flow expected = flow;  // FTP's doesn't go on with a data connection
            if (std::get<ExpectationState>(flow.state.protocol).expect_class == 0)
                expected.identity.helper = {};
            EXPECT_EQ(event->flow, expected);
        }
    }
}

TEST(ConntrackExpectation, TheLongestFits) {
    Flow flow = translated(expectation_of(test_flow("ftp 6").flow));
    flow.identity.zone = 1;
    flow.identity.helper = {"abcdefghijklmno"};
    auto& expectation = std::get<ExpectationState>(flow.state.protocol);
    expectation.expect_class = 1;
    expectation.function = {"abcdefghijklmnopqrstuvw"};
    EXPECT_GT(written(flow).size(), 410u);
    EXPECT_EQ(parse_flow(written(flow))->flow, flow);
}

// The place of an attribute's value, of those of the message itself.
std::size_t value_of(const Buffer& message, std::uint8_t type) {
    for (std::size_t at = 20; at < message.size(); at += (message[at] + 3u) & ~3u)
        if (message[at + 2] == type) return at + 4;
    ADD_FAILURE() << "no attribute " << int{type};
    return 20;
}

TEST(ConntrackExpectation, NamesWhatItRefuses) {
    const Buffer good = written(translated(expectation_of(test_flow("ftp 4").flow)));
    const auto refusal = [&](std::size_t place, std::uint8_t value) {
        Buffer bad = good;
        bad[place] = value;
        const auto event = parse_flow(bad);
        return event ? std::string("none") : std::string(to_string(event.error()));
    };
    EXPECT_EQ(refusal(16, 7), "unknown_family");
    EXPECT_EQ(refusal(16, 10), "malformed");  // IPv4 addresses in one of IPv6
    for (const auto type :
         {std::uint8_t{1}, std::uint8_t{2}, std::uint8_t{3}})  // CTA_EXPECT_MASTER, _TUPLE, _MASK
        EXPECT_EQ(refusal(value_of(good, type) - 2, 100), "incomplete");
    EXPECT_EQ(refusal(value_of(good, 9), 1), "malformed") << "a class above 255";
    EXPECT_EQ(refusal(value_of(good, 10) + 7, 2), "malformed") << "a direction that isn't one";
    EXPECT_EQ(refusal(value_of(good, 10) + 8, 3), "malformed") << "a translation cut short";
    EXPECT_EQ(refusal(value_of(good, 11) + 17, 'x'), "none");
    Buffer long_name = good;
    const std::size_t name = value_of(good, 11);
    long_name.insert(long_name.end(), 8, 'x');
    std::fill_n(long_name.begin() + static_cast<std::ptrdiff_t>(name), 28, 'x');
    long_name[name - 4] = 4 + 24;
    long_name[0] = static_cast<std::uint8_t>(long_name.size());
    long_name[1] = static_cast<std::uint8_t>(long_name.size() >> 8);
    EXPECT_EQ(parse_flow(long_name).error(), ConntrackRefusal::malformed);
    for (std::size_t size = 0; size < good.size(); ++size) {
        const Buffer cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_EQ(parse_flow(cut).error(), ConntrackRefusal::truncated);
    }
}

// A peer told a flow with an expectation's identity and another state; or the translation of another family.
TEST(ConntrackExpectation, WritesWhatDoesNotFitTogether) {
    Flow flow = expectation_of(test_flow("ftp 4").flow);
    flow.state.protocol = TcpState{};
    EXPECT_TRUE(parse_flow(written(flow)).has_value());
    ExpectationState expectation;
    expectation.translation = {1, ip_of("fd00::5"), 50001};
    flow.state.protocol = expectation;
    const auto event = parse_flow(written(flow));
    ASSERT_TRUE(event.has_value());
    EXPECT_FALSE(std::get<ExpectationState>(event->flow.state.protocol).translation);
}

// ---- in a kernel

class ConntrackExpectationTest : public testing::Test {
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

    // The errno, 0 if it was done.
    static int change(ConntrackTable& through, Kind kind, const Flow& flow) {
        const FlowChange changes[] = {{kind, flow}};
        const auto failures = through.run(changes);
        return failures.empty() ? 0 : failures[0].error;
    }
    int change(Kind kind, const Flow& flow) { return change(*table, kind, flow); }

    // The expectations of a dump, in which flows come first.
    static std::vector<Flow> expectations(std::optional<Family> family = std::nullopt) {
        std::vector<Flow> found;
        auto dump = ConntrackDump::start(family);
        EXPECT_TRUE(dump.has_value());
        for (bool more = true; more;) {
            const auto read = dump->read([&](const FlowEvent& event) {
                EXPECT_EQ(event.kind, FlowEvent::Kind::listed);
                if (event.flow.identity.is_expectation()) return found.push_back(event.flow);
                EXPECT_TRUE(found.empty());
            });
            EXPECT_TRUE(read.has_value()) << read.error().to_string();
            more = read && *read;
        }
        for (const auto refused : dump->refused()) EXPECT_EQ(refused, 0u);
        return found;
    }
    // The only one there is, with the timeout of `wanted` if it is almost that.
    static Flow only(const Flow& wanted) {
        auto found = expectations();
        EXPECT_EQ(found.size(), 1u);
        if (found.empty()) return {};
        std::uint32_t& timeout = found[0].state.timeout;
        if (timeout <= wanted.state.timeout && timeout + 10 > wanted.state.timeout)
            timeout = wanted.state.timeout;
        return found[0];
    }

    std::optional<TestHost> host;
    std::optional<ConntrackTable> table;
};

TEST_F(ConntrackExpectationTest, IsThereAsInjected) {
    for (const char* name : {"ftp 4", "ftp 6"}) {
        SCOPED_TRACE(name);
        const Flow master = test_flow(name).flow;
        EXPECT_EQ(change(Kind::create, master), 0);
        for (Flow flow : {expectation_of(master), translated(expectation_of(master))}) {
            EXPECT_EQ(change(Kind::create, flow), 0);
            EXPECT_EQ(only(flow), flow);
            flow.state.timeout = 20;  // less than the helper gives
            EXPECT_EQ(change(Kind::update, flow), 0);
            EXPECT_EQ(only(flow), flow);
            EXPECT_EQ(change(Kind::create, flow), 0);
            EXPECT_EQ(only(flow), flow);
            EXPECT_EQ(change(Kind::remove, flow), 0);
            EXPECT_TRUE(expectations().empty());
            EXPECT_EQ(change(Kind::remove, flow), 0);
        }
    }
    EXPECT_EQ(table->counters().gone, 4u);
    EXPECT_EQ(table->counters().removed, 4u);
    EXPECT_EQ(table->counters().written, 2u + 12u);
}

TEST_F(ConntrackExpectationTest, ABatchMakesMasterAndExpectation) {
    const Flow four = test_flow("ftp 4").flow, six = test_flow("ftp 6").flow;
    const FlowChange changes[] = {{Kind::create, four},
                                  {Kind::create, expectation_of(four)},
                                  {Kind::create, expectation_of(six)},  // its master isn't there yet
                                  {Kind::create, six},
                                  {Kind::update, expectation_of(six)}};
    const auto failures = table->run(changes);
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(failures[0].index, 2u);
    EXPECT_EQ(failures[0].error, ENOENT);
    EXPECT_EQ(expectations().size(), 2u);
    const auto of_six = expectations(Family::ipv6);
    ASSERT_EQ(of_six.size(), 1u);
    EXPECT_EQ(of_six[0].identity, expectation_of(six).identity);
}

TEST_F(ConntrackExpectationTest, ADifferentOneIsInTheWay) {
    const Flow master = test_flow("ftp 4").flow;
    Flow other = master;
    other.identity.original.first = 7;
    other.identity.reply = other.identity.original.inverse();
    const Flow flow = expectation_of(master);
    Flow clash = expectation_of(other);
    clash.identity.mask->source = ip_of("0.0.0.0");
    clash.identity.original.source = ip_of("0.0.0.0");
    EXPECT_EQ(change(Kind::create, master), 0);
    EXPECT_EQ(change(Kind::create, other), 0);
    EXPECT_EQ(change(Kind::create, flow), 0);
    EXPECT_NE(change(Kind::create, clash), 0);
    EXPECT_EQ(only(flow), flow);
    EXPECT_EQ(table->counters().clashes, 1u);
}

TEST_F(ConntrackExpectationTest, EventsTellOfThoseOfOthers) {
    auto events = ConntrackEvents::open({.ignored_port = table->port()});
    ASSERT_TRUE(events.has_value());
    ConntrackTable other = open_table();
    const Flow master = test_flow("ftp 6").flow, flow = translated(expectation_of(master));
    Flow ours = expectation_of(master);
    ours.identity.original.second = 50002;
    ours.identity.reply = ours.identity.original.inverse();
    EXPECT_EQ(change(Kind::create, master), 0);
    EXPECT_EQ(change(Kind::create, ours), 0);
    EXPECT_EQ(change(Kind::remove, ours), 0);
    EXPECT_EQ(change(other, Kind::create, flow), 0);
    EXPECT_EQ(change(other, Kind::remove, flow), 0);
    events->hear_all(false);
    EXPECT_EQ(change(other, Kind::create, flow), 0);
    EXPECT_EQ(change(Kind::remove, master), 0);  // and with it what it expects
    std::vector<FlowEvent> heard;
    while (heard.size() < 3 && readable(events->fd()))
        for (const FlowEvent& event : events->read().events) heard.push_back(event);
    ASSERT_EQ(heard.size(), 3u);
    EXPECT_EQ(heard[0].kind, FlowEvent::Kind::created);
    EXPECT_EQ(heard[0].flow.identity, flow.identity);
    EXPECT_EQ(heard[0].flow.state.protocol, flow.state.protocol);
    EXPECT_GT(heard[0].flow.state.timeout, 250u);  // what the helper gives
    for (const std::size_t end : {1, 2}) {
        EXPECT_EQ(heard[end].kind, FlowEvent::Kind::ended);
        EXPECT_EQ(heard[end].flow.identity, flow.identity);
    }
    EXPECT_FALSE(readable(events->fd(), 0));
    for (const auto refused : events->refused()) EXPECT_EQ(refused, 0u);
}

// What was injected works: the connection that fulfils it is known as its master's, and hasn't its helper.
TEST_F(ConntrackExpectationTest, TheExpectedFlowFulfilsIt) {
    run("nft 'add table inet t; add chain inet t c { type filter hook input priority 0; };"
        "add rule inet t c tcp dport 50000 ct state related counter'");
    auto events = ConntrackEvents::open({.ignored_port = table->port()});
    ASSERT_TRUE(events.has_value());
    Flow master = test_flow("ftp 4").flow;
    master.identity.original.source = master.identity.original.destination = ip_of("127.0.0.1");
    master.identity.reply = master.identity.original.inverse();
    const Flow flow = expectation_of(master);
    EXPECT_EQ(change(Kind::create, master), 0);
    EXPECT_EQ(change(Kind::create, flow), 0);

    const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in at{AF_INET, htons(50000), {htonl(INADDR_LOOPBACK)}, {}};
    ASSERT_EQ(bind(listener.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    ASSERT_EQ(listen(listener.get(), 1), 0);
    const UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(connect(client.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);

    std::vector<FlowEvent> heard;
    while (heard.size() < 2 && readable(events->fd()))
        for (const FlowEvent& event : events->read().events) heard.push_back(event);
    ASSERT_GE(heard.size(), 2u);
    EXPECT_EQ(heard[0].kind, FlowEvent::Kind::ended);
    EXPECT_EQ(heard[0].flow.identity, flow.identity);
    EXPECT_EQ(heard[1].kind, FlowEvent::Kind::created);
    EXPECT_EQ(heard[1].flow.identity.original.second, 50000);
    EXPECT_EQ(heard[1].flow.identity.master, master.identity.original);
    EXPECT_EQ(heard[1].flow.identity.helper, HelperName{});
    EXPECT_TRUE(expectations().empty());
}

}  // namespace
}  // namespace carpd
