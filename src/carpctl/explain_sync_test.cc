// What is said of state synchronisation, and of the demotion for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "carpctl/explain.h"

namespace carpd {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;
using testing::Not;

const Paint kPlain(false);

Json up() {
    return Json::parse(R"json({
        "name": "fw2", "address": "10.9.0.2", "up": true, "since_ms": 7500000, "why": null,
        "said": {"master": false, "complete": true, "flows": 1234},
        "told": {"complete": true, "waiting": 0, "lag_ms": 0, "counters": {"lost_datagrams": 0}},
        "held": {"complete": true, "flows": 1234, "flows_of_session_before": 0, "differing_buckets": 0}})json");
}

Json down() {
    Json peer = up();
    peer["name"] = peer["said"] = nullptr;
    peer["up"] = false;
    peer["since_ms"] = 12340;
    peer["why"] = "silent for 12.3 s";
    return peer;
}

Json sync_status(const Json& peers) {
    Json json = Json::parse(R"json({
        "running_ms": 7500000, "socket_trouble": null, "flows": 100000, "flows_refused": 0,
        "kernel": {"lost_events": 0}, "changes": {"failed": {"full": 0, "clashes": 0}},
        "takeovers": {"bound_exceeded": 0}})json");
    json["peers"] = peers;
    return json;
}

// `remaining` of the demotion.
Json status(const std::string& incomplete, int demotion, const Json& remaining = nullptr) {
    return {{"restarts", 0},
            {"groups", Json::array()},
            {"dropped", Json::object()},
            {"sync",
             {{"incomplete", incomplete},
              {"demotion", demotion},
              {"demotion_remaining_ms", remaining},
              {"peers_up", 1}}}};
}

std::string explain(const Json& engine, const Json& sync) {
    return render_explanation({engine, sync}, true, kPlain);
}

TEST(ExplainSync, SaysNothingWhereThereIsNone) {
    Json engine = status("no", 0);
    engine["sync"] = nullptr;
    EXPECT_EQ(explain(engine, nullptr), "");
}

TEST(ExplainSync, ACompleteCopy) {
    EXPECT_EQ(explain(status("no", 0), sync_status(Json::array({up()}))),
              "sync: This host has all flows of its peers, and it is not demoted for that.\n"
              "  This host owns 100000 flows, and has 1234 of its peers.\n"
              "  Peer fw2 (10.9.0.2) is up for 2 h 5 min, and owns 1234 flows, of which 100 % are here. It "
              "has acknowledged all of this host's.\n"
              "  Nothing was lost since it started.\n");
}

TEST(ExplainSync, ACopyThatIsBeingReceived) {
    Json peer = up();
    peer["held"]["flows"] = 420;
    peer["held"]["complete"] = false;
    peer["told"] = Json::parse(
        R"({"complete": false, "waiting": 12, "lag_ms": 1.5, "counters": {"lost_datagrams": 0}})");
    peer["said"]["complete"] = false;
    peer["held"]["differing_buckets"] = 3;
    const std::string text = explain(status("receiving", 240), sync_status(Json::array({peer})));
    for (const char* line :
         {"sync: This host lacks flows of its peers: peers have not told all yet (34 % are here).\n",
          "  All its groups are demoted by 240 until it has them: it takes over from no host that has all, "
          "but serves where there is none.\n",
          ", and owns 1234 flows, of which 34 % are here. 12 of this host's wait for its acknowledgement, "
          "the "
          "oldest change for 1.5 ms.\n",
          "  fw2 (10.9.0.2) has not told all that it owns yet.\n",
          "  fw2 (10.9.0.2) has not been told all that this host owns yet.\n",
          "  fw2 (10.9.0.2) says that it lacks flows of its peers.\n",
          "  What is here of fw2 (10.9.0.2) differs from what it has in 3 of 1024 parts; these are asked for "
          "again.\n"})
        EXPECT_THAT(text, HasSubstr(line));
}

// Rules Y4 to Y6 of docs/protocol/carp.md.
TEST(ExplainSync, WhatItDoesToMastership) {
    const Json sync = sync_status(Json::array({up()}));
    EXPECT_THAT(
        explain(status("no", 240, 400), sync),
        HasSubstr("sync: This host has all flows of its peers; its demotion by 240 ends in 400 ms.\n"));
    EXPECT_THAT(explain(status("overrun", 0), sync),
                HasSubstr("  It is MASTER, so what it has counts: it is not demoted for that.\n"));
    EXPECT_THAT(explain(status("starting", 240, 2100), sync),
                HasSubstr("  It became MASTER without them, so all its groups are demoted by 240 for 2.1 s "
                          "more, for a host that has all to take over; from then on, what it has counts.\n"));
}

