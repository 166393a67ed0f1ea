#include "carpctl/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carpd {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

const Paint kPlain(false), kColoured(true);

Json master() {
    return Json::parse(R"json({
        "name": "lan", "interface": "eth0", "vhid": 1, "state": "master", "since_ms": 7500000,
        "cause": "master_timed_out", "reason": "master timed out",
        "addresses": ["192.0.2.100/24", "2001:db8::100/64"], "advbase": 1, "advskew": 0, "effective_advskew": 0,
        "demotion": 0, "demotion_reasons": {}, "preempt": true, "preempt_delay_ms": 0, "mac": "virtual", "virtual_mac": "00:00:5e:00:01:01",
        "peers": [], "peer_routed": false, "has_password": true, "dataplane": "bpf", "lease_remaining_ms": 2800,
        "interface_present": true, "interface_up": true, "interface_running": true,
        "source_ipv4": "192.0.2.1", "source_ipv6": "fe80::1",
        "advertisement_interval_ms": 1000, "master_down_interval_ms": 3000, "next_deadline_ms": 450,
        "last_heard": {"source": "192.0.2.2", "advbase": 1, "advskew": 100, "demotion": 0, "age_ms": 7503000},
        "counters": {"advertisements_sent_ipv4": 7500, "send_errors": 0, "dropped": {"bad_digest": 0, "vrrp2": 0}}})json");
}

Json backup() {
    Json group = master();
    group["name"] = "büro";
    group["vhid"] = 20;
    group["state"] = "backup";
    group["since_ms"] = 12340;
    group["reason"] = "more frequent advertisement received";
    group["preempt"] = false;
    group["advskew"] = 100;
    group["effective_advskew"] = 240;
    group["demotion"] = 10;
    group["demotion_reasons"] = {{"operator", 10}};
    group["last_heard"]["age_ms"] = 400;
    group["addresses"] = {"192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24", "192.0.2.4/24", "192.0.2.5/24"};
    group["counters"]["dropped"]["bad_digest"] = 17;
    return group;
}

Json waiting() {
    Json group = master();
    group["name"] = "wan";
    group["interface"] = "eth1";
    group["state"] = "init";
    group["since_ms"] = 40;
    group["reason"] = "interface is missing";
    group["interface_present"] = group["interface_up"] = group["interface_running"] = false;
    group["source_ipv4"] = group["source_ipv6"] = nullptr;
    group["virtual_mac"] = nullptr;
    group["peers"] = {"198.51.100.2", "198.51.100.3"};
    group["peer_routed"] = true;
    group["has_password"] = false;
    group["dataplane"] = "macvlan";
    group["lease_remaining_ms"] = nullptr;
    group["last_heard"] = nullptr;
    group["next_deadline_ms"] = nullptr;
    return group;
}

Json status(const Json& groups) {
    return {{"ok", true},    {"schema", 1},      {"pid", 124},
            {"restarts", 0}, {"groups", groups}, {"dropped", {{"bad_vhid", 0}, {"vrrp3", 0}}}};
}

TEST(Overview, IsAnAlignedTableWithNotesBelow) {
    Json all = status({master(), backup(), waiting()});
    all["dropped"]["bad_vhid"] = 3;
    EXPECT_EQ(
        render_overview(all, kPlain),
        "GROUP  STATE   SINCE      INTERFACE  VHID  SKEW       DEMOTION  MASTER                 ADDRESSES\n"
        "lan    MASTER  2 h 5 min  eth0       1     0          0         this host              "
        "192.0.2.100/24 2001:db8::100/64\n"
        "büro   BACKUP  12.3 s     eth0       20    100 (240)  10        192.0.2.2, 400 ms ago  192.0.2.1/24 "
        "192.0.2.2/24 192.0.2.3/24 and 2 more\n"
        "wan    INIT    40 ms      eth1       1     0          0         none heard             "
        "192.0.2.100/24 2001:db8::100/64\n"
        "\n"
        "data plane macvlan: the supervisor ends what a dead or frozen engine owns, the kernel doesn't\n"
        "büro: demoted by operator 10\n"
        "büro: 17 packets refused, bad_digest: password or address list differs from the sender's\n"
        "wan: in INIT: interface is missing\n"
        "refused packets of no group:\n"
        "  bad_vhid  3  a vhid that isn't configured here\n");
}

