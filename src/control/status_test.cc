#include "control/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "carp/authenticator.h"
#include "control/human.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Instant kStart{1000s};
constexpr Processes kProcesses{.engine_pid = 124, .supervisor_pid = 123, .restarts = 2, .running = 7500ms};

GroupConfig lan() {
    GroupConfig config;
    config.name = "lan";
    config.interface = "eth0";
    config.vhid = Vhid{7};
    config.addresses = {{*IpAddress::parse("192.0.2.100"), 24}, {*IpAddress::parse("2001:db8::100"), 64}};
    config.key = {'s', '3', 'c', 'r', 'e', 't'};
    config.advskew = AdvSkew{100};
    return config;
}

GroupConfig dmz() {
    GroupConfig config = lan();
    config.name = "dmz";
    config.vhid = Vhid{8};
    config.addresses = {{*IpAddress::parse("198.51.100.1"), 24}};
    config.key = {};
    config.mac = MacMode::interface_mac;
    config.peers = {*IpAddress::parse("198.51.100.2")};
    config.peer_routed = true;
    config.preempt = true;
    return config;
}

const LinkStatus kUp{true, true, true, *IpAddress::parse("192.0.2.1"), IpAddress::any(Family::ipv6)};

class StatusTest : public testing::Test {
 protected:
    StatusTest() {
        node_.configure(kStart, share({lan(), dmz()}), out_);
        node_.handle_link(kStart, 0, kUp, out_);
    }
    // Somebody else's advertisement for lan.
    void hear(Instant now, std::uint8_t advskew, std::uint8_t advbase = 1) {
        Advertisement advertisement;
        advertisement.vhid = 7;
        advertisement.advbase = advbase;
        advertisement.advskew = advskew;
        advertisement.counter = 1;
        advertisement.digest = Authenticator(lan().key, Vhid{7}, lan().addresses).sign(1);
        const AdvertisementPacket packet(*IpAddress::parse("192.0.2.2"), carp_multicast_group(Family::ipv4),
                                         encode(advertisement));
        EXPECT_FALSE(node_.handle_packet(now, 0, packet.bytes(), out_).refused);
    }
    std::string line(Instant now, std::string_view dataplane = "bpf",
                     std::optional<GroupId> only = std::nullopt) {
        std::string text = status_head(kProcesses, now), comma;
        for (GroupId id = 0; id < node_.group_slots(); ++id) {
            if (only && *only != id) continue;
            text += std::exchange(comma, ",") + status_of(node_, *node_.group(id), now, dataplane);
        }
        return text + status_tail(node_, verdicts_, now);
    }
    json status(Instant now, std::optional<GroupId> only = std::nullopt) {
        return json::parse(line(now, "bpf", only));
    }

    Verdicts verdicts_;
    Node node_{1};
    Actions out_;
};

template <class Report>
Report only(const Actions& actions) {
    std::vector<Report> found;
    for (const Action& action : actions)
        if (const auto* report = std::get_if<Report>(&action)) found.push_back(*report);
    EXPECT_EQ(found.size(), 1u);
    return found.at(0);
}

// What both have is the same in both, and of counters the rest is 0.
TEST_F(StatusTest, ABriefOneIsPartOfTheWhole) {
    hear(kStart + 1s, 50);
    out_.clear();
    node_.handle_demotion(kStart + 1s, 0, "operator", 5, out_);
    node_.handle_packet(kStart + 1s, 0, std::vector<std::uint8_t>(20), out_);
    for (GroupId id : {0, 1}) {
        const json whole = json::parse(status_of(node_, *node_.group(id), kStart + 2s, "bpf"));
        json brief = json::parse(brief_status_of(node_, *node_.group(id), kStart + 2s, "bpf"));
        json& counters = brief.at("counters");
        for (const auto& [reason, count] : whole.at("counters").at("dropped").items())
            counters.at("dropped").emplace(reason, 0);
        for (const auto& [key, count] : whole.at("counters").items()) counters.emplace(key, count);
        for (const auto& [key, value] : brief.items()) EXPECT_EQ(value, whole.at(key)) << key;
        const json peers = json::parse(peers_status_of(node_, *node_.group(id), kStart + 2s));
        for (const auto& [key, value] : peers.items()) EXPECT_EQ(value, whole.at(key)) << key;
    }
}

