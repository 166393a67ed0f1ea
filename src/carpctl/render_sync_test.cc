#include "carpctl/render_sync.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "carpctl/parts.h"
#include "control/sync_flow.h"
#include "control/sync_status.h"

namespace carpd {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

const Paint kPlain(false), kColoured(true);

Json up() {
    return Json::parse(R"json({
        "name": "fw2", "address": "10.9.0.2", "up": true, "since_ms": 7500000, "why": null, "heard_ms": 40,
        "round_trip_ms": 0.3, "conntrack_max": 262144,
        "said": {"master": false, "complete": true, "overrun": false, "leaving": false, "term": 6,
                 "flows": 1234, "waiting": 0, "lost_events": 0},
        "told": {"complete": true, "waiting": 2, "lag_ms": 1.5},
        "held": {"complete": true, "flows": 1234, "flows_of_session_before": 0, "differing_buckets": 0,
                 "counters": {"slot_too_high": 0}},
        "send_errors": 0,
        "counters": {"dropped": {"bad_seal": 0, "unanswered": 3, "unknown_stream": 1}}})json");
}

Json down() {
    Json peer = up();
    peer["name"] = peer["said"] = nullptr;
    peer["address"] = "2001:db8::2";
    peer["up"] = false;
    peer["since_ms"] = 12340;
    peer["why"] = "never heard: does carpd run there?";
    peer["held"]["flows"] = 0;
    return peer;
}

Json status(const Json& peers) {
    Json json = Json::parse(R"json({
        "ok": true, "schema": 1, "name": "fw1", "commit": "direct", "socket_trouble": null,
        "master": true, "term": 7, "incomplete": "no", "flows": 100000, "flows_refused": 0,
        "kernel": {"entries": 101234, "max": 262144, "buckets": 65536, "events": 512345, "lost_events": 0},
        "changes": {"waiting": 1, "written": 51234, "removed": 3123, "without_helper": 0,
                    "failed": {"full": 0, "clashes": 0}},
        "takeovers": {"count": 2, "last_commit_ms": 0.25, "bound_exceeded": 0},
        "counters": {"same_peer": 0, "no_room": 0, "bad_regions": 0},
        "datagrams_refused": {"routed": 0}, "interface": "eth2", "port": 3781, "finding": null})json");
    json["peers"] = peers;
    return json;
}

TEST(SyncStatus, ShowsDeferralWhereItIsConfigured) {
    Json json = status(Json::array({up()}));
    json["deferral"] = nullptr;
    EXPECT_EQ(render_sync_status(json, kPlain), render_sync_status(status(Json::array({up()})), kPlain));
    json["deferral"] = Json::parse(R"json({
        "trouble": null, "active": true, "held": 0,
        "interfaces": [{"name": "wan0", "trouble": null},
                       {"name": "wan1", "trouble": "there is no interface wan1"}],
        "counters": {"deferred": 12, "acknowledged": 10, "timed_out": 0}})json");
    EXPECT_THAT(
        render_sync_status(json, kPlain),
        HasSubstr(
            "  deferral     12 first packets waited, 10 until a peer knew; there is no interface wan1\n"));
    json["deferral"]["counters"]["timed_out"] = 2;
    json["deferral"]["active"] = false;
    EXPECT_THAT(render_sync_status(json, kPlain), HasSubstr("a peer knew, 2 in vain; none do now; there"));
    json["deferral"]["trouble"] = "cannot open /dev/net/tun";
    EXPECT_THAT(render_sync_status(json, kPlain), HasSubstr("no packet waits: cannot open /dev/net/tun\n"));
}

