// The demo's two firewalls, what passes through them, and the acts they play.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lab/demo/theatre.h"
#include "lab/download.h"
#include "lab/firewalls.h"
#include "lab/sessions.h"
#include "lab/traffic_server.h"

namespace carpd::lab {

struct FirewallAct {
    std::string title;
    std::string taker;  // the firewall that must be MASTER afterwards
    std::string why{};  // as carpd told it
    int shells = 0, alive = 0;
    bool download_intact = false;
    Span stall{0};       // of the download
    Outage outage{};     // of single packets
    bool taken = false;  // the taker is MASTER, and packets pass
    bool unnoticed() const { return taken && alive == shells && download_intact; }
};

class FirewallStage {
 public:
    FirewallStage(Screen& screen, const FirewallOptions& options);

    // Boots both firewalls and lets traffic flow: a download and `shells` sessions.
    void open(int shells);

    void power_off();  // the first one, as what follows
    void boot();
    void stop();

    // Plays `scene`, then watches until `taker` is MASTER and traffic flows, and asks everybody.
    template <class Scene>
    FirewallAct play(const std::string& title, const std::string& taker, Scene scene) {
        begin(title);
        const Time at = Clock::now();
        scene();
        return finish(title, taker, at);
    }

 private:
    void watch(Span span);
    void show();
    void begin(const std::string& title);
    FirewallAct finish(const std::string& title, const std::string& taker, Time at);

    Theatre theatre_;
    Lab lab_;
    FirewallPair pair_;
    Actor first_, second_;
    TrafficServer server_;
    std::optional<Download> download_;
    std::optional<Sessions> shells_;
    std::optional<Probe> probe_;
};

}  // namespace carpd::lab