TEST_F(StatusTest, TellsWhichDemotionsAreKept) {
    const Request kept[] = {{.command = Command::demote, .group = "lan", .amount = 5}};
    Processes processes = kProcesses;
    processes.kept = kept;
    const json status = json::parse(status_head(processes, kStart) + status_tail(node_, verdicts_, kStart));
    EXPECT_EQ(status.at("kept_demotions").dump(),
              R"([{"amount":5,"group":"lan","interface_group":null,"name":"operator"}])");
}

TEST_F(StatusTest, TellsOfTheHelper) {
    Processes processes = kProcesses;
    processes.helper = HelperStatus{815, 6, 5, {4, 3, 2, 1}};
    const json status = json::parse(status_head(processes, kStart) + status_tail(node_, verdicts_, kStart));
    EXPECT_EQ(status["helper"], json({{"pid", 815}, {"messages_lost", 6}, {"messages_refused", 5}}));
    EXPECT_EQ(status["hooks"], json({{"run", 4}, {"failed", 3}, {"timed_out", 2}, {"missed", 1}}));
}

TEST_F(StatusTest, TellsOfStateSynchronisation) {
    Processes processes = kProcesses;
    processes.sync =
        SyncProcessStatus{4711, "receiving", {SyncIncomplete::receiving, 2, 1}, 240, 9, 8, 3, kStart + 2s};
    const json status = json::parse(status_head(processes, kStart) + status_tail(node_, verdicts_, kStart));
    EXPECT_EQ(status["sync"], json({{"pid", 4711},
                                    {"incomplete", "receiving"},
                                    {"demotion", 240},
                                    {"demotion_remaining_ms", 2000},
                                    {"peers", 2},
                                    {"peers_up", 1},
                                    {"takeover", 9},
                                    {"committed", 8},
                                    {"messages_refused", 3}}));
}

TEST_F(StatusTest, TellsThatAGroupWaitsForItsFlows) {
    node_.set_commit_wait(kStart, 200ms, out_);
    node_.handle_request(kStart, 0, State::master, out_);
    node_.handle_send_result(kStart, 0, true, out_);
    node_.handle_send_result(kStart, 0, true, out_);
    json group = status(kStart)["groups"][0];
    EXPECT_EQ(group["state"], "master");
    EXPECT_EQ(group["waits_for_flows"], true);
    EXPECT_EQ(group["lease_remaining_ms"], nullptr);
    out_.clear();
    node_.handle_timer(kStart + 200ms, out_);
    group = status(kStart + 200ms)["groups"][0];
    EXPECT_EQ(group["waits_for_flows"], false);
    EXPECT_EQ(group["counters"]["commits_missed"], 1);
    const auto report = only<ReportUncommitted>(out_);
    const std::string sentence =
        "lan: addresses answer although the flows of the peers are not all in the kernel (waited 200 ms); "
        "connections may break";
    EXPECT_EQ(describe(lan(), report), sentence);
    const json line = json::parse(monitor_line(lan(), report, ""));
    EXPECT_EQ(line["event"], "uncommitted");
    EXPECT_EQ(line["waited_ms"], 200);
    EXPECT_EQ(line["text"], sentence);
}