TEST(SyncStatus, ShowsTheHostAndItsPeers) {
    EXPECT_EQ(render_sync_status(status({up(), down()}), kPlain),
              "fw1: MASTER in term 7, complete\n"
              "  flows        100000 own, 1234 of peers\n"
              "  kernel       101234 of 262144 entries in 65536 buckets; 512345 events read\n"
              "  changes      51234 written, 3123 removed, 1 waiting\n"
              "  commit       direct: peers' flows go into the kernel at once\n"
              "  takeovers    2, flows were in the kernel after 0.2 ms\n"
              "\n"
              "PEER  ADDRESS      STATE  SINCE      CARP    OWNS  HELD  TO TELL  LAG     ROUND TRIP\n"
              "fw2   10.9.0.2     up     2 h 5 min  BACKUP  1234  1234  2        1.5 ms  0.3 ms\n"
              "-     2001:db8::2  DOWN   12.3 s     -       -     0     -        -       -\n"
              "\n"
              "2001:db8::2: never heard: does carpd run there?\n");
}

TEST(SyncStatus, HasNothingBelowWhenAllIsWell) {
    EXPECT_THAT(render_sync_status(status(Json::array({up()})), kPlain), EndsWith("0.3 ms\n"));
}

TEST(SyncStatus, SaysHowPeersAreFound) {
    Json json = status(Json::array({up()}));
    json["finding"] = Json::parse(R"json({"group": "ff12::ca:3781", "send_error": null, "refused": null,
        "counters": {"dropped": {"bad_seal": 0, "unanswered": 3}}})json");
    EXPECT_THAT(
        render_sync_status(json, kPlain),
        testing::AllOf(
            HasSubstr("\n  peers        found by multicast: ff12::ca:3781 on eth2, UDP port 3781\n\nPEER"),
            EndsWith("0.3 ms\n")));
    json["peers"] = Json::array();
    EXPECT_THAT(
        render_sync_status(json, kPlain),
        EndsWith("\n\nno peer is found yet: hellos go to ff12::ca:3781 on eth2, UDP port 3781, until a "
                 "host with the same key answers\n"));
    json["finding"]["send_error"] = "Cannot assign requested address";
    json["finding"]["refused"] = {{"address", "fe80::9"}, {"ago_ms", 2000}, {"why", "it is called 'fw1'"}};
    json["finding"]["counters"]["dropped"]["bad_seal"] = 4;
    EXPECT_THAT(
        render_sync_status(json, kPlain),
        testing::AllOf(HasSubstr("\nnobody can be looked for: Cannot assign requested address; is IPv6 "
                                 "disabled on the interface? Without it, list the peers in [sync]\n"),
                       HasSubstr("\nfe80::9 can't become a peer, last 2.0 s ago: it is called 'fw1'\n"),
                       HasSubstr("\n4 datagrams refused, bad_seal: ")));
}

TEST(SyncStatus, ColoursChangeNothingButColours) {
    std::string coloured = render_sync_status(status({up(), down()}), kColoured);
    EXPECT_THAT(coloured, HasSubstr("\x1b[1;32mMASTER\x1b[0m"));
    for (std::size_t at; (at = coloured.find('\x1b')) != std::string::npos;)
        coloured.erase(at, coloured.find('m', at) + 1 - at);
    EXPECT_EQ(coloured, render_sync_status(status({up(), down()}), kPlain));
}

