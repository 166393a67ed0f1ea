#include "web/metrics.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include "control/pool_status.h"
#include "control/status.h"
#include "control/sync_status.h"
#include "sync/test_hosts.h"
#include "tests/openmetrics/reader.h"
#include "web/openmetrics.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;

constexpr Instant kNow{1000s};

// A host with a group that is MASTER, one whose cable is pulled, a check that fails, hooks and peers.
Json status() {
    GroupConfig lan;
    lan.name = "lan";
    lan.interface = "eth0";
    lan.vhid = Vhid{7};
    lan.addresses = {{*IpAddress::parse("192.0.2.100"), 24}};
    GroupConfig odd = lan;
    odd.name = "a\"b\\c";
    odd.interface = "eth1";
    odd.addresses = {{*IpAddress::parse("198.51.100.100"), 24}};

    Node node{1};
    Actions out;
    node.configure(kNow, share({lan, odd}), out);
    node.handle_link(kNow, 0, {true, true, true, *IpAddress::parse("192.0.2.1"), {}}, out);
    node.demote_group(kNow, 0, "backup \"at\" night", 10, kNever, out);

    Verdicts verdicts;
    Processes processes{.engine_pid = 2, .supervisor_pid = 1, .restarts = 3, .running = 90500ms};
    processes.helper = HelperStatus{.pid = 3, .hooks = {.run = 5, .failed = 1}};
    processes.sync = SyncProcessStatus{.pid = 4, .incomplete = "no", .copy = {.peers = 2, .peers_up = 1}};
    std::string text = status_head(processes, kNow + 1500ms);
    text += status_of(node, *node.group(0), kNow + 1500ms, "bpf") + ",";
    text += status_of(node, *node.group(1), kNow + 1500ms, "bpf");
    text += std::string(kStatusPools) +
            R"({"name":"web","hosts":[{"host":"self","share":0.25},{"host":null,"share":0.5},)"
            R"({"host":"192.0.2.2","share":0.25}]})";
    Json json = Json::parse(text + status_tail(node, verdicts, kNow + 1500ms));
    json["tracks"] =
        Json::parse(R"([{"name":"up","kind":"tcp","passed":false,"counters":{"failures":4,"changes":2}}])");
    json["histograms"]["failover"]["counts"][10] = 2;
    json["histograms"]["failover"]["counts"][14] = 1;
    json["histograms"]["failover"]["sum_ms"] = 127'000.5;
    return json;
}

// A host with a peer, of which it has nearly all, and with deferral.
Json sync() {
    test_hosts::World world(2, 1);
    world[0].set_master(world.now, true);
    world.run(1s);
    for (std::uint32_t number = 0; number < 5; ++number) world.pass(0, number);
    world.run(1s);
    SyncConfig config;
    config.name = HostName::from("fw1").value();
    SyncProcessFigures figures{.config = config, .started = world.now - 8s};
    figures.kernel_events = 11;
    figures.table = {.entries = 3, .max = 100, .buckets = 5};
    figures.injection = {.written = 6, .clashes = 8};
    figures.last_commit = 250us;
    figures.datagrams_refused = {{"routed", 5}};
    figures.deferral.emplace().counters.acknowledged = 9;
    figures.peers = {{.address = *IpAddress::parse("10.9.0.2"), .bytes_sent = 1234}};
    return Json::parse(sync_status(world[0], figures, world.now));
}

std::string metrics() {
    return metrics_of(status(), sync());
}

using openmetrics::Labels;
using openmetrics::read;

const Labels kLan = {{"group", "lan"}, {"interface", "eth0"}, {"vhid", "7"}};
Labels with(Labels labels, const std::string& name, const std::string& value) {
    labels[name] = value;
    return labels;
}

