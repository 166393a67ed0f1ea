#include "carpctl/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>

#include "carpctl/doctor_host.h"

namespace carpd {
namespace {

using Json = nlohmann::ordered_json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

const MacAddress kVirtual = MacAddress::parse("00:00:5e:00:01:01").value();
const MacAddress kOther = MacAddress::parse("02:00:00:00:00:09").value();
const IpAddress kShared = IpAddress::parse("192.0.2.100").value();

Json backup() {
    return Json::parse(R"json({
        "name": "lan", "interface": "eth0", "vhid": 1, "state": "backup", "obstacle": "faster", "hears_rival": false, "unheard_family": null,
        "addresses": ["192.0.2.100/24"], "advbase": 1, "advskew": 100, "preempt": false, "mac": "virtual",
        "virtual_mac": "00:00:5e:00:01:01", "dataplane": "bpf", "balance": null, "peers": [], "peer_routed": false,
        "has_password": true, "interface_present": true, "interface_up": true, "interface_running": true,
        "source_ipv4": "192.0.2.1", "source_ipv6": null, "master_down_interval_ms": 3390.6,
        "last_heard": {"source": "192.0.2.2", "advbase": 1, "advskew": 0, "demotion": 0, "age_ms": 400},
        "last_refused": null, "counters": {"send_errors": 0}})json");
}

Json master() {
    Json group = backup();
    group["state"] = "master";
    group["obstacle"] = nullptr;
    return group;
}

// Of a host that has nothing wrong but what a test puts there.
Case with(const Json& group) {
    Case known;
    known.now = {{"restarts", 0},
                 {"hooks", nullptr},
                 {"sync", nullptr},
                 {"groups", Json::array({group})},
                 {"pools", Json::array()},
                 {"tracks", Json::array()},
                 {"timers", {{"late", 0}, {"last", nullptr}, {"worst", nullptr}}}};
    known.before = known.now;
    known.config.problem = "there is none";
    known.host.interfaces["eth0"] = {1, true, true};
    return known;
}

Case answered(const Json& group, std::set<MacAddress> macs) {
    Case known = with(group);
    known.answers = {{"eth0", kShared, std::move(macs)}};
    return known;
}

std::vector<std::string> codes(const Case& known) {
    std::vector<std::string> found;
    for (const Trouble& finding : diagnose(known)) found.emplace_back(finding.code);
    return found;
}

TEST(Doctor, IsSilentAboutWhatIsRight) {
    EXPECT_THAT(codes(answered(backup(), {kVirtual})), IsEmpty());
    EXPECT_THAT(codes(answered(master(), {})), IsEmpty());
}

TEST(Doctor, KnowsWhoMayAnswer) {
    EXPECT_THAT(codes(answered(backup(), {})), ElementsAre("address-unanswered"));
    EXPECT_THAT(codes(answered(backup(), {kVirtual, kOther})), ElementsAre("duplicate-address"));
    EXPECT_THAT(codes(answered(master(), {kVirtual})), ElementsAre("unheard-master"));
    EXPECT_THAT(codes(answered(master(), {kOther})), ElementsAre("duplicate-address"));
    Json real = backup();
    real["virtual_mac"] = nullptr;
    real["mac"] = "interface";
    EXPECT_THAT(codes(answered(real, {kOther})), IsEmpty());
    EXPECT_THAT(codes(answered(real, {kOther, kVirtual})), ElementsAre("duplicate-address"));
}

TEST(Doctor, JudgesNoAnswersWhileTheStateChanges) {
    Case known = answered(backup(), {});
    known.before["groups"][0]["state"] = "master";
    EXPECT_THAT(codes(known), IsEmpty());
}

TEST(Doctor, NamesTheFamilyThatIsKeptBackFromAPeer) {
    Json group = backup();
    group["unheard_family"] = "ipv6";
    group["peers"] = {"192.0.2.2", "2001:db8::2"};
    const auto found = diagnose(answered(group, {kVirtual}));
    ASSERT_FALSE(found.empty());
    EXPECT_EQ(found[0].code, "family-unheard");
    EXPECT_THAT(found[0].advice, HasSubstr("whether `peers` there names this host in both families."));
}

TEST(Doctor, NamesTheFamilyThatIsKeptBack) {
    Json group = backup();
    group["unheard_family"] = "ipv6";
    const auto found = diagnose(answered(group, {kVirtual}));
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].code, "family-unheard");
    EXPECT_THAT(found[0].text, HasSubstr("is heard in IPv4 only."));
    EXPECT_THAT(found[0].advice, HasSubstr("keeps IPv6 back on the way: switches that snoop MLD"));
    group["unheard_family"] = "ipv4";
    EXPECT_THAT(diagnose(answered(group, {kVirtual}))[0].advice, HasSubstr("snoop IGMP without a querier"));
}

