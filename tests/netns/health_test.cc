// A host's health ([[track]]) and what it does to its groups, on real kernels: each kind of check fails on
// the master, its peer takes over, and the demotion is gone when it passes again. And whatever a check does,
// its own verdict is all that it changes.
#include <fmt/format.h>

#include <fstream>

#include "lab/owner_watch.h"
#include "netns_test.h"

namespace carpd::lab {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class HealthTest : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    // A track of `subject` on alpha, and neither on beta. alpha is MASTER, and its check passes.
    void start_with(const std::string& subject, const std::string& effect = "demote = 64") {
        track_ = fmt::format("[[track]]\nname = \"t\"\n{}\n{}\ninterval = 1\nrise = 1\nfall = 1\n", subject,
                             effect);
        start(alpha(), Group{}.text() + track_);
        ASSERT_TRUE(wait_passed(true)) << alpha_carpd().log();
        ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
        start(beta(), Group{}.with_skew(kPoorSkew));
        ASSERT_TRUE(wait_until([&] { return has_heard(beta_carpd()); }, 5s));
    }
    json track() { return alpha_carpd().status().at("tracks").at(0); }
    bool wait_passed(bool passed) {
        return wait_until([&] { return track().at("known") == true && track().at("passed") == passed; }, 15s);
    }
    int demotion() { return alpha_carpd().group("lan").at("demotion").get<int>(); }
    // The check fails now: beta takes over, and nothing else happens.
    void expect_fails(const std::string& why) {
        EXPECT_TRUE(wait_passed(false));
        EXPECT_THAT(track().at("why").get<std::string>(), HasSubstr(why));
        EXPECT_TRUE(beta_carpd().wait_state("lan", "master"));
        EXPECT_EQ(demotion(), 64);
        EXPECT_EQ(alpha_carpd().group("lan").at("demotion_reasons"), json({{"track:t", 64}}));
        EXPECT_EQ(reason_for(beta_carpd(), "master"), "master is more demoted");
        EXPECT_THAT(alpha_carpd().log(), HasSubstr("track t fails: "));
    }
    void expect_recovers() {
        EXPECT_TRUE(wait_passed(true));
        EXPECT_TRUE(wait_until([&] { return demotion() == 0; }, 5s));
        EXPECT_THAT(alpha_carpd().log(), HasSubstr("track t passes: "));
    }
    std::string file(const std::string& name) { return lab().folder() + "/" + name; }
    std::string script(const std::string& text) {
        return fmt::format("script = [\"/bin/sh\", \"-c\", \"{}\"]", text);
    }

    std::string track_;
};

// ---- every kind

TEST_F(HealthTest, Interface) {
    alpha().attach("eth1", 1, {"198.51.100.1/24"});
    start_with("interface = \"eth1\"");
    alpha().port("eth1").set_plugged(false);
    expect_fails("eth1 has no carrier");
    alpha().port("eth1").set_plugged(true);
    expect_recovers();
    alpha().detach("eth1");
    EXPECT_TRUE(wait_passed(false));
    EXPECT_EQ(track().at("why"), "eth1 does not exist");
}

TEST_F(HealthTest, Route) {
    alpha().ip("route add default via 192.0.2.9");
    start_with("route = \"0.0.0.0/0\"");
    alpha().ip("route delete default");
    expect_fails("there is no route to 0.0.0.0/0");
    alpha().ip("route add default via 192.0.2.9");
    expect_recovers();
}

class GatewayTest : public HealthTest, public testing::WithParamInterface<const char*> {};

// It is a host that may vanish: every address of the client's but the one that the probes need.
TEST_P(GatewayTest, Gateway) {
    client().ip("address add 192.0.2.77/24 dev eth0\naddress add 2001:db8::77/64 dev eth0 nodad");
    start_with(GetParam());
    client().ip("address del 192.0.2.77/24 dev eth0\naddress del 2001:db8::77/64 dev eth0");
    expect_fails("no answer within 1 s");
    client().ip("address add 192.0.2.77/24 dev eth0\naddress add 2001:db8::77/64 dev eth0 nodad");
    expect_recovers();
}

INSTANTIATE_TEST_SUITE_P(By, GatewayTest,
                         testing::Values("gateway = \"192.0.2.77\"",
                                         "gateway = \"192.0.2.77\"\nprobe = \"icmp\"",
                                         "gateway = \"2001:db8::77\"\ndevice = \"eth0\"",
                                         "gateway = \"2001:db8::77\"\nprobe = \"icmp\""));