TEST(Overview, ShowsTracksBelowTheGroups) {
    Json all = status(Json::array({master()}));
    all["tracks"] = Json::parse(R"json([
        {"name": "uplink", "kind": "interface", "passed": true, "known": true, "since_ms": 3000,
         "why": "eth1 is up", "groups": []},
        {"name": "web", "kind": "tcp", "passed": false, "known": false, "since_ms": null, "why": "no result yet",
         "groups": ["lan", "wan"]}])json");
    EXPECT_THAT(render_overview(all, kPlain),
                HasSubstr("\n"
                          "TRACK   KIND       STATE   SINCE  GROUPS   LAST VERDICT\n"
                          "uplink  interface  passes  3.0 s  all      eth1 is up\n"
                          "web     tcp        FAILS   -      lan wan  no result yet\n"));
}

TEST(Overview, ShowsStateSynchronisation) {
    Json all = status(Json::array({master()}));
    all["sync"] = nullptr;
    EXPECT_THAT(render_overview(all, kPlain), Not(HasSubstr("sync")));
    all["sync"] = {{"pid", 4711}, {"incomplete", "no"}, {"demotion", 0}, {"peers", 1}, {"peers_up", 1}};
    EXPECT_THAT(render_overview(all, kPlain), HasSubstr("\nsync  complete, 1 of 1 peers\n"));
    all["sync"]["peers"] = all["sync"]["peers_up"] = 0;
    EXPECT_THAT(render_overview(all, kPlain), HasSubstr("\nsync  complete, no peer found yet\n"));
    all["sync"]["peers"] = all["sync"]["peers_up"] = 1;
    all["sync"]["incomplete"] = "receiving";
    all["sync"]["demotion"] = 240;
    EXPECT_THAT(
        render_overview(all, kPlain),
        HasSubstr("\nsync  incomplete: peers have not told all yet, 1 of 1 peers; groups are demoted by "
                  "240\n"));
    all["sync"]["incomplete"] = "moonstruck";  // of a newer carpd
    all["sync"]["demotion"] = 0;
    EXPECT_THAT(render_overview(all, kPlain),
                HasSubstr("\nsync  incomplete: moonstruck, 1 of 1 peers; this host is MASTER, so what it has "
                          "counts\n"));
    all["groups"][0]["waits_for_flows"] = true;
    EXPECT_THAT(render_overview(all, kPlain),
                HasSubstr("lan: MASTER, and answers when the flows of the peers are in the kernel\n"));
}

TEST(Overview, HasNothingBelowWhenAllIsWell) {
    EXPECT_EQ(render_overview(status(Json::array({master()})), kPlain),
              "GROUP  STATE   SINCE      INTERFACE  VHID  SKEW  DEMOTION  MASTER     ADDRESSES\n"
              "lan    MASTER  2 h 5 min  eth0       1     0     0         this host  192.0.2.100/24 "
              "2001:db8::100/64\n");
}

TEST(Overview, TellsThatTheEngineWasStartedAgain) {
    Json all = status(Json::array({master()}));
    all["restarts"] = 1;
    EXPECT_THAT(render_overview(all, kPlain),
                HasSubstr("\n\nthe engine died or hung, and was started again, 1 time;"));
    all["restarts"] = 2;
    EXPECT_THAT(render_overview(all, kPlain), HasSubstr("2 times;"));
}

TEST(Overview, ColoursChangeNothingButColours) {
    const Json all = status({master(), backup(), waiting()});
    std::string coloured = render_overview(all, kColoured);
    EXPECT_THAT(coloured, HasSubstr("\x1b[1;32mMASTER\x1b[0m"));
    for (std::size_t at; (at = coloured.find('\x1b')) != std::string::npos;)
        coloured.erase(at, coloured.find('m', at) + 1 - at);
    EXPECT_EQ(coloured, render_overview(all, kPlain));
}

