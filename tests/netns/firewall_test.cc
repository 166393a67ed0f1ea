// A pair of firewalls fails over and no connection notices: every kind of traffic that people have, through
// real rules and real tables.
#include <fmt/format.h>

#include <optional>

#include "lab/download.h"
#include "lab/firewalls.h"
#include "lab/ftp.h"
#include "lab/sessions.h"
#include "lab/short_connections.h"
#include "lab/traffic_server.h"
#include "netns_test.h"

namespace carpd::lab {
namespace {

using testing::IsEmpty;

// A file that doesn't fit into the buffers on its way.
constexpr std::uint64_t kLongFile = 32 << 20;

// What goes through the firewalls, all at a time. UDP is silent until it is asked: a client that speaks would
// make a new flow where the old one is not known.
struct Traffic {
    Traffic(FirewallPair& pair, int shells)
        : server(pair.server()),
          files(pair.server()),
          download(pair.client(), kServer4),
          download6(pair.client(), kServer6),
          shell(pair.client(), kServer4, SessionKind::tcp, shells),
          shell6(pair.client(), kServer6, SessionKind::tcp, 20),
          udp(pair.client(), kServer4, SessionKind::udp, 20, 24h),
          udp6(pair.client(), kServer6, SessionKind::udp, 20, 24h),
          ping(pair.client(), kServer4, SessionKind::ping, 5),
          ping6(pair.client(), kServer6, SessionKind::ping, 5),
          active(pair.client(), kServer4),
          passive(pair.client(), kServer4) {
        active.begin(FtpClient::Mode::port, kLongFile);
        passive.begin(FtpClient::Mode::pasv, kLongFile);
    }

    TrafficServer server;
    FtpServer files;
    Download download, download6;
    Sessions shell, shell6, udp, udp6, ping, ping6;
    FtpClient active, passive;
    std::uint64_t calls = 0;
};

class FirewallTest : public NetnsTest {
 protected:
    void build(const FirewallOptions& options = {}, int shells = 200) {
        pair_.emplace(lab(), options);
        pair_->start();
        traffic_.emplace(*pair_, shells);
        pair_->server().serve();
        probe_.emplace(pair_->client(), kServer4, 2ms);
        ASSERT_TRUE(wait_for_answers());
    }
    void TearDown() override {
        probe_.reset();
        if (HasFailure() && pair_)
            for (Firewall* firewall : {&first(), &second()})
                if (firewall->runs())
                    fmt::print("---- {}'s log:\n{}", firewall->name(), firewall->carpd().log());
        NetnsTest::TearDown();
    }

    FirewallPair& pair() { return *pair_; }
    Firewall& first() { return pair_->first(); }
    Firewall& second() { return pair_->second(); }
    Traffic& traffic() { return *traffic_; }

    // Everything that was there before still works, whoever speaks first; and what needs the helper.
    void expect_survival();
    // What only one table has, after some patience; and whether the sessions are missing in both.
    std::vector<std::string> differences() {
        std::vector<std::string> result = pair().differences(5s);
        const std::size_t flows = first().flows().size();
        if (flows < static_cast<std::size_t>(traffic().shell.count()))
            result.push_back(fmt::format("both: only {} flows", flows));
        return result;
    }
    // How long single packets found no way since `from`.
    void expect_outage(Time from, Span bound);
    bool wait_for_answers() const { return probe_->wait_answer(nullptr, 5s); }
    void open_files_again() {
        traffic().active.begin(FtpClient::Mode::eprt, kLongFile);
        traffic().passive.begin(FtpClient::Mode::epsv, kLongFile);
    }

