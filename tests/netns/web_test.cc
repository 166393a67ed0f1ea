// `carpd: web` beside a real carpd: what it serves is how things are, it has no rights, and it can do
// nothing.
#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "netns_test.h"
#include "tests/openmetrics/reader.h"

namespace carpd::lab {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kListen = "127.0.0.1:9781";

class WebTest : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (IsSkipped()) return;
        three_hosts();
        // Who isn't root must come to the control socket, as in /run/carpd.
        std::filesystem::permissions(lab().folder(), std::filesystem::perms(0755));
    }
    static std::string metrics_at(const std::string& listen) {
        return fmt::format("[metrics]\nlisten = \"{}\"\n", listen);
    }
    void start_with_metrics(const std::string& listen = kListen) {
        start(alpha(), metrics_at(listen) + Group{}.text());
        ASSERT_TRUE(wait_until([&] { return get("/healthz", listen).starts_with("200 "); }, 10s))
            << alpha_carpd().log();
        ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    }
    // "200 TYPE\nBODY"; empty if nobody answers.
    std::string get(const std::string& path, const std::string& listen = kListen,
                    std::vector<std::string> options = {}) {
        std::vector<std::string> command = {"curl", "-s", "-m", "10", "-w", "\n%{http_code} %{content_type}"};
        command.insert(command.end(), options.begin(), options.end());
        if (listen.starts_with('/')) {
            command.insert(command.end(), {"--unix-socket", listen, "http://host" + path});
        } else {
            command.push_back("http://" + listen + path);
        }
        const Result result = alpha().run(command);
        if (result.exit_code != 0) return "";
        const std::size_t end = result.output.rfind('\n');
        return result.output.substr(end + 1) + "\n" + result.output.substr(0, end);
    }
    std::string body(const std::string& path, const std::string& listen = kListen) {
        const std::string answer = get(path, listen);
        return answer.substr(std::min(answer.find('\n') + 1, answer.size()));
    }
    // Metrics change once a second.
    bool wait_metric(const std::string& name, const openmetrics::Labels& labels, double value) {
        return wait_until(
            [&] {
                const std::string served = body("/metrics");
                if (served.empty()) return false;
                const auto metrics = openmetrics::read(served);
                const auto family = metrics.samples.find(name);
                if (family == metrics.samples.end()) return false;
                const auto sample = family->second.find(labels);
                return sample != family->second.end() && sample->second == value;
            },
            10s);
    }
    // Of the process called so that carpd's supervisor has started; 0: there is none.
    pid_t child(const std::string& name) {
        const pid_t supervisor = alpha_carpd().process().pid();
        std::ifstream children(fmt::format("/proc/{0}/task/{0}/children", supervisor));
        for (pid_t pid = 0; children >> pid;) {
            std::ifstream comm(fmt::format("/proc/{}/comm", pid));
            std::string found;
            if (std::getline(comm, found) && found == name) return pid;
        }
        return 0;
    }

    // carpctl, as the user that `carpd: web` is.
    Result as_web(const std::vector<std::string>& arguments) {
        struct stat status {};
        EXPECT_EQ(stat(fmt::format("/proc/{}", child("carpd: web")).c_str(), &status), 0);
        std::vector<std::string> command = {"setpriv",
                                            fmt::format("--reuid={}", status.st_uid),
                                            fmt::format("--regid={}", status.st_gid),
                                            "--clear-groups",
                                            carpctl_program(),
                                            "-s",
                                            alpha_carpd().socket()};
        command.insert(command.end(), arguments.begin(), arguments.end());
        return alpha().run(command);
    }

    const openmetrics::Labels lan_ = {{"group", "lan"}, {"interface", "eth0"}, {"vhid", "1"}};
};

TEST_F(WebTest, ServesHowThingsAre) {
    start_with_metrics();
    EXPECT_THAT(get("/metrics"),
                testing::StartsWith("200 application/openmetrics-text; version=1.0.0; charset=utf-8\n"));
    EXPECT_TRUE(wait_metric("carpd_group_state", lan_, 2));
    EXPECT_THAT(get("/readyz"), testing::StartsWith("200 "));
    EXPECT_THAT(get("/"), AllOf(testing::StartsWith("200 text/html"), HasSubstr("page.js")));
    EXPECT_THAT(get("/page.js"), testing::StartsWith("200 text/javascript"));
    EXPECT_THAT(get("/page.css"), testing::StartsWith("200 text/css"));
    EXPECT_THAT(get("/nothing"), testing::StartsWith("404 "));
    EXPECT_THAT(get("/metrics", kListen, {"-X", "DELETE"}), Not(testing::StartsWith("200 ")));

    ASSERT_TRUE(wait_until(
        [&] {
            const json served = json::parse(body("/status.json"));
            return served.at("status").at("groups").at(0).at("state") == "master" &&
                   served.at("changes").size() >= 2 && served.at("changes").back().at("to") == "master";
        },
        10s));

    alpha().cut();
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "init"));
    EXPECT_TRUE(wait_metric("carpd_group_state", lan_, 0));
    EXPECT_THAT(get("/readyz"), AllOf(testing::StartsWith("503 "), HasSubstr("lan: interface has no link")));
}

