// carpd-demo: carpd's main job, live. Two hosts share an IPv4 and an IPv6 address, a client sends requests to
// both all the time, and the master suffers one fate after the other. Real kernels, in network namespaces of
// this machine.
//
// Exit 0 only if the address survived every act within the protocol's bound (plus kSlack); 1 if it did not;
// 130 on Ctrl-C.
//
// carpd-demo firewall: two firewalls that synchronise their state tables, and the connections through them.
// Exit 0 only if all survived.

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <vector>

#include "lab/demo/firewall_stage.h"
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

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    if (argc > 2 || (argc == 2 && what != "firewall")) {
        fmt::print(stderr, "usage: carpd-demo [firewall]\n");
        return 2;
    }
    if (const std::string why_not = why_no_lab(); !why_not.empty()) {
        fmt::print(stderr, "carpd-demo: {}\n", why_not);
        return 1;
    }
    Screen screen;
    try {
        return (what.empty() ? play(screen) : play_firewalls(screen)) ? 0 : 1;
    } catch (const Interrupted&) {
        fmt::print("\nInterrupted; everything is cleaned up.\n");
        return 130;
    } catch (const std::exception& error) {
        fmt::print(stderr, "\ncarpd-demo: {}\n", error.what());
        return 1;
    }
}
