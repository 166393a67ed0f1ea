#include "carpctl/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace carpd {
namespace {

using Json = nlohmann::ordered_json;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const Paint kPlain(false), kColoured(true);
const Json kNoSync(nullptr);

Json master() {
    return Json::parse(R"json({
        "name": "lan", "interface": "eth0", "vhid": 1, "state": "master", "since_ms": 7500000,
        "cause": "master_timed_out", "reason": "master timed out", "withdrawn_by": [],
        "addresses": ["192.0.2.100/24"], "advbase": 1, "advskew": 100, "effective_advskew": 100, "demotion": 0, "demotion_reasons": {},
        "together": null, "held_by": null, "held_cause": null, "obstacle": null, "hears_rival": false, "unheard_family": null,
        "waits_for_flows": false, "commit_wait_remaining_ms": null, "preempt": false,
        "preempt_delay_remaining_ms": null, "hold_down_remaining_ms": null, "lease_remaining_ms": 2641,
        "interface_present": true, "interface_up": true, "interface_running": true,
        "master_down_remaining_ms": null, "last_heard": null, "last_refused": null,
        "counters": {"dropped": {"bad_digest": 0, "vrrp2": 0, "not_running": 0}}})json");
}

Json heard(int advskew, int demotion = 0, int age_ms = 400) {
    return {{"source", "192.0.2.2"},
            {"advbase", 1},
            {"advskew", advskew},
            {"demotion", demotion},
            {"age_ms", age_ms}};
}

// That hears a master with this advskew and demotion.
Json backup(const std::string& obstacle, int advskew, int demotion = 0) {
    Json group = master();
    group["state"] = "backup";
    group["cause"] = "better_advertisement";
    group["reason"] = "more frequent advertisement received";
    group["obstacle"] = obstacle;
    group["lease_remaining_ms"] = nullptr;
    group["master_down_remaining_ms"] = 3100;
    group["last_heard"] = heard(advskew, demotion);
    return group;
}

void demote(Json& group, const Json& reasons, int sum) {
    group["demotion_reasons"] = reasons;
    group["demotion"] = sum;
    group["effective_advskew"] = std::max(240, group["advskew"].get<int>());
}

Json init(const std::string& cause, const std::string& reason) {
    Json group = master();
    group["state"] = "init";
    group["since_ms"] = 5000;
    group["cause"] = cause;
    group["reason"] = reason;
    group["lease_remaining_ms"] = nullptr;
    return group;
}

Json status(const Json& group) {
    Json json = Json::parse(R"json({
        "ok": true, "schema": 1, "restarts": 0, "running_ms": 259200000, "sync": null,
        "tracks": [{"name": "uplink", "passed": false, "known": true, "since_ms": 5000, "why": "eth1 has no carrier"},
                   {"name": "web", "passed": false, "known": false, "since_ms": null, "why": "no result yet"}],
        "dropped": {"bad_vhid": 0}})json");
    json["groups"] = Json::array({group});
    return json;
}

std::string explain(const Json& group) {
    const Json all = status(group);
    return render_explanation({all, kNoSync}, true, kPlain);
}

std::vector<std::string> codes(const Reasons& reasons) {
    std::vector<std::string> codes;
    for (const Reason& reason : reasons) codes.push_back(reason.code);
    return codes;
}

std::vector<std::string> codes(const Json& group) {
    const Json all = status(group);
    return codes(explain_group(group, {all, kNoSync}));
}

// ---- MASTER

TEST(Explain, AMasterAlone) {
    EXPECT_EQ(explain(master()),
              "lan: MASTER for 2 h 5 min; the cause: master timed out.\n"
              "  This host: advertisement time 1.391 s (advbase 1, advskew 100), demotion 0.\n"
              "  No other MASTER is heard. Backups are silent, so from here nobody can tell whether there is "
              "one.\n"
              "  It would become BACKUP if a host that is not demoted advertised more often than every 1.391 "
              "s; a backup does that only if it preempts.\n"
              "  Should carpd stop advertising, its addresses answer for 2.6 s more (its lease).\n");
}