// The master owns the shared address, and asks in its own name all the same.
TEST_F(HealthTest, GatewaysAreNotAskedInTheNameOfTheSharedAddress) {
    Capture capture(alpha());
    start_with("gateway = \"192.0.2.9\"");
    const auto passes = [&] { return track().at("counters").at("passes").get<int>(); };
    const int before = passes();
    EXPECT_TRUE(wait_until([&] { return passes() >= before + 3; }, 10s));
    int requests = 0;
    for (const CapturedFrame& frame : capture.frames()) {
        if (!frame.sent || !frame.is_arp() || read_u16(frame.payload(), 6) != 1) continue;
        const auto target = IpAddress::from_bytes(frame.payload().subspan(24, 4));
        if (target != *IpAddress::parse("192.0.2.9")) continue;
        ++requests;
        EXPECT_EQ(IpAddress::from_bytes(frame.payload().subspan(14, 4)), *IpAddress::parse("192.0.2.1"));
        EXPECT_EQ(frame.source(), alpha().mac());
    }
    EXPECT_GE(requests, 3);
}

constexpr const char* kServer = R"(
import socket, sys
server = socket.create_server(("0.0.0.0", 80))
while True:
    connection, _ = server.accept()
    connection.recv(1000)
    connection.sendall(sys.argv[1].encode().decode("unicode_escape").encode())
    connection.close()
)";

TEST_F(HealthTest, TcpAndHttp) {
    std::optional<Process> server = client().spawn({"python3", "-c", kServer, "HTTP/1.1 200 OK\\r\\n\\r\\n"});
    start_with("http = \"http://192.0.2.9/health\"");
    server.emplace(client().spawn({"python3", "-c", kServer, "HTTP/1.1 503 Busy\\r\\n\\r\\n"}));
    expect_fails("192.0.2.9:80");
    EXPECT_TRUE(wait_until([&] { return track().at("counters").at("failures") > 1; }, 5s));
    alpha_carpd().reload(Group{}.text() +
                         "[[track]]\nname = \"t\"\ntcp = \"192.0.2.9:80\"\ninterval = 1\nrise = 1\n");
    expect_recovers();
}

TEST_F(HealthTest, Process) {
    const std::string name = fmt::format("sleep-{}", getpid() % 100000);
    run({{"cp", "/bin/sleep", file(name)}});
    std::optional<lab::Process> sleeper = alpha().spawn({file(name), "1000"});
    start_with("process = \"" + name + "\"");
    sleeper.reset();
    expect_fails("no process " + name);
    sleeper.emplace(alpha().spawn({file(name), "1000"}));
    expect_recovers();
}

TEST_F(HealthTest, File) {
    std::ofstream(file("ready")) << "x";
    start_with("file = \"" + file("ready") + "\"");
    run({{"rm", file("ready")}});
    expect_fails("does not exist");
    std::ofstream(file("ready")) << "x";
    expect_recovers();
}

TEST_F(HealthTest, Script) {
    std::ofstream(file("ready")) << "x";
    start_with(script("test -e " + file("ready") + " || echo $CARPD_TRACK is not ready && test -e " +
                      file("ready")));
    run({{"rm", file("ready")}});
    expect_fails("exited with 1");
    EXPECT_THAT(track().at("why").get<std::string>(), HasSubstr("t is not ready"));
    std::ofstream(file("ready")) << "x";
    expect_recovers();
}

// ---- withdrawal

TEST_F(HealthTest, AWithdrawalHandsOverWithoutAGapAndEndsWithTheFailure) {
    std::ofstream(file("ready")) << "x";
    start_with("file = \"" + file("ready") + "\"", "withdraw = true");
    OwnerWatch watch(client(), {&alpha(), &beta()}, kVip4);
    ASSERT_TRUE(watch.wait_owner(alpha()));
    run({{"rm", file("ready")}});
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "init"));
    EXPECT_TRUE(watch.wait_owner(beta()));
    EXPECT_EQ(watch.verdict().two_owners, 0);
    EXPECT_EQ(reason_for(beta_carpd(), "master"), "master bowed out");
    EXPECT_EQ(reason_for(alpha_carpd(), "init"), "withdrawn by a failing check: t");
    EXPECT_EQ(alpha_carpd().group("lan").at("withdrawn_by"), json::array({"t"}));
    EXPECT_NE(alpha_carpd().carpctl({"state", "lan", "master"}).exit_code, 0);
    EXPECT_THAT(alpha_carpd().carpctl({"status"}).output, HasSubstr("FAILS"));
    std::ofstream(file("ready")) << "x";
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "backup"));
    EXPECT_EQ(beta_carpd().state("lan"), "master");
}

// ---- before the first result (rule H3)