TEST(Details, TellAllOfAMaster) {
    EXPECT_EQ(render_group(master(), kPlain),
              "lan: MASTER for 2 h 5 min (master timed out)\n"
              "  carp: MASTER vhid 1 advbase 1 advskew 0\n"
              "  addresses    192.0.2.100/24\n"
              "               2001:db8::100/64\n"
              "  mac          00:00:5e:00:01:01 (virtual)\n"
              "  data plane   BPF gate: the kernel enforces the lease\n"
              "  interface    eth0, up\n"
              "  sends from   192.0.2.1, fe80::1\n"
              "  sends to     multicast\n"
              "  password     yes\n"
              "  advertises   every 1.0 s\n"
              "  takes over   after 3.0 s without a master, or from a slower one (preempt)\n"
              "  demotion     0\n"
              "  last heard   192.0.2.2, 2 h 5 min ago: advbase 1 advskew 100 demotion 0\n"
              "  lease        ends in 2.8 s unless it advertises\n"
              "  next timer   in 450 ms\n"
              "  counters         7500  advertisements sent ipv4\n");
}

TEST(Details, SayWhatIsWrongWithAGroup) {
    const std::string text = render_group(waiting(), kPlain);
    EXPECT_THAT(text, StartsWith("wan: INIT for 40 ms (interface is missing)\n"));
    EXPECT_THAT(text, HasSubstr("interface    eth1, missing\n"));
    EXPECT_THAT(text, HasSubstr("sends from   the group's first address"));
    EXPECT_THAT(text, HasSubstr("sends to     198.51.100.2, 198.51.100.3 (behind a router)\n"));
    EXPECT_THAT(text, HasSubstr("mac          the interface's own\n"));
    EXPECT_THAT(text, HasSubstr("password     none: anyone on the LAN can take over\n"));
    EXPECT_THAT(text, HasSubstr("last heard   nobody yet\n"));
    EXPECT_THAT(text, Not(HasSubstr("next timer")));
    EXPECT_THAT(text, Not(HasSubstr("lease")));
    EXPECT_THAT(text,
                HasSubstr("data plane   macvlan: the supervisor ends what a dead or frozen engine owns\n"));
}

TEST(Details, SayThatScriptsBringTheAddress) {
    Json group = backup();
    group["dataplane"] = "scripts";
    EXPECT_THAT(render_group(group, kPlain), HasSubstr("data plane   scripts: the down script runs when"));
    EXPECT_THAT(render_overview(status(Json::array({group})), kPlain), Not(HasSubstr("data plane")));
}

TEST(Details, NameDemotionsAndRefusals) {
    const std::string text = render_group(backup(), kPlain);
    EXPECT_THAT(text, HasSubstr("demotion     10: operator 10; advertises advskew 240\n"));
    EXPECT_THAT(text, HasSubstr("  refused packets\n"
                                "    bad_digest  17  password or address list differs from the sender's\n"));
    EXPECT_THAT(text, Not(HasSubstr("vrrp2")));
}

TEST(Details, TellInterfacesApart) {
    Json group = master();
    group["interface_running"] = false;
    EXPECT_THAT(render_group(group, kPlain), HasSubstr("eth0, up, but without a link\n"));
    group["interface_up"] = false;
    EXPECT_THAT(render_group(group, kPlain), HasSubstr("eth0, down\n"));
}

TEST(Changes, AreOneLineEach) {
    Json change = {{"time", "2026-07-20T03:12:04.567+02:00"},
                   {"event", "transition"},
                   {"to", "master"},
                   {"text", "lan: BACKUP -> MASTER (master timed out), after 3.4 s in BACKUP"}};
    EXPECT_EQ(render_change(change, kPlain),
              "2026-07-20T03:12:04.567+02:00  lan: BACKUP -> MASTER (master timed out), after 3.4 s "
              "in BACKUP");
    change["event"] = "demotion";
    change.erase("to");
    change["text"] = "lan: demotion is now 10 (operator)";
    EXPECT_EQ(render_change(change, kPlain),
              "2026-07-20T03:12:04.567+02:00  lan: demotion is now 10 (operator)");
}

TEST(Rendering, ThrowsOnWhatIsNoStatus) {
    EXPECT_THROW(render_overview(Json::parse(R"({"ok":true})"), kPlain), nlohmann::json::exception);
    EXPECT_THROW(render_overview(status(Json::array({7})), kPlain), nlohmann::json::exception);
    EXPECT_THROW(render_group(Json::parse(R"({"name":1})"), kPlain), nlohmann::json::exception);
    EXPECT_THROW(render_change(Json(), kPlain), nlohmann::json::exception);
}

}  // namespace
}  // namespace carpd