TEST(Explain, AMasterThatTookOverFromAnother) {
    Json group = master();
    group["last_heard"] = heard(0, 0, 7500420);
    EXPECT_THAT(explain(group),
                HasSubstr("whether there is one. The last other one, 192.0.2.2, was heard 2 h "
                          "5 min ago.\n"));
    group["last_heard"] = heard(255, 0, 7500000);
    group["last_heard"]["advbase"] = 255;
    EXPECT_THAT(explain(group), HasSubstr("was heard 2 h 5 min ago, when it left.\n"));
}

TEST(Explain, AMasterThatIsDemoted) {
    Json group = master();
    demote(group, {{"operator", 10}}, 10);
    const std::string text = explain(group);
    EXPECT_THAT(text, HasSubstr("  This host: advertisement time 1.938 s (advbase 1, advskew 240 instead of "
                                "100 because it is demoted), demotion 10.\n"
                                "  It is demoted by 10 (operator): an operator did that; ends with `carpctl "
                                "demote lan 0`.\n"));
    EXPECT_THAT(
        text, HasSubstr("  Any backup that is demoted by less than 10 takes over at the next advertisement; "
                        "while none does, there is none that hears this host.\n"));
}

TEST(Explain, TwoMasters) {
    Json group = master();
    group["hears_rival"] = true;
    group["last_heard"] = heard(200);
    const std::string text = explain(group);
    EXPECT_THAT(text, HasSubstr("  192.0.2.2 advertises as MASTER, too, and was heard 400 ms ago: "
                                "advertisement time 1.781 s (advbase 1, advskew 200), demotion 0. This host "
                                "is the better one, so the other has to give up. As long as it goes on it "
                                "does not hear this host, or refuses what it hears; ask `carpctl explain "
                                "lan` there.\n"));
    EXPECT_THAT(text, Not(HasSubstr("No other MASTER")));
    group["last_heard"] = heard(100);
    EXPECT_THAT(explain(group),
                HasSubstr("Neither is the better one, so that with the higher address has to give up."));
}

TEST(Explain, AMasterThatWaitsForFlows) {
    Json group = master();
    group["waits_for_flows"] = true;
    group["commit_wait_remaining_ms"] = 150;
    group["lease_remaining_ms"] = nullptr;
    EXPECT_THAT(
        explain(group),
        HasSubstr("  Its addresses do not answer yet: until the flows of the peers are in the kernel, "
                  "but at most 150 ms more, it waits.\n"));
    EXPECT_THAT(codes(group), Not(Contains("lease")));
}

// ---- BACKUP

TEST(Explain, ABackupOfAFasterMaster) {
    EXPECT_EQ(explain(backup("faster", 0)),
              "lan: BACKUP for 2 h 5 min; the cause: more frequent advertisement received.\n"
              "  The master is 192.0.2.2, heard 400 ms ago: advertisement time 1.000 s (advbase 1, advskew "
              "0), demotion 0.\n"
              "  This host: advertisement time 1.391 s (advbase 1, advskew 100), demotion 0.\n"
              "  The master advertises more often, so it is the better one. With an advertisement time below "
              "1.000 s and preempt it would take over; now preempt is off.\n"
              "  It takes over when the master is silent for 3.1 s more.\n");
    Json group = backup("faster", 50);
    group["preempt"] = true;
    EXPECT_THAT(explain(group), HasSubstr("With an advertisement time below 1.195 s it would preempt.\n"));
}

TEST(Explain, TimesOfAdvbase0AreMilliseconds) {
    Json group = backup("faster", 10);
    group["advbase"] = group["last_heard"]["advbase"] = 0;
    group["master_down_remaining_ms"] = 1100;
    const std::string text = explain(group);
    EXPECT_THAT(text, HasSubstr("advertisement time 39.1 ms (advbase 0, advskew 10)"));
    EXPECT_THAT(text, HasSubstr("advertisement time 390.6 ms (advbase 0, advskew 100)"));
    EXPECT_THAT(text, HasSubstr("silent for 1.1 s more.\n"));
}

