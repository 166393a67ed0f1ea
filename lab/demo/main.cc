// carpd-demo: carpd's main job, live. Two hosts share an IPv4 and an IPv6 address, a client sends requests to
// both all the time, and the master suffers one fate after the other. Real kernels, in network namespaces of
// this machine.
//
// Exit 0 only if the address survived every act within the protocol's bound (plus kSlack); 1 if it did not;
// 130 on Ctrl-C.
//
// carpd-demo firewall: two firewalls that synchronise their state tables, and the connections through them.
// Exit 0 only if all survived.
//
// carpd-demo balance: three servers that share 500 clients among them. Exit 0 only if nobody but the clients
// of a server that dies noticed anything, and those no longer than the protocol has it.

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <vector>

#include "lab/demo/firewall_stage.h"
#include "lab/demo/pool_stage.h"
#include "lab/demo/stage.h"

namespace {

using namespace carpd::lab;

constexpr const char* kIntroduction = R"(
carpd: one address, two hosts

                        +-- alpha   192.0.2.1   2001:db8::1   advskew 0, preempt
    client -- switch ---+
                        +-- beta    192.0.2.2   2001:db8::2   advskew 100

  Shared by CARP: 192.0.2.100 and 2001:db8::100, at the virtual MAC 00:00:5e:00:01:01.
  The client sends a request to each every 5 ms.)";

constexpr const char* kLegend = R"(
  Hosts:    M master  b backup  i init  x dead
  Requests: # all answered  + some lost  . all lost)";

constexpr const char* kColourLegend = R"(
  Hosts:    █ master  ─ backup  ┄ init  x dead
  Requests: ▅ all answered  ▂ some lost  · all lost)";

// What the master suffers, and how the other one and the client get over it. `down` is beta's master-down
// time.
std::vector<Act> round(Stage& stage, Span down) {
    std::vector<Act> acts;
    acts.push_back(stage.play("Both start", "alpha", down, false, [&] { stage.start_both(); }));
    acts.push_back(stage.play("The master dies", "beta", down, true, [&] { stage.power_off("alpha"); }));
    acts.push_back(stage.play("It comes back", "alpha", 0ms, true, [&] { stage.power_on("alpha"); }));
    acts.push_back(stage.play("The master is stopped", "beta", 0ms, true, [&] { stage.stop("alpha"); }));
    acts.push_back(stage.play("It is started again", "alpha", 0ms, true, [&] { stage.start("alpha"); }));
    acts.push_back(stage.play("The master's link is cut", "beta", down, true, [&] { stage.cut("alpha"); }));
    acts.push_back(stage.play("The link is back", "alpha", 0ms, true, [&] { stage.restore("alpha"); }));
    stage.stop_all();
    return acts;
}

std::string outage_text(const Act& act, const Outage& outage) {
    if (!act.judged) return "-";
    return outage.over ? fmt::format("{:.0f} ms", to_ms(outage.duration)) : "never back";
}

void summarise(Screen& screen, const std::string& title, const std::vector<Act>& acts) {
    std::vector<std::vector<std::string>> rows = {
        {"", "new master", "because", "requests", "lost", "IPv4 outage", "IPv6 outage", "bound", ""}};
    for (const Act& act : acts)
        rows.push_back({act.title, act.taker, act.why, fmt::format("{}", act.ipv4.sent + act.ipv6.sent),
                        act.judged ? fmt::format("{}", act.ipv4.lost + act.ipv6.lost) : "-",
                        outage_text(act, act.ipv4), outage_text(act, act.ipv6),
                        act.judged ? fmt::format("{:.0f} ms", to_ms(act.bound)) : "-",
                        act.good ? "ok" : "FAILED"});
    screen.heading(title);
    screen.table(rows);
}

bool all_good(const std::vector<Act>& acts) {
    return std::all_of(acts.begin(), acts.end(), [](const Act& act) { return act.good; });
}

