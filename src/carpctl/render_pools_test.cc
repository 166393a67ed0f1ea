#include "carpctl/render_pools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "carpctl/explain.h"

namespace carpd {
namespace {

using Json = nlohmann::ordered_json;
using testing::HasSubstr;
using testing::Not;

const Paint kPlain(false), kColoured(true);
const Json kNoSync(nullptr);

Json carpnode(int index, const std::string& state, const Json& master, bool is_at_home = true) {
    Json group = Json::parse(R"json({
        "interface": "eth0", "since_ms": 7500, "cause": "master_alive", "reason": "a master advertises", "withdrawn_by": [],
        "addresses": ["192.0.2.100/24"], "advbase": 1, "demotion": 0, "demotion_reasons": {},
        "together": null, "held_by": null, "held_cause": null, "obstacle": "faster", "hears_rival": false, "unheard_family": null,
        "waits_for_flows": false, "commit_wait_remaining_ms": null, "preempt": true, "preempt_delay_ms": 0,
        "preempt_delay_remaining_ms": null, "hold_down_remaining_ms": null, "lease_remaining_ms": null,
        "interface_present": true, "interface_up": true, "interface_running": true, "mac": "virtual",
        "virtual_mac": "00:00:5e:00:01:01", "dataplane": "bpf", "source_ipv4": "192.0.2.1", "source_ipv6": null,
        "peers": [], "peer_routed": false, "has_password": true, "advertisement_interval_ms": 1000,
        "master_down_interval_ms": 3000, "master_down_remaining_ms": 3000, "next_deadline_ms": 3000,
        "last_heard": null, "last_refused": null, "counters": {"dropped": {}}})json");
    const int vhid = index + 1;
    group["name"] = "web:" + std::to_string(vhid);
    group["vhid"] = vhid;
    group["state"] = state;
    group["advskew"] = group["effective_advskew"] = 100 * index;
    group["balance"] = {{"pool", "web"},          {"mode", "ip"},      {"hash", "bsd"},
                        {"carpnodes", 3},         {"carpnode", index}, {"vhid", vhid},
                        {"group", group["name"]}, {"weight", 1},       {"share", 0.3333},
                        {"at_home", is_at_home},  {"master", master}};
    return group;
}

Json host(const Json& name, const Json& vhids, double share, const Json& pool, const Json& probes) {
    return {{"host", name}, {"carpnodes", vhids}, {"share", share}, {"pool", pool}, {"probes", probes}};
}

// Of three hosts one is away.
Json status() {
    Json json = Json::parse(R"json({"ok": true, "schema": 1, "pid": 124, "restarts": 0, "running_ms": 60000,
        "sync": null, "tracks": [], "dropped": {"bad_vhid": 0},
        "pools": [{"name": "web", "interface": "eth0", "mode": "ip", "hash": "bsd", "mac": "01:00:5e:00:01:01",
                   "addresses": ["192.0.2.100/24", "2001:db8::100/64"], "settling_ms": null, "strays": [],
                   "traffic": {"packets": 1234, "bytes": 2345678, "packets_of_others": 2500}}]})json");
    json["groups"] = {carpnode(0, "master", "self"), carpnode(1, "backup", "192.0.2.2"),
                      carpnode(2, "backup", "192.0.2.2", false)};
    json["pools"][0]["hosts"] = {host("self", {1}, 0.3334, nullptr, nullptr),
                                 host("192.0.2.2", {2, 3}, 0.6666, "same", "heard")};
    return json;
}

TEST(Pools, AreATableOfCarpnodesAndOneOfHosts) {
    EXPECT_EQ(render_pools(status(), kPlain),
              "web on eth0: ip, bsd hash, 01:00:5e:00:01:01, 192.0.2.100/24 2001:db8::100/64\n"
              "  CARPNODE  STATE   SINCE  SKEW  DEMOTION  MASTER     SHARE   AT HOME\n"
              "  web:1     MASTER  7.5 s  0     0         this host  33.3 %  yes\n"
              "  web:2     BACKUP  7.5 s  100   0         192.0.2.2  33.3 %  yes\n"
              "  web:3     BACKUP  7.5 s  200   0         192.0.2.2  33.3 %  no\n"
              "  HOST       SHARE   AGREES  CARPNODES\n"
              "  this host  33.3 %  -       1\n"
              "  192.0.2.2  66.7 %  yes     2 3\n"
              "  this host served 1234 packets, 2.3 MB, and left 2500 packets to others\n");
}

TEST(Pools, NobodyIsAtNoHome) {
    Json all = status();
    all["groups"][2]["balance"]["master"] = nullptr;
    EXPECT_THAT(render_pools(all, kPlain), HasSubstr("nobody known  33.3 %  -\n"));
    EXPECT_THAT(render_group(all["groups"][2], kPlain), HasSubstr("33.3 % of the clients, nobody known\n"));
}