TEST(SyncStatus, SaysWhatIsWrongWithTheHost) {
    Json json = status(Json::array({up()}));
    json["incomplete"] = "overrun";
    json["master"] = false;
    json["commit"] = "takeover";
    json["socket_trouble"] = "eth2 is missing";
    json["flows_refused"] = 3;
    json["kernel"]["lost_events"] = 12;
    json["kernel"]["max"] = 110'000;
    json["kernel"]["buckets"] = 16'384;
    json["changes"]["without_helper"] = 4;
    json["changes"]["failed"]["full"] = 5;
    json["takeovers"] = Json::parse(R"({"count":1,"last_commit_ms":null,"bound_exceeded":1})");
    json["counters"] = Json::parse(R"({"same_peer":6,"no_room":7,"bad_regions":8})");
    json["datagrams_refused"]["routed"] = 9;
    const std::string text = render_sync_status(json, kPlain);
    for (
        const char* line :
        {"fw1: BACKUP in term 7, incomplete (overrun: events of the kernel were lost, and its table is being "
         "read again)\n",
         "  commit       takeover: peers' flows go into the kernel when this host becomes MASTER\n",
         "  takeovers    1\n", "\nno peer can be spoken to: eth2 is missing\n",
         "\nwhile its copy is incomplete, this host is demoted as sync\n",
         "\n3 flows weren't told: max-flows of [sync] was reached\n",
         "\n12 events of the kernel were lost, and its table read again\n",
         "\n5 changes refused by the kernel, full: its table is full; raise net.netfilter.nf_conntrack_max\n",
         "\n4 flows are here without their helper, which this kernel hasn't\n",
         "\nthe kernel's table takes 110000 entries, for 101234 flows; raise "
         "net.netfilter.nf_conntrack_max\n",
         "\nthe kernel's table has 16384 buckets for 101234 flows, which makes it slow; raise "
         "net.netfilter.nf_conntrack_buckets\n",
         "\n1 takeovers went on after commit-wait before all flows were in the kernel\n",
         "\n6 times two peers had one name; give each a name of its own\n",
         "\n7 datagrams were lost because too many changes waited\n",
         "\n8 parts of datagrams made no sense; are the hosts of one release?\n",
         "\n9 datagrams refused, routed\n"})
        EXPECT_THAT(text, HasSubstr(line));
    json["kernel"]["max"] = json["kernel"]["entries"] = json["kernel"]["buckets"] = nullptr;
    EXPECT_THAT(render_sync_status(json, kPlain), HasSubstr("its table can't be read; 512345 events read\n"));
}

TEST(SyncStatus, SaysWhatIsWrongWithAPeer) {
    Json peer = up();
    peer["told"]["complete"] = peer["held"]["complete"] = false;
    peer["said"]["overrun"] = peer["said"]["leaving"] = true;
    peer["said"]["lost_events"] = 2;
    peer["held"]["differing_buckets"] = 3;
    peer["held"]["counters"]["slot_too_high"] = 4;
    peer["send_errors"] = 5;
    peer["counters"]["dropped"]["bad_seal"] = 17;
    EXPECT_THAT(
        render_sync_status(status(Json::array({peer})), kPlain),
        EndsWith("\n\n"
                 "fw2: is being told all that this host owns\n"
                 "fw2: hasn't told all that it owns yet\n"
                 "fw2: lost events of its kernel, and reads its table again\n"
                 "fw2: is stopping\n"
                 "fw2: 2 events of its kernel were lost\n"
                 "fw2: 3 of 1024 digests differ from those of what is held here\n"
                 "fw2: 4 records refused: it has more flows than max-flows of [sync] here\n"
                 "fw2: 5 datagrams couldn't be sent to it\n"
                 "fw2: 17 datagrams refused, bad_seal: sealed with another key, forged or damaged\n"));
}

TEST(SyncStatus, ShowsNoTerminalWhatAPeerWants) {
    Json peer = up();
    peer["name"] = "fw\x1b[2J\n\u009b1m\x7f-b\u00fcro";
    const std::string text = render_sync_status(status(Json::array({peer})), kPlain);
    EXPECT_THAT(text, HasSubstr("fw\\x1b[2J\\x0a\\x9b1m\\x7f-b\u00fcro  10.9.0.2"));
}

TEST(SyncStatus, IsWhatTheProcessMakes) {
    SyncConfig config;
    config.name = HostName::from("fw1").value();
    config.interface = "eth2";
    const Instant now{std::chrono::hours(1)};
    SyncHostConfig host_config;
    host_config.channel.name = config.name;
    const SyncHost host(now, host_config, config.keys, 1, [](auto bytes) { bytes[0] = 1; });
    const SyncProcessFigures figures{.config = config,
                                     .peers = {{.address = IpAddress::parse("10.9.0.2").value()}}};
    EXPECT_THAT(render_sync_status(Json::parse(sync_status(host, figures, now)), kPlain),
                HasSubstr("-     10.9.0.2  DOWN   0 ms   -     -     0     -        -    -\n"));
}

TEST(SyncStatus, ThrowsOnWhatIsNone) {
    EXPECT_THROW(render_sync_status(Json::parse(R"({"ok":true})"), kPlain), nlohmann::json::exception);
    EXPECT_THROW(render_sync_status(status(Json::array({7})), kPlain), nlohmann::json::exception);
}