// A BACKUP that hears no master can't expect anybody to answer.
TEST(Doctor, ExpectsNoAnswerWithoutAMaster) {
    Json group = backup();
    group["obstacle"] = "no_master_heard";
    EXPECT_THAT(codes(answered(group, {})), IsEmpty());
}

// Another host, which is heard by IPv4 and answers; its IPv6 multicast came and has stopped.
Case without_a_querier() {
    Json group = master();
    group["addresses"].push_back("2001:db8::100/64");
    group["source_ipv6"] = "fe80::1";
    group["hosts"] = Json::array({{{"name", "fw2"},
                                   {"addresses", {"192.0.2.2", "fe80::2"}},
                                   {"left", false},
                                   {"trouble", Json::array()},
                                   {"ipv4_age_ms", 1000},
                                   {"ipv6_age_ms", 250'000}}});
    Case known = with(group);
    known.host.interfaces["eth0"].mld_queries = 0;
    known.answers = {{"eth0", *IpAddress::parse("fe80::2"), {kOther}}};
    return known;
}

TEST(Doctor, BlamesAQuerierThatIsMissing) {
    Case known = without_a_querier();
    const Troubles findings = diagnose(known);
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].code, "no-querier");
    EXPECT_THAT(findings[0].text, StartsWith("fw2 is there and answers at fe80::2, but what it sends to "
                                             "ff02::12 has not come here for 4 min 10 s"));
    // Dead in IPv4, too, it may be the daemon; unless it is a MASTER of which nothing is heard.
    Json& host = known.now["groups"][0]["hosts"][0];
    host["ipv4_age_ms"] = 250'000;
    EXPECT_THAT(codes(known), IsEmpty());
    known.answers.push_back({"eth0", kShared, {kVirtual}});
    EXPECT_THAT(codes(known), ElementsAre("unheard-master", "no-querier"));
}

TEST(Doctor, BlamesNoQuerierForWhatIsOtherwise) {
    const auto changed = [](const auto& change) {
        Case known = without_a_querier();
        change(known, known.now["groups"][0], known.now["groups"][0]["hosts"][0]);
        return codes(known);
    };
    EXPECT_THAT(changed([](Case&, Json&, Json& host) { host["ipv6_age_ms"] = 4000; }), IsEmpty());
    EXPECT_THAT(changed([](Case&, Json&, Json& host) { host["ipv6_age_ms"] = nullptr; }), IsEmpty());
    EXPECT_THAT(changed([](Case&, Json&, Json& host) { host["left"] = true; }), IsEmpty());
    EXPECT_THAT(changed([](Case& known, Json&, Json&) { known.answers[0].macs.clear(); }), IsEmpty());
    EXPECT_THAT(changed([](Case& known, Json&, Json&) { known.host.interfaces["eth0"].mld_queries = 3; }),
                IsEmpty());
    EXPECT_THAT(changed([](Case& known, Json&, Json&) { known.host.interfaces["eth0"].mld_queries.reset(); }),
                IsEmpty());
    EXPECT_THAT(changed([](Case& known, Json&, Json&) { known.host.interfaces["eth0"].hears_ipv6 = false; }),
                ElementsAre("multicast-not-joined"));
    EXPECT_THAT(changed([](Case&, Json& group, Json&) { group["addresses"].erase(1); }), IsEmpty());
    EXPECT_THAT(changed([](Case&, Json& group, Json&) { group["peers"] = {"fe80::2"}; }), IsEmpty());
}

TEST(Doctor, PutsFaultsFirst) {
    Json group = backup();
    group["dataplane"] = "macvlan";
    group["source_ipv4"] = nullptr;
    const Troubles findings = diagnose(with(group));
    ASSERT_EQ(findings.size(), 2u);
    EXPECT_EQ(findings[0].code, "no-own-address");
    EXPECT_EQ(severity_of(findings[0]), Severity::fault);
    EXPECT_EQ(findings[1].code, "no-gate");
    EXPECT_EQ(severity_of(findings[1]), Severity::warning);
    const std::string text = render_findings(findings, with(group), Paint(false));
    EXPECT_THAT(text, StartsWith("FAULT no-own-address, group lan\n  eth0 has no IPv4 address of its own"));
    EXPECT_THAT(text, HasSubstr("1 fault and 1 warning found with 1 group"));
}

TEST(Doctor, ForgetsWhatWasRefusedLongAgo) {
    Json group = backup();
    group["last_refused"] = {{"reason", "bad_ttl"}, {"source", "192.0.2.7"}, {"age_ms", 61'000}};
    EXPECT_THAT(codes(with(group)), IsEmpty());
    group["last_refused"]["age_ms"] = 1000;
    EXPECT_THAT(codes(with(group)), ElementsAre("adverts-refused"));
}

TEST(Doctor, ComparesLatenessWithThePatienceOfOthers) {
    Case known = with(backup());
    known.now["timers"] = {{"late", 3}, {"last", {{"late_ms", 800}, {"age_ms", 5000}}}, {"worst", nullptr}};
    EXPECT_THAT(codes(known), IsEmpty());
    known.now["timers"]["last"]["late_ms"] = 900;
    EXPECT_THAT(codes(known), ElementsAre("late-timers"));
    known.now["timers"]["last"]["age_ms"] = 700'000;
    EXPECT_THAT(codes(known), IsEmpty());
}

TEST(Doctor, FindsSendErrorsThatGrow) {
    Json group = master();
    group["counters"]["send_errors"] = 7;
    Case known = with(group);
    EXPECT_THAT(codes(known), IsEmpty());
    known.before["groups"][0]["counters"]["send_errors"] = 5;
    EXPECT_THAT(codes(known), ElementsAre("cannot-send"));
}

TEST(Doctor, NamesManagersOnlyWhereTheyFindDevices) {
    Case known = with(backup());
    known.host.managers = {"systemd-networkd"};
    EXPECT_THAT(codes(known), IsEmpty());
    known.now["groups"][0]["dataplane"] = "macvlan";
    EXPECT_THAT(codes(known), ElementsAre("no-gate", "devices-managed"));
}

TEST(Doctor, ReportsSync) {
    Case known = with(backup());
    known.now["sync"] = {{"incomplete", "peers have not told all yet"}, {"peers", 2}, {"peers_up", 1}};
    EXPECT_THAT(codes(known), ElementsAre("sync-incomplete", "sync-peer-down"));
    known.now["sync"] = {{"incomplete", "no"}, {"peers", 2}, {"peers_up", 2}};
    EXPECT_THAT(codes(known), IsEmpty());
}

TEST(Doctor, ShowsNothingThatATerminalWouldActOn) {
    Json group = backup();
    group["name"] = "\x1b[31mlan";
    group["interface_present"] = false;
    const Case known = with(group);
    EXPECT_EQ(render_findings(diagnose(known), known, Paint(false)).find('\x1b'), std::string::npos);
}

TEST(Doctor, TellsPrograms) {
    const Case known = answered(backup(), {});
    const Json json = findings_json(diagnose(known), known);
    EXPECT_EQ(json["schema"], 1);
    EXPECT_EQ(json["findings"][0]["code"], "address-unanswered");
    EXPECT_EQ(json["findings"][0]["severity"], "fault");
    EXPECT_EQ(json["findings"][0]["group"], "lan");
    EXPECT_EQ(json["untested"], Json::array());
}

TEST(Doctor, HasEachCodeInItsManual) {
    std::ifstream in(CARPD_SOURCE_DIR "/docs/doctor.md");
    std::vector<std::string> documented, known;
    for (std::string line; std::getline(in, line);)
        if (std::smatch match;
            std::regex_search(line, match, std::regex("^\\| `([a-z-]+)` \\| (fault|warning) \\|")))
            documented.push_back(match.str(1) + ' ' + match.str(2));
    for (const TroubleKind& kind : trouble_kinds())
        known.push_back(std::string(kind.code) + (kind.severity == Severity::fault ? " fault" : " warning"));
    EXPECT_TRUE(std::is_sorted(known.begin(), known.end()));
    EXPECT_EQ(documented, known);
}

// ---- what the host shows

TEST(BlockingRules, AreThoseThatDropCarpOnItsWayOut) {
    const auto ruleset = [](const std::string& hook, const std::string& right, const std::string& verdict,
                            const std::string& op = "==") {
        return R"({"nftables":[{"metainfo":{}},{"chain":{"family":"netdev","table":"t","name":"c","hook":")" +
               hook +
               R"("}},{"rule":{"family":"netdev","table":"t","chain":"c","handle":7,"expr":[{"match":{"op":")" +
               op + R"(","left":{"payload":{"protocol":"ip","field":"protocol"}},"right":)" + right +
               R"(}},{")" + verdict + R"(":null}]}}]})";
    };
    const auto found = blocking_rules(ruleset("egress", "112", "drop"));
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].chain, "netdev t c");
    EXPECT_EQ(found[0].hook, "egress");
    EXPECT_EQ(found[0].number, 7);
    EXPECT_EQ(found[0].undo, "nft delete rule netdev t c handle 7");
    EXPECT_EQ(blocking_rules(ruleset("output", "\"vrrp\"", "reject")).size(), 1u);
    EXPECT_EQ(blocking_rules(ruleset("egress", R"({"set":[2,112]})", "drop")).size(), 1u);
    EXPECT_THAT(blocking_rules(ruleset("input", "112", "drop")), IsEmpty());
    EXPECT_THAT(blocking_rules(ruleset("egress", "112", "accept")), IsEmpty());
    EXPECT_THAT(blocking_rules(ruleset("egress", "6", "drop")), IsEmpty());
    EXPECT_THAT(blocking_rules(ruleset("egress", "112", "drop", "!=")), IsEmpty());
}

TEST(BlockingRules, AreThoseOfTheOlderIptables) {
    const auto found = legacy_blocking_rules("iptables-legacy",
                                             "# Generated by iptables-save\n"
                                             "*raw\n:OUTPUT ACCEPT [0:0]\n-A OUTPUT -p vrrp -j DROP\nCOMMIT\n"
                                             "*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT DROP [0:0]\n"
                                             "-A INPUT -p vrrp -j DROP\n"
                                             "-A OUTPUT -o lo -j ACCEPT\n"
                                             "-A OUTPUT ! -p vrrp -j DROP\n"
                                             "-A OUTPUT -p vrrp -j ACCEPT\n"
                                             "-A OUTPUT -p 1120 -j DROP\n"
                                             "-A OUTPUT -p vrrp -j DROPPED\n"
                                             "-A OUTPUT -d 224.0.0.18/32 -o eth0 -p 112 -m comment --comment "
                                             "\"no CARP\" -j REJECT --reject-with icmp-port-unreachable\n"
                                             "COMMIT\n");
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].chain, "OUTPUT in the table raw of iptables-legacy");
    EXPECT_EQ(found[0].undo, "iptables-legacy -t raw -D OUTPUT 1");
    EXPECT_EQ(found[1].hook, "output");
    EXPECT_EQ(found[1].undo, "iptables-legacy -t filter -D OUTPUT 6");
}

TEST(BlockingRules, AreNoneInWhatIsNoRuleset) {
    for (const char* text :
         {"", "[]", "{}", "nonsense", R"({"nftables":[{"rule":{"expr":7}}]})", R"({"nftables":{}})"})
        EXPECT_THAT(blocking_rules(text), IsEmpty()) << text;
}

TEST(Platform, IsKnownByWhatTheFirmwareSays) {
    EXPECT_EQ(platform_of("VMware, Inc.", "VMware Virtual Platform"), "VMware");
    EXPECT_EQ(platform_of("Microsoft Corporation", "Virtual Machine"), "Hyper-V");
    EXPECT_EQ(platform_of("OpenStack Foundation", "OpenStack Nova"), "OpenStack");
    EXPECT_EQ(platform_of("QEMU", "Standard PC"), "QEMU");
    EXPECT_EQ(platform_of("Amazon EC2", "t3.micro"), "AWS");
    EXPECT_EQ(platform_of("Dell Inc.", "PowerEdge"), "");
}

}  // namespace
}  // namespace carpd