TEST_F(WebTest, TellsNobodyWhatPasswordsCouldBeTriedOn) {
    start_with_metrics();
    Group other = Group{}.with_skew(kPoorSkew);
    other.password = "another";
    start(beta(), other);
    ASSERT_TRUE(wait_until([&] { return alpha_carpd().refused("lan", "bad_digest") > 0; }, 10s));
    ASSERT_TRUE(alpha_carpd().group("lan").at("last_refused").contains("advertisement"));
    json refused;
    ASSERT_TRUE(wait_until(
        [&] {
            refused = json::parse(body("/status.json")).at("status").at("groups").at(0).at("last_refused");
            return !refused.is_null();
        },
        10s));
    EXPECT_EQ(refused.at("reason"), "bad_digest");
    EXPECT_FALSE(refused.contains("advertisement"));
}

// A page of others may lead a browser here under a name of its own.
TEST_F(WebTest, AnswersToThisHostsNamesOnly) {
    start_with_metrics();
    EXPECT_THAT(get("/status.json", kListen, {"-H", "Host: evil.example"}), testing::StartsWith("403 "));
    EXPECT_THAT(get("/status.json", kListen, {"-H", "Host: 192.0.2.1"}), testing::StartsWith("403 "));
    for (const char* name : {"Host: localhost", "Host: localhost:9781", "Host: [::1]:9781"})
        EXPECT_THAT(get("/status.json", kListen, {"-H", name}), testing::StartsWith("200 ")) << name;
}

TEST_F(WebTest, HasNoRights) {
    start_with_metrics();
    const pid_t web = child("carpd: web");
    ASSERT_NE(web, 0);
    std::ifstream file(fmt::format("/proc/{}/status", web));
    const std::string status{std::istreambuf_iterator<char>(file), {}};
    EXPECT_THAT(status, HasSubstr("CapEff:\t0000000000000000"));
    EXPECT_THAT(status, HasSubstr("CapPrm:\t0000000000000000"));
    EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
    EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
    EXPECT_THAT(status, Not(HasSubstr("Uid:\t0")));
}

TEST_F(WebTest, ItsUserMayReadTheEngineAndNoMore) {
    start_with_metrics();
    EXPECT_EQ(as_web({"status"}).exit_code, 0);
    EXPECT_EQ(as_web({"history"}).exit_code, 0);
    for (const std::vector<std::string>& order : {std::vector<std::string>{"stop"},
                                                  {"reload"},
                                                  {"state", "lan", "backup"},
                                                  {"demote", "lan", "10"}}) {
        const Result result = as_web(order);
        EXPECT_EQ(result.exit_code, 1) << order[0];
        EXPECT_THAT(result.errors, HasSubstr("who only reads may not ask for " + order[0]));
    }
    EXPECT_EQ(alpha_carpd().transitions("lan"), 2u) << "it came up and became MASTER";
}

TEST_F(WebTest, ServesWhatSyncSaysAndMayAskItForNoMore) {
    alpha().attach("sync0", 1, {"10.9.0.1/24"});
    const std::string sync = fmt::format(
        "[sync]\nname = \"alpha\"\ninterface = \"sync0\"\npeers = [\"10.9.0.2\"]\nkey-hex = \"{}\"\n",
        std::string(64, 'a'));
    start(alpha(), sync + Group{}.text());
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    alpha_carpd().apply(metrics_at(kListen) + sync + Group{}.text());  // sync is there before web
    EXPECT_TRUE(wait_metric("carpd_sync_up", {}, 1));
    EXPECT_TRUE(wait_metric("carpd_sync_peer_up", {{"peer", "10.9.0.2"}}, 0));

    for (const char* order : {"flows", "resync", "flush"}) {
        const Result result = as_web({"sync", order});
        EXPECT_EQ(result.exit_code, 1) << order;
        EXPECT_THAT(result.errors, HasSubstr(fmt::format("who only reads may not ask for {}", order)));
    }
    const pid_t process = child("carpd: sync");
    ASSERT_NE(process, 0);
    kill(process, SIGSTOP);
    EXPECT_TRUE(wait_metric("carpd_sync_up", {}, 0)) << "it hangs, and the rest is served";
    kill(process, SIGCONT);
    EXPECT_TRUE(wait_metric("carpd_sync_up", {}, 1));
}