TEST_F(HealthTest, AHostThatStartsCountsAsFailedAndAReloadAsPassed) {
    const std::string slow = script("sleep 1000") + "\ninterval = 3600\ntimeout = 3600\nwithdraw = true\n";
    start(alpha(), Group{}.text() + "[[track]]\nname = \"t\"\n" + slow + "[[track]]\nname = \"d\"\n" +
                       script("sleep 1000") + "\ndemote = 9\n");
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "init"));
    EXPECT_EQ(track().at("known"), false);
    EXPECT_EQ(track().at("passed"), false);
    EXPECT_THAT(alpha_carpd().log(), HasSubstr("lan: waits in INIT: not checked yet: t (eth0)"));
    EXPECT_THAT(alpha_carpd().log(), HasSubstr("lan: demotion is now 9 (track:d, not checked yet)"));
    EXPECT_THAT(alpha_carpd().log(), Not(HasSubstr("fail")));
    alpha_carpd().reload(Group{}.text());
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    const auto transitions = alpha_carpd().transitions("lan");
    alpha_carpd().reload(Group{}.text() + "[[track]]\nname = \"new\"\n" + slow);
    ASSERT_TRUE(wait_until([&] { return !alpha_carpd().status().at("tracks").empty(); }, 5s));
    EXPECT_EQ(track().at("known"), false);
    EXPECT_EQ(track().at("passed"), true);
    EXPECT_EQ(alpha_carpd().transitions("lan"), transitions);
}

// The helper has told another engine the verdicts before that starts its groups, however many they are.
TEST_F(HealthTest, AnotherEngineBeginsWithTheVerdicts) {
    std::string tracks;
    constexpr int kTracks = 30;
    for (int i = 0; i < kTracks; ++i)
        tracks += fmt::format("[[track]]\nname = \"t{}\"\nfile = \"/proc\"\n{}\n", i,
                              i % 2 == 0 ? "withdraw = true" : "demote = 64");
    Carpd& carpd = start(alpha(), Group{}.text() + tracks);
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    const pid_t engine = carpd.engine_pid();
    const std::size_t before = carpd.log().size();
    kill(engine, SIGKILL);
    ASSERT_TRUE(
        wait_until([&] { return carpd.log().substr(before).find("-> MASTER") != std::string::npos; }, 10s));
    const std::string log = carpd.log().substr(before);
    EXPECT_EQ(count_in(log, " passes: "), kTracks);
    EXPECT_THAT(log, Not(HasSubstr("not checked yet")));
    EXPECT_THAT(log, Not(HasSubstr("demot")));
}

TEST_F(HealthTest, AnotherEngineAndAnotherHelperLearnTheVerdicts) {
    std::ofstream(file("ready")) << "x";
    start_with("file = \"" + file("ready") + "\"");
    run({{"rm", file("ready")}});
    expect_fails("does not exist");
    const pid_t engine = alpha_carpd().engine_pid();
    kill(engine, SIGKILL);
    EXPECT_TRUE(wait_until(
        [&] {
            try {
                return alpha_carpd().engine_pid() != engine && track().at("known") == true;
            } catch (const std::exception&) {  // nobody answers yet
                return false;
            }
        },
        10s));
    EXPECT_EQ(demotion(), 64);
    EXPECT_THAT(track().at("why").get<std::string>(), HasSubstr("does not exist"));

    const auto helper = [&] { return alpha_carpd().status().at("helper").at("pid").get<pid_t>(); };
    ASSERT_TRUE(wait_until([&] { return helper() != 0; }, 5s));
    const pid_t before = helper();
    kill(before, SIGKILL);
    EXPECT_TRUE(wait_until([&] { return helper() != before; }, 10s));
    EXPECT_EQ(demotion(), 64);
    std::ofstream(file("ready")) << "x";
    expect_recovers();
}

// ---- what checks may do

class BadCheck : public HealthTest, public testing::WithParamInterface<const char*> {};

// A script that misbehaves demotes the group that it is for. To the other group nothing happens: no
// transition on either host, and as a master that is late by 70 ms gives up, no late advertisement.
TEST_P(BadCheck, ChangesNothingElse) {
    start_pair(Group{});
    Group other;
    other.name = "other";
    other.vhid = 2;
    other.addresses = {"192.0.2.101/24"};
    const auto transitions = [&] {
        return alpha_carpd().transitions("lan") + beta_carpd().transitions("lan");
    };
    const auto before = transitions();
    Capture capture(alpha());
    alpha_carpd().reload(Group{}.text() + other.text() +
                         "[[track]]\nname = \"t\"\ninterval = 1\ngroups = [\"other\"]\ndemote = 9\n" +
                         script(GetParam()));
    const auto failures = [&] {
        const json tracks = alpha_carpd().status().at("tracks");
        return tracks.empty() ? 0 : tracks[0].at("counters").at("failures").get<int>();
    };
    EXPECT_TRUE(wait_until([&] { return failures() >= 4; }, 20s));
    EXPECT_EQ(alpha_carpd().group("other").at("demotion"), 9);
    EXPECT_EQ(demotion(), 0);
    EXPECT_EQ(transitions(), before);
    EXPECT_GE(capture.sent(&CapturedFrame::is_advertisement).size(), 50u);
    EXPECT_THAT(alpha_carpd().log(), Not(HasSubstr("lease")));
}

INSTANTIATE_TEST_SUITE_P(Scripts, BadCheck,
                         testing::Values("sleep 1000", "trap '' TERM; sleep 1000", "yes",
                                         "(sleep 1000)& (sleep 1000)& false", "while :; do :; done"));

}  // namespace
}  // namespace carpd::lab