 private:
    std::optional<FirewallPair> pair_;
    std::optional<Traffic> traffic_;
    std::optional<Probe> probe_;
};

void FirewallTest::expect_survival() {
    Traffic& t = traffic();
    // More than once, for the first time may be before the server knows who has the address.
    const std::uint64_t first_call = t.calls + 1;
    const auto all_called = [&] {
        t.server.call(++t.calls);
        return t.udp.called(first_call, 200ms) == t.udp.count() &&
               t.udp6.called(first_call, 200ms) == t.udp6.count();
    };
    wait_until(all_called, 5s);
    for (const Sessions* sessions : {&t.shell, &t.shell6, &t.udp, &t.udp6})
        EXPECT_EQ(sessions->called(first_call, 5s), sessions->count());
    for (Sessions* sessions : {&t.shell, &t.shell6, &t.udp, &t.udp6, &t.ping, &t.ping6})
        EXPECT_EQ(sessions->survivors(5s), sessions->count());
    for (const Download* download : {&t.download, &t.download6}) {
        EXPECT_TRUE(download->wait_more(5s));
        EXPECT_TRUE(download->intact());
    }
    for (FtpClient* client : {&t.active, &t.passive}) {
        EXPECT_TRUE(client->finish());
        for (const auto mode :
             {FtpClient::Mode::port, FtpClient::Mode::eprt, FtpClient::Mode::pasv, FtpClient::Mode::epsv})
            EXPECT_TRUE(client->retrieve(mode, 10000));
    }
}

void FirewallTest::expect_outage(Time from, Span bound) {
    std::this_thread::sleep_for(Request::kPatience + 50ms);  // until the last requests can be judged
    const Outage outage = probe_->outage(from);
    EXPECT_TRUE(outage.over);
    EXPECT_LE(to_ms(outage.duration), to_ms(bound));
    fmt::print("outage {:.1f} ms, {} of {} requests lost; the download stalled {:.0f} ms\n",
               to_ms(outage.duration), outage.lost, outage.sent,
               to_ms(traffic().download.longest_stall(from)));
}

TEST_F(FirewallTest, NoConnectionNoticesThatTheMasterIsKilled) {
    build({}, 1000);
    ASSERT_THAT(differences(), IsEmpty());
    const Time before = Clock::now() - 100ms;
    first().power_off();
    ASSERT_TRUE(second().wait("master"));
    expect_survival();
    expect_outage(before, 1s);
}

TEST_F(FirewallTest, NoConnectionNoticesThatTheMasterIsStopped) {
    build();
    ShortConnections connections(pair().client(), kServer4, 5ms);
    ASSERT_TRUE(wait_until([&] { return connections.outcome().answered >= 100; }, 10s));
    const Time before = Clock::now() - 100ms;
    EXPECT_EQ(first().stop(), 0);
    ASSERT_TRUE(second().wait("master"));
    expect_survival();
    const ShortConnections::Outcome outcome = connections.finish(5s);
    EXPECT_EQ(outcome.answered, outcome.made) << outcome.text();
    expect_outage(before, 200ms);
    // What it did alone is told to who comes back.
    open_files_again();
    first().boot();
    ASSERT_TRUE(first().wait("master"));
    expect_survival();
    EXPECT_THAT(differences(), IsEmpty());
}

TEST_F(FirewallTest, NoConnectionNoticesThatACableIsPulled) {
    build();
    ASSERT_THAT(differences(), IsEmpty());
    first().host().port("eth0").set_plugged(false);
    ASSERT_TRUE(second().wait("master"));
    expect_survival();
    open_files_again();
    first().host().port("eth0").set_plugged(true);
    ASSERT_TRUE(first().wait("master"));
    expect_survival();
    EXPECT_THAT(differences(), IsEmpty());
}

TEST_F(FirewallTest, BothAreRebootedOneAfterTheOther) {
    build();
    ASSERT_THAT(differences(), IsEmpty());
    first().power_off();
    ASSERT_TRUE(second().wait("master"));
    first().boot();
    ASSERT_TRUE(first().wait("master"));  // it preempts, as soon as it knows all
    ASSERT_THAT(differences(), IsEmpty());
    second().power_off();
    second().boot();
    ASSERT_TRUE(wait_until([&] { return second().is("backup") && second().is_fit(); }, 10s));
    ASSERT_THAT(differences(), IsEmpty());
    first().power_off();
    ASSERT_TRUE(second().wait("master"));
    expect_survival();
}

TEST_F(FirewallTest, TablesAreEqualAgainWhenTheSyncLinkIsBack) {
    build();
    std::optional<Sessions> leaving(std::in_place, pair().client(), kServer4, SessionKind::tcp, 50);
    ASSERT_THAT(differences(), IsEmpty());
    pair().set_sync_link(false);
    leaving.reset();
    Sessions coming(pair().client(), kServer4, SessionKind::tcp, 50);
    ASSERT_GE(pair().differences(0s).size(), 50u);
    ASSERT_TRUE(wait_until([&] { return first().is("master") && second().is("backup"); }, 0s));
    pair().set_sync_link(true);
    EXPECT_THAT(differences(), IsEmpty());
    first().power_off();
    ASSERT_TRUE(second().wait("master"));
    EXPECT_EQ(coming.survivors(5s), 50);
    expect_survival();
}

TEST_F(FirewallTest, FlowsCanBeKeptUntilTheyAreNeeded) {
    build({.sync_keys = "commit = \"takeover\"\n"});
    EXPECT_THAT(second().flows(), IsEmpty());
    first().power_off();
    ASSERT_TRUE(second().wait("master"));
    expect_survival();
}

TEST_F(FirewallTest, WithoutSyncEveryConnectionIsLost) {
    build({.sync = false});
    EXPECT_THAT(second().flows(), IsEmpty());
    first().power_off();
    ASSERT_TRUE(second().wait("master"));
    ASSERT_TRUE(wait_for_answers());  // to a client that speaks first
    Traffic& t = traffic();
    t.server.call(1);
    EXPECT_EQ(t.udp.called(1, 500ms), 0);
    EXPECT_EQ(t.udp6.called(1, 500ms), 0);
    EXPECT_EQ(t.shell.survivors(1s), 0);
    EXPECT_EQ(t.shell6.survivors(1s), 0);
    // The new master resets what comes to its own address and belongs to no flow.
    EXPECT_TRUE(wait_until([&] { return t.server.connections() == t.shell6.count(); }, 5s));
}

}  // namespace
}  // namespace carpd::lab