TEST(ExplainSync, APeerThatIsDown) {
    Json engine = status("no", 0);
    engine["sync"]["peers_up"] = 0;
    EXPECT_THAT(explain(engine, sync_status(Json::array({down()}))),
                HasSubstr("sync: No peer is up that could tell this host of flows that it lacks, and it is "
                          "not demoted for that.\n"));
    EXPECT_THAT(explain(engine, sync_status(Json::array({down()}))),
                HasSubstr("  Peer 10.9.0.2 is down for 12.3 s: silent for 12.3 s. That demotes nobody by "
                          "itself, but a takeover between the two loses connections.\n"));
}

TEST(ExplainSync, APeerThatSaidNothingYet) {
    Json peer = up();
    peer["said"] = nullptr;
    EXPECT_THAT(explain(status("receiving", 240), sync_status(Json::array({peer}))),
                HasSubstr("is up for 2 h 5 min, and has not said yet what it owns. "));
}

TEST(ExplainSync, Losses) {
    Json sync = sync_status({up(), up()});
    sync["peers"][0]["told"]["counters"]["lost_datagrams"] = 2;
    sync["peers"][1]["told"]["counters"]["lost_datagrams"] = 3;
    sync["kernel"]["lost_events"] = 7;
    sync["changes"]["failed"] = {{"full", 1}, {"clashes", 1}};
    EXPECT_THAT(
        explain(status("no", 0), sync),
        HasSubstr("  Lost since it started, 2 h 5 min ago: 7 events of the kernel (its table was read "
                  "again), 5 datagrams to peers (told again), 2 changes that the kernel refused; see "
                  "`carpctl sync status`.\n"));
}

TEST(ExplainSync, AProcessThatDoesNotAnswer) {
    const std::string text = explain(status("no_process", 240), nullptr);
    EXPECT_THAT(text, HasSubstr("sync: This host lacks flows of its peers: carpd: sync does not run.\n"));
    EXPECT_THAT(text,
                HasSubstr("  carpd: sync does not answer, so no more is known; carpd's log says why.\n"));
}

TEST(ExplainSync, ALinkThatCanNotBeUsed) {
    Json sync = sync_status(Json::array({down()}));
    sync["socket_trouble"] = "eth2 is missing";
    EXPECT_THAT(explain(status("no", 0), sync), HasSubstr("  No peer can be spoken to: eth2 is missing.\n"));
}

// The demotion of a group for it.
TEST(ExplainSync, DemotionOfAGroup) {
    Json engine = status("receiving", 240);
    engine["running_ms"] = 1000;
    engine["tracks"] = Json::array();
    engine["groups"].push_back(Json::parse(R"json({
        "name": "lan", "interface": "eth0", "vhid": 1, "state": "backup", "since_ms": 1000, "cause": "started",
        "reason": "started", "addresses": [], "advbase": 1, "advskew": 0, "effective_advskew": 240, "demotion": 240,
        "demotion_reasons": {"sync": 240}, "obstacle": "less_demoted", "unheard_family": null, "preempt": true,
        "master_down_remaining_ms": 2000, "last_refused": null,
        "last_heard": {"source": "192.0.2.2", "advbase": 1, "advskew": 100, "demotion": 0, "age_ms": 400},
        "counters": {"dropped": {}}})json"));
    Json peer = up();
    peer["held"]["flows"] = 420;
    const Json sync = sync_status(Json::array({peer}));
    EXPECT_THAT(explain(engine, sync),
                HasSubstr("  It is demoted by 240 (sync): this host lacks flows of its peers (peers have not "
                          "told all yet; 34 % are here); ends when it has them.\n"
                          "  The master is demoted by less (0 against 240), so it is the better one. Without "
                          "this host's demotion, it would take over.\n"));
    engine["sync"]["demotion_remaining_ms"] = 2100;
    EXPECT_THAT(explain(engine, nullptr),
                HasSubstr("(peers have not told all yet); ends in 2.1 s, or when it has them.\n"));
    engine["sync"]["incomplete"] = "no";
    EXPECT_THAT(explain(engine, sync),
                HasSubstr("(sync): this host has only just got all flows of its peers; ends in 2.1 s.\n"));
}

}  // namespace
}  // namespace carpd