TEST(Pools, ShowWeights) {
    Json all = status();
    all["pools"][0]["hash"] = "weighted";
    all["pools"][0]["mac"] = nullptr;
    EXPECT_THAT(render_pools(all, kPlain), HasSubstr("web on eth0: ip, weighted hash, 192.0.2.100/24"));
    EXPECT_THAT(render_pools(all, kPlain), HasSubstr("MASTER     WEIGHT  SHARE   AT HOME\n"));
    EXPECT_THAT(render_pools(all, kPlain), HasSubstr("this host  1       33.3 %  yes\n"));
}

TEST(Pools, StandBelowTheOtherGroups) {
    Json all = status();
    const std::string alone = render_overview(all, kPlain);
    EXPECT_EQ(alone, render_pools(all, kPlain)) << "without an empty table of groups";
    Json lan = all["groups"][0];
    lan["name"] = "lan";
    lan["balance"] = nullptr;
    all["groups"].insert(all["groups"].begin(), lan);
    const std::string both = render_overview(all, kPlain);
    EXPECT_THAT(both, testing::StartsWith("GROUP  STATE"));
    EXPECT_THAT(both, HasSubstr("\n\nweb on eth0:"));
    EXPECT_THAT(both.substr(0, both.find("\n\n")), Not(HasSubstr("web:1")));
}

TEST(Pools, ColourTheStateOfACarpnodeWhereItStands) {
    Json all = status();
    for (const char* key : {"groups", "pools"})
        for (Json& one : all[key]) {
            one["name"] = one["name"] == "web" ? "büro" : "büro:" + std::to_string(one["vhid"].get<int>());
            if (one.contains("balance")) one["balance"]["pool"] = "büro";
        }
    EXPECT_THAT(render_pools(all, kColoured), HasSubstr("büro:1    \x1b[1;32mMASTER\x1b[0m  7.5 s"));
}

TEST(Pools, SayWhatIsWrongBelow) {
    Json all = status();
    Json& pool = all["pools"][0];
    pool["hosts"].push_back(host("192.0.2.3", {4}, 0.1, "other", "missing"));
    pool["hosts"].push_back(host(nullptr, {5}, 0.2, nullptr, nullptr));
    pool["strays"] = {{{"vhid", 9}, {"source", "192.0.2.4"}, {"age_ms", 400}}};
    pool["settling_ms"] = 540000;
    const std::string text = render_overview(all, kPlain);
    EXPECT_THAT(text, HasSubstr("  192.0.2.3     10.0 %  NO      4\n"));
    EXPECT_THAT(text, HasSubstr("  nobody known  20.0 %  -       5\n"));
    EXPECT_THAT(text, HasSubstr("\nweb: 192.0.2.3 has another balancing, hash, carpnodes or weights, "));
    EXPECT_THAT(text, HasSubstr("\nweb: Frames of 192.0.2.3 to 01:00:5e:00:01:01 don't arrive here: "));
    EXPECT_THAT(text, HasSubstr("\nweb: Nobody is known to serve 20.0 % of the clients.\n"));
    EXPECT_THAT(text,
                HasSubstr("\nweb: 192.0.2.4 advertises vhid 9 with the pool's password and addresses, "));
    EXPECT_THAT(text, HasSubstr("\nweb: A share has moved: for 9 min 0 s more connections stay"));
    // The same where reasons are asked for.
    EXPECT_THAT(render_explanation({all, kNoSync}, true, kPlain), HasSubstr("web: 192.0.2.3 has another"));
    const Json reasons = explanation({all, kNoSync}).at("pools")[0].at("reasons");
    ASSERT_EQ(reasons.size(), 5u);
    EXPECT_EQ(reasons[0].at("code"), "pool_differs");
    EXPECT_EQ(reasons[1].at("code"), "probes_missing");
    EXPECT_EQ(reasons[2].at("code"), "share_unserved");
    EXPECT_EQ(reasons[3].at("code"), "stray_carpnode");
    EXPECT_EQ(reasons[4].at("code"), "settling");
}

TEST(Pools, AStatusThatKnowsNoneHasNone) {
    Json all = status();
    all.erase("pools");
    for (Json& group : all["groups"]) group.erase("balance");
    EXPECT_EQ(render_pools(all, kPlain), "");
    EXPECT_THAT(render_overview(all, kPlain), HasSubstr("\nweb:1"));
    EXPECT_THAT(render_group(all["groups"][0], kPlain), Not(HasSubstr("pool")));
}