TEST_F(StatusTest, KeepsTheContract) {
    const json status = this->status(kStart + 1234ms);
    EXPECT_EQ(status["ok"], true);
    EXPECT_EQ(status["schema"], 1);
    EXPECT_EQ(status["pid"], 124);
    EXPECT_EQ(status["supervisor_pid"], 123);
    EXPECT_EQ(status["restarts"], 2);
    EXPECT_EQ(status["running_ms"], 7500);
    EXPECT_TRUE(status["helper"].is_null());
    EXPECT_TRUE(status["hooks"].is_null());
    EXPECT_TRUE(status["sync"].is_null());
    ASSERT_EQ(status["groups"].size(), 2u);
    const json& group = status["groups"][0];
    EXPECT_EQ(group["name"], "lan");
    EXPECT_EQ(group["interface"], "eth0");
    EXPECT_EQ(group["vhid"], 7);
    EXPECT_EQ(group["state"], "backup");
    EXPECT_EQ(group["since_ms"], 1234);
    EXPECT_EQ(group["addresses"], json({"192.0.2.100/24", "2001:db8::100/64"}));
    EXPECT_EQ(group["advbase"], 1);
    EXPECT_EQ(group["advskew"], 100);
    EXPECT_EQ(group["demotion"], 0);
    EXPECT_EQ(group["demotion_reasons"], json::object());
    EXPECT_TRUE(group["counters"].is_object());
}

TEST_F(StatusTest, TellsWhoEnforcesTheLease) {
    EXPECT_EQ(status(kStart)["groups"][0]["dataplane"], "bpf");
    EXPECT_EQ(json::parse(line(kStart, "macvlan"))["groups"][0]["dataplane"], "macvlan");
    EXPECT_EQ(status(kStart)["groups"][0]["lease_remaining_ms"], nullptr);
    node_.handle_request(kStart, 0, State::master, out_);
    node_.handle_send_result(kStart, 0, true, out_);
    node_.handle_send_result(kStart, 0, true, out_);
    const json group = status(kStart + 12ms)["groups"][0];
    EXPECT_EQ(group["state"], "master");
    EXPECT_EQ(group["lease_remaining_ms"], 2800) << "15/16 of 3 s";
}

TEST_F(StatusTest, IsOneLine) {
    EXPECT_EQ(line(kStart).find('\n'), std::string::npos);
}

TEST_F(StatusTest, SaysWhyAndHow) {
    const json group = status(kStart)["groups"][0];
    EXPECT_EQ(group["cause"], "started");
    EXPECT_EQ(group["mac"], "virtual");
    EXPECT_EQ(group["virtual_mac"], "00:00:5e:00:01:07");
    EXPECT_EQ(group["peers"], json::array());
    EXPECT_EQ(group["has_password"], true);
    EXPECT_EQ(group["interface_running"], true);
    EXPECT_EQ(group["source_ipv4"], "192.0.2.1");
    EXPECT_EQ(group["source_ipv6"], nullptr);
    EXPECT_EQ(group["advertisement_interval_ms"], 1390.625);
    EXPECT_EQ(group["master_down_interval_ms"], 3390.625);
    EXPECT_EQ(group["next_deadline_ms"], 3390);
    EXPECT_EQ(group["last_heard"], nullptr);

    const json other = status(kStart)["groups"][1];
    EXPECT_EQ(other["mac"], "interface");
    EXPECT_EQ(other["virtual_mac"], nullptr);
    EXPECT_EQ(other["peers"], json({"198.51.100.2"}));
    EXPECT_EQ(other["peer_routed"], true);
    EXPECT_EQ(other["preempt"], true);
    EXPECT_EQ(other["has_password"], false);
}

TEST_F(StatusTest, ShowsOneGroupOnRequest) {
    const json status = this->status(kStart, node_.find_group("dmz"));
    ASSERT_EQ(status["groups"].size(), 1u);
    EXPECT_EQ(status["groups"][0]["name"], "dmz");
}

TEST_F(StatusTest, ShowsWhoWasHeard) {
    hear(kStart + 1s, 50);
    const json heard = status(kStart + 1500ms)["groups"][0]["last_heard"];
    EXPECT_EQ(heard["source"], "192.0.2.2");
    EXPECT_EQ(heard["advbase"], 1);
    EXPECT_EQ(heard["advskew"], 50);
    EXPECT_EQ(heard["demotion"], 0);
    EXPECT_EQ(heard["age_ms"], 500);
}