TEST_F(WebTest, TellsHowLongAFailoverTook) {
    Carpd& other = start(beta(), Group{});
    ASSERT_TRUE(other.wait_state("lan", "master"));
    Carpd& carpd = start(alpha(), metrics_at(kListen) + Group{}.with_skew(kPoorSkew).text());
    ASSERT_TRUE(carpd.wait_state("lan", "backup"));
    EXPECT_TRUE(wait_until(
        [&] { return carpd.group("lan").at("counters").at("advertisements_received_ipv4") >= 3; }, 10s));
    EXPECT_TRUE(wait_metric("carpd_failover_duration_seconds_count", {}, 0));
    beta().cut();
    ASSERT_TRUE(carpd.wait_state("lan", "master"));
    EXPECT_TRUE(wait_metric("carpd_failover_duration_seconds_count", {}, 1));
    const auto metrics = openmetrics::read(body("/metrics"));
    EXPECT_EQ(
        metrics.at("carpd_transition_reasons_total", {{"to", "master"}, {"reason", "master_timed_out"}}), 1);
    EXPECT_GT(metrics.at("carpd_failover_duration_seconds_sum", {}), 0);
    EXPECT_GT(metrics.at("carpd_advert_interval_seconds_count", {}), 0);
    EXPECT_GT(metrics.at("carpd_timer_lateness_seconds_count", {}), 0);
}

TEST_F(WebTest, OutlivesEnginesAndKeepsWhatTheyTold) {
    start_with_metrics();
    const pid_t web = child("carpd: web");
    const std::string first = json::parse(body("/status.json")).at("changes").at(0).dump();
    kill(alpha_carpd().engine_pid(), SIGKILL);
    EXPECT_TRUE(wait_metric("carpd_engine_restarts_total", {}, 1));
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    ASSERT_TRUE(wait_until([&] { return json::parse(body("/status.json")).at("changes").size() >= 4; }, 10s));
    EXPECT_EQ(json::parse(body("/status.json")).at("changes").at(0).dump(), first);
    EXPECT_EQ(child("carpd: web"), web);

    kill(web, SIGKILL);
    EXPECT_TRUE(wait_metric("carpd_group_state", lan_, 2)) << "another serves";
    EXPECT_EQ(alpha_carpd().state("lan"), "master");
}

TEST_F(WebTest, AReloadMovesItAndEndsIt) {
    start_with_metrics();
    const std::string socket = lab().folder() + "/metrics.sock";
    alpha_carpd().apply(metrics_at(socket) + Group{}.text());
    ASSERT_TRUE(wait_until([&] { return get("/healthz", socket).starts_with("200 "); }, 10s));
    EXPECT_EQ(get("/healthz"), "");
    EXPECT_THAT(get("/metrics", socket), HasSubstr("carpd_up 1\n"));

    alpha_carpd().apply(Group{}.text());
    EXPECT_TRUE(
        wait_until([&] { return child("carpd: web") == 0 && !std::filesystem::exists(socket); }, 10s));
    EXPECT_EQ(alpha_carpd().transitions("lan"), 2u);
}

TEST_F(WebTest, WhereItCannotListenTheRestGoesOn) {
    Process taken(
        {.argv = {"python3", "-m", "http.server", "-b", "127.0.0.1", "9781"}, .in = &alpha().space()});
    ASSERT_TRUE(wait_until([&] { return !get("/").empty(); }, 10s));
    start(alpha(), metrics_at(kListen) + Group{}.text());
    EXPECT_TRUE(alpha_carpd().wait_state("lan", "master"));
    EXPECT_TRUE(wait_until(
        [&] {
            return alpha_carpd().log().find(
                       "metrics can't be served: cannot listen at 127.0.0.1 port 9781: "
                       "Address already in use") != std::string::npos;
        },
        10s));
    taken.signal(SIGKILL);
    EXPECT_TRUE(wait_until([&] { return get("/healthz").starts_with("200 "); }, 20s)) << alpha_carpd().log();
}

}  // namespace
}  // namespace carpd::lab