TEST(Carpnode, ShowsItsPool) {
    EXPECT_THAT(render_group(status()["groups"][2], kPlain),
                HasSubstr("  pool         web, ip by bsd hash: carpnode 3 of 3, 33.3 % of the clients, "
                          "served by a stand-in\n"));
}

std::string explain(const Json& group) {
    Json all = status();
    all["groups"] = Json::array({group});
    return render_explanation({all, kNoSync}, true, kPlain);
}

TEST(Carpnode, ExplainsWhoServesItsShare) {
    EXPECT_THAT(
        explain(carpnode(0, "master", "self")),
        HasSubstr("\n  It is carpnode 1 of 3 of the pool web, with 33.3 % of the clients. This host serves "
                  "it, and is its home.\n"));
    EXPECT_THAT(
        explain(carpnode(2, "backup", "192.0.2.2", false)),
        HasSubstr("192.0.2.2 took it over as a stand-in and serves it, until its own host is back.\n"));
    Json weighted = carpnode(2, "backup", "192.0.2.2", false);
    weighted["balance"]["hash"] = "weighted";
    EXPECT_THAT(explain(weighted),
                HasSubstr("as a stand-in, and all hosts serve its clients as their weights have it, until"));
    EXPECT_THAT(explain(carpnode(1, "backup", nullptr)), HasSubstr("No MASTER of it is known here."));
}

// ---- a client

Json client() {
    return Json::parse(R"json({"ok": true, "schema": 1, "address": "192.0.2.7", "mac": null, "pools": [
        {"name": "web", "interface": "eth0", "mode": "ip", "hash": "bsd", "carpnodes": 3, "settling_ms": null, "needs": null,
         "answers": [{"address": "192.0.2.100", "hash": 99, "carpnode": 0, "vhid": 1, "group": "web:1", "weight": 1,
                      "share": 0.3333, "at_home": true, "master": "self"}]}]})json");
}

TEST(Client, IsServedForAReason) {
    Json answer = client();
    EXPECT_EQ(render_client(answer, kPlain),
              "web: 192.0.2.7 is served at 192.0.2.100 by this host, MASTER of web:1.\n"
              "  The two addresses hash to 99, which mod 3 is 0: the 1st of 3 carpnodes.\n");
    Json& one = answer["pools"][0]["answers"][0];
    one["master"] = "192.0.2.2";
    one["at_home"] = false;
    answer["pools"][0]["settling_ms"] = 540000;
    EXPECT_THAT(
        render_client(answer, kPlain),
        HasSubstr(
            "by 192.0.2.2, MASTER of web:1 as a stand-in: it has another carpnode with a lower advskew.\n"));
    EXPECT_THAT(render_client(answer, kPlain), HasSubstr("\n  The pool is settling for 9 min 0 s more: "));
    one["master"] = nullptr;
    EXPECT_THAT(render_client(answer, kPlain), HasSubstr("by nobody: no MASTER of web:1 is known; "));
}

TEST(Client, IsServedByWeight) {
    Json answer = client();
    Json& one = answer["pools"][0]["answers"][0];
    one["slot"] = 17;
    one["slot_of_vhid"] = 1;
    EXPECT_THAT(
        render_client(answer, kPlain),
        HasSubstr(
            "hash to 99, slot 17 of 4096, which by weight belongs to vhid 1: the 1st of 3 carpnodes.\n"));
    one["slot_of_vhid"] = 3;
    EXPECT_THAT(
        render_client(answer, kPlain),
        HasSubstr("belongs to vhid 3; that is not at home, so it is vhid 1's meanwhile: the 1st of 3"));
}

TEST(Client, IsKnownByItsMac) {
    Json answer = client();
    answer["mac"] = "52:54:00:12:34:56";
    answer["address"] = nullptr;
    answer["pools"][0]["mode"] = "arp";
    EXPECT_EQ(render_client(answer, kPlain),
              "web: 52:54:00:12:34:56 is served at 192.0.2.100 by this host, MASTER of web:1.\n"
              "  The client's MAC hashes to 99, which mod 3 is 0: the 1st of 3 carpnodes.\n");
}

TEST(Client, SaysWhatItCannotKnow) {
    Json answer = client();
    answer["pools"][0]["answers"] = Json::array();
    EXPECT_EQ(render_client(answer, kPlain), "web: has no address of the client's family.\n");
    answer["pools"][0]["needs"] = "mac";
    EXPECT_THAT(render_client(answer, kPlain), HasSubstr("web: ARP balancing shares clients by their MAC"));
    answer["pools"][0]["needs"] = "address";
    EXPECT_THAT(render_client(answer, kPlain), HasSubstr("web: shares clients by their IP address"));
    answer["pools"] = Json::array();
    EXPECT_THAT(render_client(answer, kPlain), HasSubstr("no group here is a pool"));
}

}  // namespace
}  // namespace carpd