// What keeps a BACKUP from being MASTER, and when that ends.
TEST_F(StatusTest, TellsWhyItIsNotMaster) {
    json group = status(kStart)["groups"][0];
    EXPECT_EQ(group["obstacle"], "no_master_heard");
    EXPECT_EQ(group["master_down_remaining_ms"], 3390);
    EXPECT_EQ(group["held_cause"], nullptr);
    hear(kStart + 1s, 50);
    EXPECT_EQ(status(kStart + 1s)["groups"][0]["obstacle"], "faster");
    hear(kStart + 1s, 100);
    EXPECT_EQ(status(kStart + 1s)["groups"][0]["obstacle"], "equal");
    hear(kStart + 1s, 101);
    EXPECT_EQ(status(kStart + 1s)["groups"][0]["obstacle"], "no_preempt");
    node_.handle_demotion(kStart + 2s, 0, "operator", 1, out_);
    group = status(kStart + 2s)["groups"][0];
    EXPECT_EQ(group["obstacle"], "less_demoted");
    EXPECT_EQ(group["master_down_remaining_ms"], 2390);
    EXPECT_EQ(group["unheard_family"], nullptr);
    hear(kStart + 4s, 0);
    EXPECT_EQ(status(kStart + 4s)["groups"][0]["unheard_family"], "ipv6");
    node_.handle_request(kStart + 4s, 0, State::master, out_);
    group = status(kStart + 4s)["groups"][0];
    EXPECT_EQ(group["unheard_family"], nullptr);
    EXPECT_EQ(group["obstacle"], nullptr);
    EXPECT_EQ(group["master_down_remaining_ms"], nullptr);
}

TEST_F(StatusTest, TellsWhenItPreempts) {
    GroupConfig eager = lan();
    eager.preempt = true;
    eager.preempt_delay = 10s;
    node_.configure(kStart, share({eager, dmz()}), out_);
    hear(kStart + 1s, 200);
    const json group = status(kStart + 1s)["groups"][0];
    EXPECT_EQ(group["obstacle"], "preempt_delay");
    EXPECT_EQ(group["preempt_delay_remaining_ms"], 9000);
    EXPECT_EQ(status(kStart + 10s)["groups"][0]["preempt_delay_remaining_ms"], nullptr);
    EXPECT_EQ(status(kStart + 10s)["groups"][0]["obstacle"], "none");
}

// What isn't in the standings (rules O2 and G3).
TEST_F(StatusTest, TellsOfAFailureToBecomeMaster) {
    node_.handle_request(kStart, 0, State::master, out_);
    for (int copy = 0; copy < 2; ++copy) node_.handle_send_result(kStart, 0, true, out_);
    node_.handle_install_result(kStart, 0, false, out_);
    hear(kStart + 1s, 0, 4);  // so slow that we would take over
    EXPECT_EQ(status(kStart + 1s)["groups"][0]["obstacle"], "just_failed");
    EXPECT_EQ(status(kStart + 2s)["groups"][0]["obstacle"], "no_addresses");
}

TEST_F(StatusTest, TellsWhichMemberOfASetHolds) {
    GroupConfig eager = lan(), other = dmz();
    eager.preempt = true;
    eager.together = other.together = "edge";
    node_.configure(kStart, share({eager, other}), out_);
    hear(kStart + 1s, 200);
    const json group = status(kStart + 1s)["groups"][0];
    EXPECT_EQ(group["obstacle"], "held");
    EXPECT_EQ(group["held_by"], "dmz");
    EXPECT_EQ(group["held_cause"], "preempting");
}

TEST_F(StatusTest, TellsWhenHoldDownEnds) {
    EXPECT_EQ(status(kStart)["groups"][0]["hold_down_remaining_ms"], nullptr);
    node_.hold_down(kStart, kStart + 30s, out_);
    EXPECT_EQ(status(kStart + 1s)["groups"][0]["hold_down_remaining_ms"], 29000);
}

