#include "linux/conntrack_table.h"

#include <gtest/gtest.h>
#include <netinet/in.h>

#include <optional>
#include <utility>

#include "linux/conntrack_dump.h"
#include "linux/conntrack_events.h"
#include "linux/conntrack_reader.h"
#include "linux/conntrack_test_flows.h"
#include "linux/test_network.h"

namespace carpd {
namespace {

using Kind = FlowChange::Kind;

std::vector<Flow> dumped(std::optional<Family> family = std::nullopt) {
    std::vector<Flow> flows;
    auto dump = ConntrackDump::start(family);
    EXPECT_TRUE(dump.has_value());
    for (bool more = dump.has_value(); more;) {
        const auto read = dump->read([&](const FlowEvent& event) {
            EXPECT_EQ(event.kind, FlowEvent::Kind::listed);
            flows.push_back(event.flow);
        });
        EXPECT_TRUE(read.has_value()) << read.error().to_string();
        more = read && *read;
    }
    for (const auto refused : dump->refused()) EXPECT_EQ(refused, 0u);
    return flows;
}

// The flow that the kernel has under this one's tuple and zone; its timeout is this one's unless it is much
// less or more.
std::optional<Flow> in_kernel(const Flow& flow) {
    for (Flow& found : dumped()) {
        if (found.identity.original != flow.identity.original || found.identity.zone != flow.identity.zone)
            continue;
        if (found.state.timeout <= flow.state.timeout && found.state.timeout + 10 > flow.state.timeout)
            found.state.timeout = flow.state.timeout;
        return found;
    }
    return std::nullopt;
}

std::size_t entries() {
    return dumped().size();
}

class ConntrackTableTest : public testing::Test {
 protected:
    void SetUp() override {
        if (unshare(CLONE_NEWNET) != 0) GTEST_SKIP() << "needs the right to make network namespaces (root)";
        host.emplace();
        auto opened = ConntrackTable::open();
        ASSERT_TRUE(opened.has_value()) << opened.error().to_string();
        table.emplace(std::move(*opened));
    }

    // The errno, 0 if it was done.
    int change(Kind kind, const Flow& flow) {
        const FlowChange changes[] = {{kind, flow}};
        const auto failures = table->run(changes);
        return failures.empty() ? 0 : failures[0].error;
    }
    void create(const Flow& flow) { EXPECT_EQ(change(Kind::create, flow), 0); }