bool play(Screen& screen) {
    screen.text(kIntroduction);
    screen.text(screen.is_terminal() ? kColourLegend : kLegend);
    Stage stage(screen);
    stage.set_pace(1, 0, 100, 5ms);
    const std::vector<Act> slow = round(stage, 3391ms);
    screen.heading("Once more, with an advertisement every 1/256 s and requests every millisecond");
    stage.set_pace(0, 1, 2, 1ms);
    const std::vector<Act> fast = round(stage, 24ms);  // three of beta's intervals of 2/256 s

    summarise(screen, "Summary: an advertisement every second", slow);
    summarise(screen, "Summary: an advertisement every 1/256 s", fast);
    screen.text(fmt::format("\n  bound: the protocol's, for the outage; an act fails {:.0f} ms above it.",
                            to_ms(kSlack)));
    const bool survived = all_good(slow) && all_good(fast);
    screen.verdict(survived, survived ? "The address survived every fate of its master."
                                      : "The address did NOT survive as it should have.");
    return survived;
}

// ---- two firewalls

constexpr int kShells = 1000;

constexpr const char* kFirewallIntroduction = R"(
carpd: two firewalls, and no connection notices which of them is alive

                      inside             outside
                        +------ fw1 ------+        advskew 10, preempt
    client -- switch ---+        |        +--- switch -- server
                        +------ fw2 ------+        advskew 20

  Each drops what belongs to no flow in its kernel's table, and translates the client's address to 198.51.100.100,
  which they share as 10.0.0.100 inside. They tell each other their flows over a link of their own, encrypted.
  Through them go a download and 1000 shells, each of which says something every two seconds.)";

constexpr const char* kFirewallLegend = R"(
  Firewalls: M master  b backup  i init  x dead
  Traffic:   # flows  + some late  . nothing)";

constexpr const char* kFirewallColourLegend = R"(
  Firewalls: █ master  ─ backup  ┄ init  x dead
  Traffic:   ▅ flows  ▂ some late  · nothing)";

std::vector<FirewallAct> firewall_acts(Screen& screen) {
    FirewallStage stage(screen, {});
    stage.open(kShells);
    std::vector<FirewallAct> acts;
    acts.push_back(stage.play("The master is killed", "fw2", [&] { stage.power_off(); }));
    acts.push_back(stage.play("It comes back, and knows nothing", "fw1", [&] { stage.boot(); }));
    acts.push_back(stage.play("The master is stopped", "fw2", [&] { stage.stop(); }));
    acts.push_back(stage.play("It is started again", "fw1", [&] { stage.boot(); }));
    return acts;
}

// What state synchronisation is for.
FirewallAct lonely_act(Screen& screen) {
    screen.heading("For comparison: the same firewalls without [sync]");
    FirewallStage stage(screen, {.sync = false});
    stage.open(kShells);
    return stage.play("The master is killed, without [sync]", "fw2", [&] { stage.power_off(); });
}

void summarise(Screen& screen, const std::vector<FirewallAct>& acts) {
    std::vector<std::vector<std::string>> rows = {
        {"", "new master", "because", "packets lost for", "download stalled", "shells alive", "download"}};
    for (const FirewallAct& act : acts)
        rows.push_back({act.title, act.taker, act.why,
                        act.outage.over ? fmt::format("{:.0f} ms", to_ms(act.outage.duration)) : "-",
                        act.download_intact ? fmt::format("{:.0f} ms", to_ms(act.stall)) : "-",
                        fmt::format("{} of {}", act.alive, act.shells),
                        act.download_intact ? "intact" : "LOST"});
    screen.heading("Summary");
    screen.table(rows);
}

bool play_firewalls(Screen& screen) {
    screen.text(kFirewallIntroduction);
    screen.text(screen.is_terminal() ? kFirewallColourLegend : kFirewallLegend);
    std::vector<FirewallAct> acts = firewall_acts(screen);
    const bool unnoticed =
        std::all_of(acts.begin(), acts.end(), [](const FirewallAct& act) { return act.unnoticed(); });
    acts.push_back(lonely_act(screen));
    summarise(screen, acts);
    screen.text(
        "\n  A download stalls for longer than packets are lost: its server waits before it sends again.");
    screen.verdict(unnoticed, unnoticed ? "No connection noticed." : "Connections were LOST.");
    return unnoticed;
}

// ---- three servers