// ---- flows

Flow flow_of(const char* source, const char* destination, std::uint8_t protocol, std::uint16_t first,
             std::uint16_t second) {
    Flow flow;
    flow.identity.original = {IpAddress::parse(source).value(), IpAddress::parse(destination).value(),
                              protocol, first, second};
    flow.identity.reply = flow.identity.original.inverse();
    flow.state.status = 0xe;
    flow.state.timeout = 299;
    return flow;
}
std::string shown(const Flow& flow) {
    return render_sync_flow(Json::parse(sync_flow_line(flow, "fw1")), kPlain);
}

TEST(SyncFlow, ShowsHowItIsTranslated) {
    Flow flow = flow_of("10.0.0.2", "198.51.100.7", 6, 4711, 443);
    flow.state.protocol = TcpState{3, {}, {}};
    EXPECT_EQ(shown(flow), "tcp  ESTABLISHED 10.0.0.2:4711 -> 198.51.100.7:443 299 s  fw1");
    flow.identity.reply.destination = IpAddress::parse("192.0.2.100").value();
    EXPECT_EQ(shown(flow),
              "tcp  ESTABLISHED 10.0.0.2:4711 -> 198.51.100.7:443 (as 192.0.2.100:4711) 299 s  fw1");
    flow.identity.reply.first = 8443;
    EXPECT_EQ(
        shown(flow),
        "tcp  ESTABLISHED 10.0.0.2:4711 -> 198.51.100.7:443 (as 192.0.2.100:4711, to 198.51.100.7:8443) "
        "299 s  fw1");
    flow.identity.reply.destination = flow.identity.original.source;
    EXPECT_EQ(shown(flow),
              "tcp  ESTABLISHED 10.0.0.2:4711 -> 198.51.100.7:443 (to 198.51.100.7:8443) 299 s  fw1");
}

TEST(SyncFlow, ShowsWhatOtherProtocolsHave) {
    EXPECT_EQ(shown(flow_of("2001:db8::1", "2001:db8::2", 17, 5353, 53)),
              "udp  ASSURED     [2001:db8::1]:5353 -> [2001:db8::2]:53 299 s  fw1");
    Flow flow = flow_of("10.0.0.2", "198.51.100.7", 1, 77, 8 << 8);
    flow.state.status = 0;
    EXPECT_EQ(shown(flow), "icmp UNREPLIED   10.0.0.2 -> 198.51.100.7 type 8 code 0 id 77 299 s  fw1");
    flow = flow_of("10.0.0.2", "198.51.100.7", 47, 5, 6);
    flow.state.status = 0x2;
    EXPECT_EQ(shown(flow), "gre  REPLIED     10.0.0.2 -> 198.51.100.7 keys 5 6 299 s  fw1");
    EXPECT_EQ(shown(flow_of("10.0.0.2", "198.51.100.7", 50, 0, 0)),
              "50   ASSURED     10.0.0.2 -> 198.51.100.7 299 s  fw1");
}

TEST(SyncFlow, ShowsWhatElseThereIs) {
    Flow flow = flow_of("10.0.0.2", "198.51.100.7", 6, 20, 4711);
    flow.state.protocol = TcpState{12, {}, {}};
    flow.identity.zone = 5;
    flow.state.mark = 16;
    flow.identity.master = flow.identity.original;
    flow.identity.helper = {'f', 't', 'p'};
    EXPECT_EQ(
        shown(flow),
        "tcp  12          10.0.0.2:20 -> 198.51.100.7:4711 zone 5 mark 16 helper ftp expected 299 s  fw1");
}

TEST(SyncFlow, ThrowsOnWhatIsNone) {
    EXPECT_THROW(render_sync_flow(Json::parse(R"({"owner":"fw1"})"), kPlain), nlohmann::json::exception);
    EXPECT_THROW(render_sync_flow(Json(7), kPlain), nlohmann::json::exception);
}

}  // namespace
}  // namespace carpd