TEST(Metrics, AreOpenMetricsAndSayWhatTheStatusSays) {
    const auto metrics = read(carpd::metrics());
    EXPECT_EQ(metrics.at("carpd_up", {}), 1);
    EXPECT_EQ(metrics.at("carpd_build_info", {{"version", CARPD_VERSION}}), 1);
    EXPECT_EQ(metrics.at("carpd_engine_age_seconds", {}), 90.5);
    EXPECT_EQ(metrics.at("carpd_engine_restarts_total", {}), 3);
    EXPECT_EQ(metrics.at("carpd_group_state", kLan), 1);
    EXPECT_EQ(metrics.at("carpd_group_state_age_seconds", kLan), 1.5);
    EXPECT_EQ(metrics.at("carpd_group_demotion", kLan), 10);
    EXPECT_EQ(metrics.at("carpd_demotion", with(kLan, "reason", "backup \"at\" night")), 10);
    EXPECT_EQ(metrics.at("carpd_adverts_received_total", with(kLan, "family", "ipv6")), 0);
    EXPECT_EQ(metrics.at("carpd_transitions_total", with(kLan, "to", "backup")), 1);
    EXPECT_EQ(metrics.at("carpd_packets_dropped_total", {{"reason", "bad_vhid"}}), 0);
    EXPECT_EQ(metrics.at("carpd_timers_late_total", {}), 0);
    EXPECT_EQ(metrics.at("carpd_timer_worst_lateness_seconds", {}), 0);
    EXPECT_EQ(metrics.at("carpd_hooks_run_total", {}), 5);
    EXPECT_EQ(metrics.at("carpd_sync_peers_up", {}), 1);
    EXPECT_EQ(metrics.at("carpd_sync_copy_complete", {}), 1);
    EXPECT_EQ(metrics.at("carpd_transition_reasons_total", {{"to", "backup"}, {"reason", "started"}}), 1);
    EXPECT_EQ(metrics.at("carpd_transition_reasons_total", {{"to", "master"}, {"reason", "preempting"}}), 0);
    EXPECT_EQ(metrics.at("carpd_track_up", {{"track", "up"}, {"kind", "tcp"}}), 0);
    EXPECT_EQ(metrics.at("carpd_track_failures_total", {{"track", "up"}, {"kind", "tcp"}}), 4);
    EXPECT_EQ(metrics.at("carpd_pool_share_ratio", {{"pool", "web"}}), 0.25);
    EXPECT_EQ(metrics.at("carpd_pool_hosts", {{"pool", "web"}}), 2);
    const Labels odd = {{"group", "a\"b\\c"}, {"interface", "eth1"}, {"vhid", "7"}};
    EXPECT_EQ(metrics.at("carpd_group_state", odd), 0) << "INIT: its interface is missing";
}

TEST(Metrics, HistogramsAddUp) {
    const std::string text = metrics();
    EXPECT_THAT(text, testing::HasSubstr("carpd_failover_duration_seconds_bucket{le=\"1.0\"} 0\n"));
    const auto metrics = read(text);
    const auto up_to = [&](const char* bound) {
        return metrics.at("carpd_failover_duration_seconds_bucket", {{"le", bound}});
    };
    EXPECT_EQ(up_to("3.1"), 0);
    EXPECT_EQ(up_to("3.5"), 2);
    EXPECT_EQ(up_to("60.0"), 2);
    EXPECT_EQ(up_to("+Inf"), 3);
    EXPECT_EQ(metrics.at("carpd_failover_duration_seconds_count", {}), 3);
    EXPECT_EQ(metrics.at("carpd_failover_duration_seconds_sum", {}), 127.0005);
    EXPECT_EQ(metrics.at("carpd_timer_lateness_seconds_count", {}), 0);
}