TEST(Explain, AFamilyThatIsUnheard) {
    Json group = backup("faster", 0);
    group["addresses"] = {"192.0.2.100/24", "2001:db8::100/64"};
    EXPECT_THAT(explain(group), Not(HasSubstr("heard in")));
    EXPECT_THAT(explain(group), HasSubstr("  It takes over when the master is silent for 3.1 s more.\n"));
    group["unheard_family"] = "ipv6";
    EXPECT_THAT(explain(group), HasSubstr("  It is heard in IPv4 only; `carpctl doctor` says more.\n"));
    group["unheard_family"] = "ipv4";
    EXPECT_THAT(explain(group), HasSubstr("  It is heard in IPv6 only; "));
}

TEST(Explain, ABackupThatIsEqual) {
    EXPECT_THAT(
        explain(backup("equal", 100)),
        HasSubstr("  Neither is the better one, so the master stays it; only between two MASTERs does "
                  "the lower address decide. With an advertisement time below 1.391 s and preempt it "
                  "would take over; now preempt is off.\n"));
}

// No advskew would help: both say 240.
TEST(Explain, ABackupThatIsAsDemotedAsTheMaster) {
    Json group = backup("equal", 240, 10);
    demote(group, {{"operator", 10}}, 10);
    EXPECT_THAT(explain(group), HasSubstr("  Both are demoted by 10, so neither is the better one, and the "
                                          "master stays it.\n"));
}

TEST(Explain, ABackupThatIsBetterAndDoesNotPreempt) {
    EXPECT_THAT(explain(backup("no_preempt", 200)),
                HasSubstr("  This host is the better one, but stays BACKUP as long as the master lives: "
                          "preempt is off. `carpctl state lan master` takes over once, `preempt = true` "
                          "always.\n"));
}

TEST(Explain, ABackupThatWaitsForItsPreemptDelay) {
    Json group = backup("preempt_delay", 200);
    group["preempt_delay_remaining_ms"] = 12300;
    EXPECT_THAT(explain(group), HasSubstr("  This host is the better one, and preempts when preempt-delay is "
                                          "over, in 12.3 s.\n"));
}

TEST(Explain, ABackupThatHearsNobody) {
    Json group = backup("no_master_heard", 0);
    group["last_heard"] = heard(0, 0, 8'000'000);  // in a life before
    const std::string text = explain(group);
    EXPECT_THAT(text, HasSubstr("  No master has been heard since.\n"));
    EXPECT_THAT(text, HasSubstr("  It takes over in 3.1 s if none is heard.\n"));
    EXPECT_THAT(text, Not(HasSubstr("192.0.2.2")));
}

TEST(Explain, ABackupThatWillTakeOver) {
    Json group = backup("none", 100, 10);
    const std::string text = explain(group);
    EXPECT_THAT(
        text, HasSubstr("  It takes over when it hears the master the next time: master is more demoted.\n"));
    EXPECT_THAT(codes(group), Contains("takes_over"));
    group["last_heard"] = heard(255);
    group["last_heard"]["advbase"] = 255;
    group["obstacle"] = "just_failed";
    EXPECT_THAT(explain(group), HasSubstr("  192.0.2.2 was heard leaving 400 ms ago.\n"));
}

TEST(Explain, ABackupThatFailedToBecomeMaster) {
    Json group = backup("just_failed", 200);
    group["cause"] = "cannot_advertise";
    EXPECT_THAT(explain(group), HasSubstr("its advertisements could not be sent; see carpd's log.\n"));
    EXPECT_THAT(explain(group), HasSubstr("  It tried to become MASTER just now, and does again after an "
                                          "interval at the earliest.\n"));
    group["obstacle"] = "no_addresses";
    group["cause"] = "addresses_refused";
    EXPECT_THAT(explain(group),
                HasSubstr("  The kernel refused its addresses the last time, so it takes over "
                          "only when no master is heard or the master leaves.\n"));
}