// One that takes over from us, or from which we did, is no second MASTER.
TEST_F(StatusTest, TellsOfASecondMaster) {
    const auto hears_rival = [&](Instant now) { return status(now)["groups"][0]["hears_rival"]; };
    hear(kStart + 1s, 200);
    node_.handle_request(kStart + 1s, 0, State::master, out_);
    hear(kStart + 2s, 200);
    EXPECT_EQ(hears_rival(kStart + 2s), false) << "it may not have heard us yet";
    hear(kStart + 3s, 200);
    EXPECT_EQ(hears_rival(kStart + 3s), true);
    EXPECT_EQ(hears_rival(kStart + 6s), true);
    EXPECT_EQ(hears_rival(kStart + 7s), false) << "silent for 3 s + 200/256 s";
    hear(kStart + 8s, 255, 255);
    EXPECT_EQ(hears_rival(kStart + 8s), false) << "it bows out";
}

TEST_F(StatusTest, NamesEveryDemotion) {
    node_.handle_demotion(kStart, 0, "operator", 10, out_);
    node_.handle_demotion(kStart, 0, "sync", -3, out_);
    const json group = status(kStart)["groups"][0];
    EXPECT_EQ(group["demotion"], 7);
    EXPECT_EQ(group["demotion_reasons"], json({{"operator", 10}, {"sync", -3}}));
    EXPECT_EQ(group["advskew"], 100);
    EXPECT_EQ(group["effective_advskew"], 240);
}

TEST_F(StatusTest, CountsEveryRefusalUnderItsName) {
    const json before = status(kStart)["groups"][0];
    ASSERT_EQ(before["counters"]["dropped"].size(), kDropReasonCount);
    EXPECT_EQ(before["counters"]["dropped"]["bad_digest"], 0);
    Advertisement forged;
    forged.vhid = 7;
    const AdvertisementPacket packet(*IpAddress::parse("192.0.2.2"), carp_multicast_group(Family::ipv4),
                                     encode(forged));
    node_.handle_packet(kStart, 0, packet.bytes(), out_);
    forged.vhid = 9;
    const AdvertisementPacket strange(*IpAddress::parse("192.0.2.2"), carp_multicast_group(Family::ipv4),
                                      encode(forged));
    node_.handle_packet(kStart, 0, strange.bytes(), out_);

    const json after = status(kStart);
    EXPECT_EQ(after["groups"][0]["counters"]["dropped"]["bad_digest"], 1);
    EXPECT_EQ(after["dropped"]["bad_vhid"], 1);
    EXPECT_EQ(before["last_refused"], nullptr);
    json refused = status(kStart + 1s)["groups"][0]["last_refused"];
    const std::string advertisement = refused["advertisement"];
    EXPECT_EQ(advertisement.size(), 2 * kAdvertisementSize);
    EXPECT_EQ(advertisement.substr(0, 4), "2107");  // as it was sent: version, type, vhid
    refused.erase("advertisement");
    EXPECT_EQ(refused, json({{"reason", "bad_digest"}, {"source", "192.0.2.2"}, {"age_ms", 1000}}));
}

TEST_F(StatusTest, TellsHowLateTimersWere) {
    EXPECT_EQ(status(kStart)["timers"], json({{"late", 0}, {"last", nullptr}, {"worst", nullptr}}));
    const Instant due = node_.next_deadline();
    node_.handle_timer(due + 10ms, out_);
    EXPECT_EQ(status(due + 10ms)["timers"]["late"], 0);
    const Instant next = node_.next_deadline();
    node_.handle_timer(next + 500ms, out_);
    const Instant after = node_.next_deadline();
    node_.handle_timer(after + 20ms, out_);
    EXPECT_EQ(status(after + 21ms)["timers"],
              json({{"late", 2},
                    {"last", {{"late_ms", 20}, {"age_ms", 1}}},
                    {"worst", {{"late_ms", 500}, {"age_ms", milliseconds(after + 21ms - (next + 500ms))}}}}));
}