constexpr const char* kPoolIntroduction = R"(
carpd: one address, three hosts at work

                                +-- web1   carpnodes 1:10 2:24 3:20
    500 clients -- switch ------+-- web2   carpnodes 1:20 2:10 3:24
                                +-- web3   carpnodes 1:24 2:20 3:10

  All have 10.1.0.100 and 2001:db8::100 at the MAC 01:00:5e:00:01:01, and get every packet; each serves the clients
  of the carpnodes of which it is MASTER. With hash = "weighted" those of a lost one are spread over all others.
  Each client asks by UDP four times a second, IPv4 and IPv6, and by a TCP connection of its own every second.)";

constexpr const char* kPoolLegend = R"(
  Servers: M serves  b stands by  x dead
  Clients: # all answered  + some lost  . all lost)";

constexpr const char* kPoolColourLegend = R"(
  Servers: █ serves  ─ stands by  x dead
  Clients: ▅ all answered  ▂ some lost  · all lost)";

constexpr Span kPoolBound = 234ms;  // three intervals of the next host

std::vector<PoolAct> pool_acts(PoolStage& stage) {
    std::vector<PoolAct> acts;
    acts.push_back(stage.open("Three servers start"));
    acts.push_back(stage.play("web2 dies", 1, {0, 2}, [&] { stage.power_off(1); }));
    acts.push_back(stage.play("It comes back", 1, {0, 1, 2}, [&] { stage.boot(1); }));
    acts.push_back(stage.play("web3 is drained", 2, {0, 1}, [&] { stage.demote(2, 100); }));
    acts.push_back(stage.play("It is taken back", 2, {0, 1, 2}, [&] { stage.demote(2, 0); }));
    return acts;
}

bool is_good(const PoolAct& act, bool died) {
    return act.even && act.others_lost == 0 && act.alive == act.sessions &&
           (died ? act.outage <= kPoolBound + kSlack : act.lost == 0);
}

bool play_pool(Screen& screen) {
    screen.text(kPoolIntroduction);
    screen.text(screen.is_terminal() ? kPoolColourLegend : kPoolLegend);
    PoolStage stage(screen);
    const std::vector<PoolAct> acts = pool_acts(stage);
    std::vector<std::vector<std::string>> rows = {
        {"", "web1", "web2", "web3", "requests", "lost", "of others' clients", "outage", "connections", ""}};
    bool all_good = true;
    for (const PoolAct& act : acts) {
        const bool good = is_good(act, &act == &acts[1]);
        all_good = all_good && good;
        rows.push_back({act.title});
        for (const int share : act.shares) rows.back().push_back(fmt::format("{}", share));
        for (std::string text :
             {fmt::format("{}", act.asked), fmt::format("{}", act.lost), fmt::format("{}", act.others_lost),
              act.lost > 0 ? fmt::format("{:.0f} ms", to_ms(act.outage)) : std::string("-"),
              act.sessions > 0 ? fmt::format("{} of {}", act.alive, act.sessions) : std::string("-"),
              std::string(good ? "ok" : "FAILED")})
            rows.back().push_back(std::move(text));
    }
    screen.heading("Summary");
    screen.table(rows);
    screen.text(
        fmt::format("\n  Connections: of those to servers that live, how many live. The outage of the dead "
                    "server's clients may be\n"
                    "  {:.0f} ms, and {:.0f} ms for this machine.",
                    to_ms(kPoolBound), to_ms(kSlack)));
    screen.verdict(all_good, all_good ? "Every client was served, and none but the dead server's noticed."
                                      : "Clients were NOT served as they should have been.");
    return all_good;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    if (argc > 2 || (argc == 2 && what != "firewall" && what != "balance")) {
        fmt::print(stderr, "usage: carpd-demo [firewall|balance]\n");
        return 2;
    }
    if (const std::string why_not = why_no_lab(); !why_not.empty()) {
        fmt::print(stderr, "carpd-demo: {}\n", why_not);
        return 1;
    }
    Screen screen;
    try {
        return (what.empty()        ? play(screen)
                : what == "balance" ? play_pool(screen)
                                    : play_firewalls(screen))
                   ? 0
                   : 1;
    } catch (const Interrupted&) {
        fmt::print("\nInterrupted; everything is cleaned up.\n");
        return 130;
    } catch (const std::exception& error) {
        fmt::print(stderr, "\ncarpd-demo: {}\n", error.what());
        return 1;
    }
}