TEST(Explain, ABackupThatASetHolds) {
    Json group = backup("held", 0);
    group["together"] = "edge";
    group["held_by"] = "wan";
    group["held_cause"] = "master_timed_out";
    const std::string text = explain(group);
    EXPECT_THAT(text, HasSubstr("  It would take over, but wan of the set edge hears a better master, or has "
                                "heard none yet, and they move together; see `carpctl explain wan`.\n"));
    EXPECT_THAT(text, Not(HasSubstr("silent for")));
    group["held_by"] = nullptr;
    EXPECT_THAT(explain(group), HasSubstr("but another group of the set edge hears a better master"));
}

TEST(Explain, ABackupThatAnOperatorMadeOne) {
    Json group = backup("no_preempt", 200);
    group["cause"] = "operator_request";
    group["reason"] = "operator's request";
    EXPECT_THAT(explain(group), StartsWith("lan: BACKUP for 2 h 5 min; the cause: operator's request.\n"
                                           "  An operator asked for this state (`carpctl state`), once; the "
                                           "election goes on from there.\n"));
}

// ---- demotion

TEST(Explain, ABackupThatIsDemoted) {
    Json group = backup("less_demoted", 200);
    demote(group, {{"operator", 10}}, 10);
    EXPECT_THAT(explain(group),
                HasSubstr("  The master is demoted by less (0 against 10), so it is the better one. Without "
                          "this host's demotion, it would be the better one, but stay BACKUP as long as the "
                          "master lives: preempt is off.\n"));
    group["preempt"] = true;
    EXPECT_THAT(explain(group), HasSubstr("Without this host's demotion, it would take over.\n"));
    group["last_heard"] = heard(0);
    EXPECT_THAT(explain(group),
                HasSubstr("Without this host's demotion, the master would still be the better "
                          "one: it advertises more often.\n"));
    group["last_heard"] = heard(100);
    EXPECT_THAT(explain(group),
                HasSubstr("Without this host's demotion, neither would be the better one, and "
                          "the master would stay.\n"));
    // Who is demoted says 240, as the master then does.
    group["last_heard"] = heard(240, 5);
    EXPECT_THAT(explain(group),
                HasSubstr("Were this host demoted by 5, too, neither would be the better one"));
}

TEST(Explain, WhenADemotionEndsByItself) {
    Json group = backup("less_demoted", 200);
    demote(group, {{"carp:drain", 200}}, 200);
    group["demotion_remaining_ms"] = {{"carp:drain", 7'500'000}};
    EXPECT_THAT(explain(group),
                HasSubstr("an operator drained this host; ends in 2 h 5 min, or with `carpctl "
                          "undrain`."));
}

TEST(Explain, WhenADemotionOutlivesTheDaemon) {
    Json group = backup("less_demoted", 200);
    demote(group, {{"carp:drain", 200}}, 200);
    Json all = status(group);
    all["kept_demotions"] = {
        {{"group", nullptr}, {"interface_group", "carp"}, {"name", "drain"}, {"amount", 200}}};
    EXPECT_THAT(render_explanation({all, nullptr}, false, Paint(false)),
                HasSubstr("ends not when carpd starts again, but with `carpctl undrain`."));
}