TEST(Metrics, SyncSaysWhatItsStatusSays) {
    const auto metrics = read(carpd::metrics());
    const Labels peer = {{"peer", "10.9.0.2"}};
    EXPECT_EQ(metrics.at("carpd_sync_up", {}), 1);
    EXPECT_EQ(metrics.at("carpd_sync_age_seconds", {}), 8);
    EXPECT_EQ(metrics.at("carpd_sync_flows", {}), 5);
    EXPECT_EQ(metrics.at("carpd_sync_kernel_entries_limit", {}), 100);
    EXPECT_EQ(metrics.at("carpd_sync_kernel_events_total", {}), 11);
    EXPECT_EQ(metrics.at("carpd_sync_changes_total", {{"result", "written"}}), 6);
    EXPECT_EQ(metrics.at("carpd_sync_changes_failed_total", {{"reason", "clashes"}}), 8);
    EXPECT_EQ(metrics.at("carpd_sync_last_commit_seconds", {}), 0.00025);
    EXPECT_EQ(metrics.at("carpd_sync_datagrams_refused_total", {{"reason", "routed"}}), 5);
    EXPECT_EQ(metrics.at("carpd_sync_deferral_packets_total", {{"result", "acknowledged"}}), 9);
    EXPECT_EQ(metrics.at("carpd_sync_peer_up", peer), 1);
    EXPECT_EQ(metrics.at("carpd_sync_peer_told_all", peer), 1);
    EXPECT_EQ(metrics.at("carpd_sync_lag_seconds", peer), 0);
    EXPECT_EQ(metrics.at("carpd_sync_datagrams_lost_total", peer), 0);
    EXPECT_EQ(metrics.at("carpd_sync_bytes_total", with(peer, "direction", "sent")), 1234);
    EXPECT_GE(metrics.at("carpd_sync_records_total", with(peer, "kind", "full")), 5);
}

TEST(Metrics, AFamilyThatIsUnheard) {
    Json deaf = status();
    EXPECT_EQ(read(metrics_of(deaf, Json(nullptr))).at("carpd_group_family_unheard", kLan), 0);
    deaf["groups"][0]["unheard_family"] = "ipv6";
    EXPECT_EQ(read(metrics_of(deaf, Json(nullptr))).at("carpd_group_family_unheard", kLan), 1);
}

TEST(Metrics, SyncThatDoesNotAnswerIsDown) {
    const auto metrics = read(metrics_of(status(), Json(nullptr)));
    EXPECT_EQ(metrics.at("carpd_sync_up", {}), 0);
    EXPECT_EQ(metrics.at("carpd_sync_peers_up", {}), 1) << "the engine knows that still";
    EXPECT_FALSE(metrics.families.contains("carpd_sync_lag_seconds"));
    Json alone = status();
    alone["sync"] = nullptr;
    EXPECT_FALSE(read(metrics_of(alone, Json(nullptr))).families.contains("carpd_sync_up"));
}

TEST(Metrics, WithoutAnEngineTheyAreValidToo) {
    const auto metrics = read(metrics_without_engine());
    EXPECT_EQ(metrics.at("carpd_up", {}), 0);
    EXPECT_EQ(metrics.families.size(), 2u);
}

TEST(Metrics, OfWhatIsNoStatusThereAreNone) {
    for (const char* text : {"{}", "[]", "null", R"({"groups":[{}]})"})
        EXPECT_THROW(metrics_of(Json::parse(text), Json(nullptr)), Json::exception) << text;
    for (const char* text : {"{}", "[]", R"({"peers":[{}]})"})
        EXPECT_THROW(metrics_of(status(), Json::parse(text)), Json::exception) << text;
}

// ---- what ships for those who watch

std::set<std::string> names_in(const std::string& text) {
    static const std::regex kName("\\bcarpd_[a-z0-9_]+");
    return {std::sregex_token_iterator(text.begin(), text.end(), kName), {}};
}

std::string content_of(const std::filesystem::path& path) {
    std::ifstream in(path);
    EXPECT_TRUE(in) << path;
    return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Metrics, RulesAndDashboardNameOnlyThoseThatExist) {
    const std::filesystem::path folder = CARPD_SOURCE_DIR "/packaging/monitoring";
    const auto names = read(metrics()).sample_names();
    for (const char* file : {"carpd.rules.yml", "carpd-dashboard.json"}) {
        const auto used = names_in(content_of(folder / file));
        EXPECT_FALSE(used.empty()) << file;
        for (const std::string& name : used) EXPECT_TRUE(names.contains(name)) << file << ": " << name;
    }
    EXPECT_TRUE(Json::accept(content_of(folder / "carpd-dashboard.json")));
}

TEST(Metrics, TheManualExplainsEachAndNoOther) {
    const auto described = names_in(content_of(CARPD_SOURCE_DIR "/docs/man/carpd.8"));
    EXPECT_EQ(described, read(metrics()).names());
}

}  // namespace
}  // namespace carpd