// ---- changes

TEST_F(StatusTest, MonitorShowsATransition) {
    out_.clear();
    node_.handle_request(kStart + 3400ms, 0, State::master, out_);
    const auto report = only<ReportTransition>(out_);
    const json line = json::parse(monitor_line(lan(), report, "2026-07-20T03:12:04.567Z"));
    EXPECT_EQ(line["time"], "2026-07-20T03:12:04.567Z");
    EXPECT_EQ(line["event"], "transition");
    EXPECT_EQ(line["group"], "lan");
    EXPECT_EQ(line["from"], "backup");
    EXPECT_EQ(line["to"], "master");
    EXPECT_EQ(line["reason"], "operator's request");
    EXPECT_EQ(line["cause"], "operator_request");
    EXPECT_EQ(line["previous_ms"], 3400);
    EXPECT_EQ(line["ours"], json({{"advbase", 1}, {"advskew", 100}, {"demotion", 0}}));
    EXPECT_EQ(line["rival"], nullptr);
    EXPECT_EQ(line["text"], "lan: BACKUP -> MASTER (operator's request), after 3.4 s in BACKUP");
}

TEST_F(StatusTest, ATransitionNamesTheRival) {
    node_.handle_request(kStart, 0, State::master, out_);
    out_.clear();
    hear(kStart + 125min, 50);
    const auto report = only<ReportTransition>(out_);
    EXPECT_EQ(
        describe(lan(), report),
        "lan: MASTER -> BACKUP (more frequent advertisement received) from 192.0.2.2 (advbase 1 advskew 50), "
        "after 2 h 5 min in MASTER");
    EXPECT_EQ(json::parse(monitor_line(lan(), report, ""))["rival"]["source"], "192.0.2.2");
}

TEST_F(StatusTest, ABowOutIsTakenAtItsWord) {
    out_.clear();
    hear(kStart + 1s, 255, 255);
    EXPECT_EQ(describe(lan(), only<ReportTransition>(out_)),
              "lan: BACKUP -> MASTER (master bowed out) from 192.0.2.2, after 1.0 s in BACKUP");
}

TEST_F(StatusTest, MonitorShowsARivalAndADemotion) {
    node_.handle_request(kStart, 0, State::master, out_);
    out_.clear();
    hear(kStart + 10s, 200);
    const auto rival = only<ReportRival>(out_);
    EXPECT_EQ(describe(lan(), rival),
              "lan: another MASTER advertises (less frequent advertisement received): 192.0.2.2 (advbase 1 "
              "advskew 200); "
              "staying MASTER");
    EXPECT_EQ(json::parse(monitor_line(lan(), rival, ""))["event"], "rival");

    out_.clear();
    node_.handle_demotion(kStart + 10s, 0, "operator", 10, out_);
    const auto demotion = only<ReportDemotion>(out_);
    EXPECT_EQ(describe(lan(), demotion, verdicts_), "lan: demotion is now 10 (operator)");
    const json line = json::parse(monitor_line(lan(), demotion, verdicts_, ""));
    EXPECT_EQ(line["event"], "demotion");
    EXPECT_EQ(line["demotion"], 10);
    EXPECT_EQ(describe(lan(), ReportDemotion{0, "operator", 0}, verdicts_),
              "lan: no longer demoted (operator)");
}