TEST(Explain, DemotionsByNameOwnerAndSize) {
    Json group = backup("less_demoted", 200);
    group["hold_down_remaining_ms"] = 12000;
    demote(group,
           {{"send_error", 240},
            {"addresses", 240},
            {"hold_down", 128},
            {"track:uplink", 20},
            {"track:web", 20},
            {"together:wan", 255},
            {"maintenance", 10},
            {"carp:upgrade", 7},
            {"carp:operator", -100},
            {"carp:drain", 200},
            {"drain", 200}},
           255);
    const std::string text = explain(group);
    for (
        const char* line :
        {"  It is demoted by 240 (send_error): three advertisements in a row could not be sent; ends when "
         "three in a row can.\n",
         "  It is demoted by 240 (addresses): the kernel refused the group's addresses (carpd's log says "
         "why); ends when it takes them.\n",
         "  It is demoted by 128 (hold_down): carpd has just started (hold-down); ends in 12.0 s.\n",
         "  It is demoted by 20 (track:uplink): the check uplink fails (eth1 has no carrier) for 5.0 s; ends "
         "when it passes.\n",
         "  It is demoted by 20 (track:web): the check web has no result yet, which counts as failed; ends "
         "when it passes.\n",
         "  It is demoted by 255 (together:wan): wan is in its set and can't serve, or not as well; see "
         "`carpctl explain wan`.\n",
         "  It is demoted by 10 (maintenance): an operator did that; ends with `carpctl demote -n "
         "maintenance lan 0`.\n",
         "  It is demoted by 7 (carp:upgrade): an operator did that; ends with `carpctl demote -g -n upgrade "
         "carp 0`.\n",
         "  Its demotion is lowered by 100 (carp:operator): an operator did that; ends with `carpctl demote "
         "-g carp 0`.\n",
         "  It is demoted by 200 (carp:drain): an operator drained this host; ends with `carpctl undrain`.\n",
         "  It is demoted by 200 (drain): an operator drained this host; ends with `carpctl undrain lan`.\n",
         "  Its demotion is 255 in all.\n"})
        EXPECT_THAT(text, HasSubstr(line));
}

// ---- INIT

TEST(Explain, AnInterfaceThatIsNotThere) {
    Json group = init("interface_missing", "interface is missing");
    group["interface_present"] = group["interface_up"] = group["interface_running"] = false;
    EXPECT_EQ(explain(group),
              "lan: In INIT for 5.0 s; the cause: interface is missing.\n"
              "  This host has no interface eth0; the group goes on when there is one.\n"
              "  Until then it takes no part in the election, whatever its advskew; another host serves, if "
              "there is one.\n");
    group["interface_present"] = true;
    EXPECT_THAT(explain(group), HasSubstr("  eth0 is down; `ip link set eth0 up` ends that.\n"));
    group["interface_up"] = true;
    EXPECT_THAT(explain(group), HasSubstr("  eth0 is up, but has no carrier: look at the cable, the switch's "
                                          "port, and what is at its other end.\n"));
}

TEST(Explain, AGroupThatChecksWithdraw) {
    Json group = init("check_failed", "withdrawn by a failing check: uplink, web");
    group["withdrawn_by"] = {"uplink", "web"};
    const std::string text = explain(group);
    EXPECT_THAT(text, HasSubstr("  It is withdrawn because the check uplink fails (eth1 has no carrier) for "
                                "5.0 s; that ends when it passes.\n"));
    EXPECT_THAT(text, HasSubstr("  It is withdrawn because the check web has no result yet, which counts as "
                                "failed; that ends when it passes.\n"));
}

// ---- refused advertisements

TEST(Explain, RefusedAdvertisements) {
    Json group = master();
    group["counters"]["dropped"] = {{"bad_digest", 17}, {"vrrp2", 3}, {"not_running", 9}};
    group["last_refused"] = {{"reason", "bad_digest"}, {"source", "192.0.2.2"}, {"age_ms", 400}};
    const std::string text = explain(group);
    EXPECT_THAT(text, HasSubstr("  Advertisements with vhid 1 are refused as bad_digest, 17 in the 3 d 0 h "
                                "since carpd started: password or address list differs from the sender's. "
                                "The last came from 192.0.2.2, 400 ms ago. Hosts that refuse each other all "
                                "become MASTER: give them the same password and addresses. `carpctl capture "
                                "--seconds 5 | carpctl decode -` finds what differs.\n"));
    EXPECT_THAT(text, HasSubstr("refused as vrrp2, 3 in the 3 d 0 h"));
    EXPECT_THAT(text, Not(HasSubstr("not_running")));
}

// ---- all groups