    std::optional<TestHost> host;
    std::optional<ConntrackTable> table;
};

TEST_F(ConntrackTableTest, EveryKindOfFlowIsThereAsInjected) {
    std::vector<FlowChange> changes;
    for (const auto& [name, flow] : test_flows()) changes.push_back({Kind::create, flow});
    EXPECT_TRUE(table->run(changes).empty());
    EXPECT_EQ(table->counters().written, changes.size());
    EXPECT_EQ(table->counters().replaced, 0u);
    for (const auto& [name, flow] : test_flows()) {
        SCOPED_TRACE(name);
        Flow expected = flow;
        if (flow.identity.master) expected.state.status |= 1;
        const auto found = in_kernel(flow);
        ASSERT_TRUE(found.has_value());
        EXPECT_EQ(found->identity, expected.identity);
        EXPECT_EQ(found->state, expected.state);
    }
    EXPECT_EQ(entries(), changes.size());
    EXPECT_EQ(read_conntrack_limits()->entries, changes.size());
    EXPECT_GT(read_conntrack_limits()->max, 0u);
}

// A kernel can be built without DCCP; it then knows such flows by their addresses.
TEST_F(ConntrackTableTest, AProtocolThatTheKernelDoesNotKnow) {
    Flow flow = test_flow("udp 4").flow;
    flow.identity.original.protocol = flow.identity.reply.protocol = 33;
    flow.state.protocol = DccpState{4, 1, 0x010203040506};
    create(flow);
    const auto flows = dumped();
    ASSERT_EQ(flows.size(), 1u);
    if (!std::holds_alternative<DccpState>(flows[0].state.protocol)) {
        flow.identity.original.first = flow.identity.original.second = 0;
        flow.identity.reply = flow.identity.original.inverse();
        flow.state.protocol = std::monostate();
    }
    EXPECT_EQ(flows[0].identity, flow.identity);
    EXPECT_EQ(flows[0].state.protocol, flow.state.protocol);
}

TEST_F(ConntrackTableTest, DumpsOneFamily) {
    for (const char* name : {"tcp 4", "udp 4", "tcp 6"}) create(test_flow(name).flow);
    EXPECT_EQ(dumped(Family::ipv4).size(), 2u);
    EXPECT_EQ(dumped(Family::ipv6).size(), 1u);
}

TEST_F(ConntrackTableTest, KeepsLabelsWhereRulesUseThem) {
    Flow flow = test_flow("tcp 4").flow;
    flow.state.labels[0] = 0x42;
    flow.state.labels[15] = 0x80;
    create(flow);
    EXPECT_EQ(in_kernel(flow)->state.labels, FlowState().labels);  // nobody uses them here
    EXPECT_EQ(change(Kind::update, flow), 0);

    run("nft 'add table inet t; add chain inet t c { type filter hook forward priority 0; };"
        "add rule inet t c ct label set 3'");
    EXPECT_EQ(change(Kind::remove, flow), 0);
    create(flow);
    EXPECT_EQ(in_kernel(flow)->state, flow.state);
    flow.state.labels[7] = 1;
    EXPECT_EQ(change(Kind::update, flow), 0);
    EXPECT_EQ(in_kernel(flow)->state, flow.state);
}

// Whether it was translated or expected, an update changes the state of what is there, and nothing else.
TEST_F(ConntrackTableTest, UpdatesWhatIsThere) {
    for (const char* name : {"ftp 4", "tcp expected 4", "tcp translated 4", "tcp 6", "tcp in a zone 6"}) {
        SCOPED_TRACE(name);
        Flow flow = test_flow(name).flow;
        create(flow);
        flow.state.protocol = TcpState{4, {7, 8}, {0x07, 0x03}};
        flow.state.status = kAssured | (flow.identity.master ? 1 : 0);
        flow.state.timeout = 120;
        flow.state.mark = 0;
        EXPECT_EQ(change(Kind::update, flow), 0);
        EXPECT_EQ(in_kernel(flow), flow);
    }
    EXPECT_EQ(table->counters().replaced, 0u);
    EXPECT_EQ(table->counters().recreated, 0u);
}

TEST_F(ConntrackTableTest, UpdatesWhatIsNotThere) {
    for (const char* name : {"udp 6", "tcp translated 6"}) {
        EXPECT_EQ(change(Kind::update, test_flow(name).flow), 0);
        EXPECT_EQ(in_kernel(test_flow(name).flow), test_flow(name).flow);
    }
    EXPECT_EQ(table->counters().recreated, 2u);
}

// No rule says that these packets are to be translated, the flow does. (One is needed for the kernel to
// look.)
TEST_F(ConntrackTableTest, TranslatesWhatItInjected) {
    run("nft 'add table ip n; add chain ip n o { type nat hook output priority -100; };"
        "add chain ip n p { type nat hook postrouting priority 100; };"
        "add rule ip n p ip daddr 203.0.113.1 masquerade' && ip address add 192.0.2.1/32 dev lo");
    Flow flow = test_flow("udp 4").flow;
    flow.identity.original = {ip("127.0.0.1"), ip("192.0.2.1"), IPPROTO_UDP, 5000, 53};
    flow.identity.reply = {ip("127.0.0.3"), ip("127.0.0.2"), IPPROTO_UDP, 7778, 6000};
    create(flow);

    const auto endpoint = [](std::uint32_t address, std::uint16_t port) {
        return sockaddr_in{AF_INET, htons(port), {htonl(address)}, {}};
    };
    const auto open = [](const sockaddr_in& at) {
        UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        EXPECT_EQ(bind(socket.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
        return socket;
    };
    const UniqueFd client = open(endpoint(0x7f000001, 5000)), server = open(endpoint(0x7f000003, 7778));
    const auto send_to = [](const UniqueFd& socket, sockaddr_in to) {
        EXPECT_EQ(sendto(socket.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to), 1);
    };
    const auto receive = [](const UniqueFd& socket) {
        char byte;
        sockaddr_in from{};
        socklen_t size = sizeof from;
        EXPECT_TRUE(readable(socket.get()));
        recvfrom(socket.get(), &byte, 1, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
        return from;
    };
    send_to(client, endpoint(0xc0000201, 53));
    const sockaddr_in source = receive(server);
    EXPECT_EQ(ntohl(source.sin_addr.s_addr), 0x7f000002u);
    EXPECT_EQ(ntohs(source.sin_port), 6000);
    send_to(server, source);
    const sockaddr_in answerer = receive(client);
    EXPECT_EQ(ntohl(answerer.sin_addr.s_addr), 0xc0000201u);
    EXPECT_EQ(ntohs(answerer.sin_port), 53);
}

TEST_F(ConntrackTableTest, ReplacesAFlowThatIsTranslatedOtherwise) {
    Flow flow = test_flow("tcp translated 4").flow;
    create(flow);
    create(flow);  // the kernel doesn't say whether it is the same
    flow.identity.reply.destination = ip("203.0.113.99");
    create(flow);
    EXPECT_EQ(in_kernel(flow), flow);
    EXPECT_EQ(entries(), 1u);
    EXPECT_EQ(table->counters().replaced, 2u);
}

// A connection that ended unheard, and another one with its ports.
TEST_F(ConntrackTableTest, ReplacesAFlowThatWasFurther) {
    Flow flow = test_flow("tcp 4").flow;
    create(flow);
    flow.state.status = 8;
    flow.state.protocol = TcpState{1, {0, 0}, {0, 0}};
    EXPECT_EQ(change(Kind::update, flow), 0);
    EXPECT_EQ(in_kernel(flow), flow);
    EXPECT_EQ(table->counters().replaced, 1u);
}

// The port that a flow was translated to is free on the owner, and used again, before we hear of it.
TEST_F(ConntrackTableTest, EvictsTheFlowThatHasTheReplyTuple) {
    auto events = ConntrackEvents::open({.ignored_port = table->port()});
    ASSERT_TRUE(events.has_value());
    const Flow old = test_flow("tcp translated 4").flow;
    Flow flow = old;
    flow.identity.original.source = ip("192.0.2.200");
    create(old);
    create(flow);
    EXPECT_EQ(in_kernel(flow), flow);
    EXPECT_EQ(entries(), 1u);
    EXPECT_EQ(table->counters().evicted, 1u);
    // It may have been this host's own, so that is heard.
    ASSERT_TRUE(readable(events->fd()));
    const auto batch = events->read();
    ASSERT_EQ(batch.events.size(), 1u);
    EXPECT_EQ(batch.events[0].kind, FlowEvent::Kind::ended);
    EXPECT_EQ(batch.events[0].flow.identity.original, old.identity.original);
}

TEST_F(ConntrackTableTest, GoesOnWithoutMasterOrHelper) {
    Flow orphan = test_flow("tcp expected 6").flow;
    create(orphan);
    orphan.identity.master.reset();
    EXPECT_EQ(in_kernel(orphan), orphan);
    EXPECT_EQ(table->counters().without_master, 1u);

    Flow helped = test_flow("ftp 6").flow;
    helped.identity.helper = {'n', 'o', 'n', 'e'};
    create(helped);
    helped.identity.helper = {};
    EXPECT_EQ(in_kernel(helped), helped);
    EXPECT_EQ(table->counters().without_helper, 1u);

    // It isn't tried again for each flow.
    const auto replaced = table->counters().replaced;
    for (std::uint16_t port = 1; port <= 3; ++port) {
        Flow next = test_flow("ftp 6").flow;
        next.identity.original.first = port;
        next.identity.reply = next.identity.original.inverse();
        next.identity.helper = {'n', 'o', 'n', 'e'};
        create(next);
        EXPECT_EQ(in_kernel(next)->identity.helper, HelperName{});
        EXPECT_EQ(change(Kind::update, next), 0);
    }
    EXPECT_EQ(table->counters().without_helper, 4u);
    EXPECT_EQ(table->counters().replaced, replaced);
    const Flow other = test_flow("ftp 4").flow;
    create(other);
    EXPECT_EQ(in_kernel(other), other);
}

TEST_F(ConntrackTableTest, ABatchGoesOnAfterFailures) {
    const auto flows = test_flows();
    Flow bad = flows[0].flow;
    bad.identity.original.source = ip("192.0.2.250");
    std::get<TcpState>(bad.state.protocol).state = 100;
    const FlowChange changes[] = {{Kind::create, bad},
                                  {Kind::create, flows[1].flow},
                                  {Kind::remove, flows[2].flow},  // isn't there
                                  {Kind::create, flows[3].flow},
                                  {Kind::remove, flows[1].flow},
                                  {Kind::update, bad}};
    const auto failures = table->run(changes);
    ASSERT_EQ(failures.size(), 2u);
    EXPECT_EQ(failures[0].index, 0u);
    EXPECT_TRUE(failures[0].error == ERANGE || failures[0].error == EINVAL);  // on older kernels
    EXPECT_EQ(failures[1].index, 5u);
    EXPECT_EQ(entries(), 1u);
    EXPECT_TRUE(in_kernel(flows[3].flow));
    EXPECT_EQ(table->counters().invalid, 2u);
    EXPECT_EQ(table->counters().gone, 1u);
    EXPECT_EQ(table->counters().removed, 1u);
    EXPECT_EQ(table->counters().written, 2u);
    EXPECT_TRUE(table->run({}).empty());
}

// What is wrong with a flow doesn't cost the one that is there.
TEST_F(ConntrackTableTest, AFailureLeavesWhatIsThere) {
    for (const char* name : {"tcp 4", "tcp translated 6"}) {
        const Flow good = test_flow(name).flow;
        Flow bad = good;
        std::get<TcpState>(bad.state.protocol).state = 100;
        create(good);
        EXPECT_NE(change(Kind::update, bad), 0);
        EXPECT_TRUE(in_kernel(good));
    }
}

TEST_F(ConntrackTableTest, ReadsOneFlow) {
    auto reader = ConntrackReader::open();
    ASSERT_TRUE(reader.has_value());
    EXPECT_FALSE(reader->read(test_flow("ftp 4").flow.identity.original, 0));
    for (const char* name : {"ftp 4", "ftp 6", "tcp translated 4", "tcp in a zone 6"}) {
        SCOPED_TRACE(name);
        const Flow flow = test_flow(name).flow;
        create(flow);
        for (const FlowTuple& tuple : {flow.identity.original, flow.identity.reply}) {
            const auto event = reader->read(tuple, flow.identity.zone);
            ASSERT_TRUE(event.has_value());
            EXPECT_EQ(event->kind, FlowEvent::Kind::changed);
            EXPECT_TRUE(event->tells_protocol && event->tells_labels && event->tells_sequence);
            EXPECT_EQ(event->flow.identity, flow.identity);
            EXPECT_EQ(event->flow.state.sequence, flow.state.sequence);
            EXPECT_EQ(event->flow.state.protocol, flow.state.protocol);
        }
    }
    EXPECT_FALSE(reader->read(test_flow("tcp in a zone 6").flow.identity.original, 301));
}

// An update that tells of shifted sequence numbers shifts those of a flow that began without.
TEST_F(ConntrackTableTest, SequenceNumbersAreShiftedLater) {
    Flow flow = test_flow("ftp 4").flow;
    const auto shifted = std::exchange(flow.state.sequence, std::nullopt);
    create(flow);
    EXPECT_FALSE(in_kernel(flow)->state.sequence);
    flow.state.sequence = shifted;
    EXPECT_EQ(change(Kind::update, flow), 0);
    EXPECT_EQ(in_kernel(flow)->state.sequence, shifted);
}

TEST_F(ConntrackTableTest, RemovesByTupleAndZone) {
    Flow zoned = test_flow("tcp in a zone 4").flow, plain = zoned;
    plain.identity.zone = 0;
    create(zoned);
    create(plain);
    EXPECT_EQ(change(Kind::remove, zoned), 0);
    EXPECT_FALSE(in_kernel(zoned));
    EXPECT_TRUE(in_kernel(plain));
}

// A table of many pieces, injected and removed in full batches.
TEST_F(ConntrackTableTest, ManyFlows) {
    std::vector<FlowChange> changes(ConntrackTable::kBatch, {Kind::create, test_flow("tcp 4").flow});
    std::uint16_t port = 0;
    for (int batch = 0; batch < 100; ++batch) {
        for (FlowChange& change : changes) {
            change.flow.identity.original.first = ++port;
            change.flow.identity.reply = change.flow.identity.original.inverse();
        }
        EXPECT_TRUE(table->run(changes).empty());
    }
    EXPECT_EQ(entries(), 6400u);
    for (FlowChange& change : changes) change.kind = Kind::remove;
    EXPECT_TRUE(table->run(changes).empty());
    EXPECT_EQ(entries(), 6400u - 64);
}

}  // namespace
}  // namespace carpd