TEST_F(StatusTest, ShowsTracks) {
    TrackConfig uplink, web;
    uplink.name = "uplink";
    uplink.subject = LinkCheck{"eth1"};
    uplink.demote = 64;
    web.name = "web";
    web.subject = TcpCheck{*IpAddress::parse("192.0.2.10"), 80};
    web.withdraw = true;
    web.groups = {"lan"};
    verdicts_.configure({uplink, web});
    verdicts_.set("uplink", {true, true, "eth1 is up", kStart + 2s, 3, 2, 1});
    node_.handle_failing_tracks(kStart, verdicts_.failing(), out_);
    const json all = status(kStart + 5s);
    EXPECT_EQ(all["tracks"][0], json::parse(R"({"name":"uplink","kind":"interface","passed":true,"known":true,
        "since_ms":3000,"why":"eth1 is up","demote":64,"withdraw":false,"groups":[],
        "counters":{"passes":3,"failures":2,"changes":1}})"));
    EXPECT_EQ(all["tracks"][1], json::parse(R"({"name":"web","kind":"tcp","passed":false,"known":false,
        "since_ms":null,"why":"no result yet","demote":null,"withdraw":true,"groups":["lan"],
        "counters":{"passes":0,"failures":0,"changes":0}})"));
    EXPECT_EQ(all["groups"][0]["state"], "init");
    EXPECT_EQ(all["groups"][0]["withdrawn_by"], json::array({"web"}));
    EXPECT_EQ(all["groups"][0]["reason"], "withdrawn by a failing check: web");
    EXPECT_EQ(all["groups"][1]["withdrawn_by"], json::array());
}

// It counts as failed (rule H3); the log must not look as if something had.
TEST_F(StatusTest, WhatIsNotCheckedYetIsNotCalledAFailure) {
    TrackConfig web, uplink;
    web.name = "web";
    web.withdraw = true;
    uplink.name = "uplink";
    verdicts_.configure({web, uplink});
    node_.handle_failing_tracks(kStart, verdicts_.failing(), out_);
    const VirtualHost& host = *node_.group(0);
    const ReportDemotion demotion{0, "track:uplink", 240};
    EXPECT_EQ(reason_of(host, verdicts_), "not checked yet: web");
    EXPECT_EQ(describe(lan(), demotion, verdicts_),
              "lan: demotion is now 240 (track:uplink, not checked yet)");
    verdicts_.set("web", {true, false, "refused", kStart});
    verdicts_.set("uplink", {true, false, "eth1 has no carrier", kStart});
    EXPECT_EQ(reason_of(host, verdicts_), "withdrawn by a failing check: web");
    EXPECT_EQ(describe(lan(), demotion, verdicts_), "lan: demotion is now 240 (track:uplink)");
}

TEST_F(StatusTest, AWithdrawalNamesTheCheck) {
    out_.clear();
    node_.handle_failing_tracks(kStart + 2s, {{"web", 0, true, {"lan"}}}, out_);
    EXPECT_EQ(describe(lan(), only<ReportTransition>(out_)),
              "lan: BACKUP -> INIT (withdrawn by a failing check: web), after 2.0 s in BACKUP");
}

TEST(Track, IsDescribed) {
    EXPECT_EQ(describe("web", TrackVerdict{true, false, "refused", kStart}, std::nullopt),
              "track web fails: refused");
    EXPECT_EQ(describe("web", TrackVerdict{true, true, "accepts", kStart}, kStart - 90s),
              "track web passes: accepts, after 1 min 30 s");
}

TEST(HumanDuration, HasTwoUnitsAtMost) {
    const auto all = [](auto... durations) { return std::vector<std::string>{human_duration(durations)...}; };
    EXPECT_THAT(all(-1s, 0s, 3906250ns, 40ms, 999ms),
                ElementsAre("0 ms", "0 ms", "3.9 ms", "40 ms", "999 ms"));
    EXPECT_THAT(all(1s, 12340ms, 59999ms), ElementsAre("1.0 s", "12.3 s", "59.9 s"));
    EXPECT_THAT(all(60s, 249s, 3599s), ElementsAre("1 min 0 s", "4 min 9 s", "59 min 59 s"));
    EXPECT_THAT(all(1h, 125min, 24h - 1s), ElementsAre("1 h 0 min", "2 h 5 min", "23 h 59 min"));
    EXPECT_THAT(all(24h, 76h, 24h * 1000), ElementsAre("1 d 0 h", "3 d 4 h", "1000 d 0 h"));
}

}  // namespace
}  // namespace carpd