TEST(Explain, ManyGroupsBriefly) {
    Json all = status(master());
    all["groups"].push_back(backup("faster", 0));
    all["groups"][1]["name"] = "wan";
    all["groups"][0]["counters"]["dropped"]["vrrp2"] = 3;
    all["restarts"] = 1;
    EXPECT_EQ(render_explanation({all, kNoSync}, false, kPlain),
              "lan: MASTER for 2 h 5 min; the cause: master timed out.\n"
              "  No other MASTER is heard. Backups are silent, so from here nobody can tell whether there is "
              "one.\n"
              "\n"
              "wan: BACKUP for 2 h 5 min; the cause: more frequent advertisement received.\n"
              "  The master is 192.0.2.2, heard 400 ms ago: advertisement time 1.000 s (advbase 1, advskew "
              "0), demotion 0.\n"
              "  This host: advertisement time 1.391 s (advbase 1, advskew 100), demotion 0.\n"
              "  The master advertises more often, so it is the better one. With an advertisement time below "
              "1.000 s and preempt it would take over; now preempt is off.\n"
              "  It takes over when the master is silent for 3.1 s more.\n"
              "\n"
              "carpd: Its engine died or hung, and was started again, 1 time; the log says why.\n");
}

TEST(Explain, WhatIsRefusedNowIsNoDetail) {
    Json all = status(master());
    Json& group = all["groups"][0];
    group["counters"]["dropped"]["bad_digest"] = 17;
    group["last_refused"] = {{"reason", "bad_digest"}, {"source", "192.0.2.2"}, {"age_ms", 59'999}};
    EXPECT_THAT(render_explanation({all, kNoSync}, false, kPlain), HasSubstr("refused as bad_digest"));
    group["last_refused"]["age_ms"] = 60'000;
    EXPECT_THAT(render_explanation({all, kNoSync}, false, kPlain), Not(HasSubstr("refused as bad_digest")));
}

TEST(Explain, ColoursChangeNothingButColours) {
    const Json all = status(master());
    std::string coloured = render_explanation({all, kNoSync}, true, kColoured);
    EXPECT_THAT(coloured, StartsWith("\x1b[1mlan\x1b[0m: "));
    for (std::size_t at; (at = coloured.find('\x1b')) != std::string::npos;)
        coloured.erase(at, coloured.find('m', at) + 1 - at);
    EXPECT_EQ(coloured, explain(master()));
}

TEST(Explain, TellsProgramsTheFactsAndTheReasons) {
    Json all = status(backup("faster", 0));
    all["sync"] = {{"incomplete", "no_process"}, {"demotion", 0}, {"demotion_remaining_ms", nullptr}};
    const Json json = explanation({all, kNoSync});
    EXPECT_EQ(json["schema"], 1);
    const Json& group = json["groups"][0];
    EXPECT_EQ(group["obstacle"], "faster");
    const std::vector<std::string> expected = {"backup", "master", "own_numbers", "faster",
                                               "would_take_over"};
    EXPECT_EQ(codes(all["groups"][0]), expected);
    ASSERT_EQ(group["reasons"].size(), expected.size());
    EXPECT_EQ(group["reasons"][4],
              Json({{"code", "would_take_over"},
                    {"text", "It takes over when the master is silent for 3.1 s more."}}));
    EXPECT_EQ(json["sync"]["reasons"][0]["code"], "incomplete_no_process");
    EXPECT_TRUE(json["sync"]["status"].is_null());
    EXPECT_EQ(json["reasons"], Json::array());
}

TEST(Explain, ThrowsOnWhatIsNoStatus) {
    const Json empty = Json::object();
    EXPECT_THROW(render_explanation({empty, kNoSync}, true, kPlain), nlohmann::json::exception);
    EXPECT_THROW(explain(Json{{"name", 1}}), nlohmann::json::exception);
    EXPECT_THROW(explanation({empty, kNoSync}), nlohmann::json::exception);
}

TEST(Explain, ShowsNothingThatATerminalWouldActOn) {
    Json group = backup("held", 0);
    group["held_by"] = group["together"] = group["reason"] = "a\x1b[2J";
    group["last_heard"]["source"] = "\x1b]0;x\a";
    demote(group, {{"track:\x1b[2J", 10}, {"\x1b[2J", 10}, {"together:\x1b[2J", 1}}, 21);
    EXPECT_THAT(explain(group), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace carpd
