// One world of hosts that synchronise their flows: the real SyncHost of each behind a driver as a process
// would be, with kernels, a link, CARP and traffic in memory and virtual time, from a Plan. It runs until its
// end or until a checker's statement is broken. Nothing but the plan decides what happens.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/dice.h"
#include "sim/event_queue.h"
#include "sim/outcome.h"
#include "sim/sync/plan.h"
#include "sim/sync/traffic.h"

namespace carpd::sim::sync {

class Checks;
class Host;

// What a world counts; the names are in report.cc, in this order.
enum class Tally : std::uint8_t {
    connections,        // that began
    moved,              // that went on on another host
    broken_young,       // they couldn't: it hadn't been told for long enough
    broken_unlinked,    // it was told while the two hosts didn't hear each other, or one's process didn't run
    broken_incomplete,  // the host that took over knew that it hadn't all
    broken_otherwise,   // evicted, flushed, full, or changed hands too often meanwhile
    datagrams,
    changes,
};

// What a process hears of CARP: that its host is MASTER of nothing, or of something, or how it stands now, or
// that another group became MASTER.
enum class News : std::uint8_t { backup, master, now, another };

enum class EventKind : std::uint8_t {
    fault_begins,  // what: place in Plan::faults
    fault_ends,
    strike,      // what: the fault that acts again
    delivery,    // what: the datagram that arrives at `host`
    wake,        // `host`'s process asked for it, or something waits for it
    news,        // what CARP says reaches `host`'s process; what: News
    connection,  // a new one begins
    packet,      // what: of this connection
    tick,        // CARP looks around, and so do the checkers
    second,      // kernels end what is over
};

class World {
 public:
    // Told what happens at a host (-1: at none) or to a connection (0: to none); may be null. `chosen`: ids
    // of the faults that happen; all if null.
    using Teller = std::function<void(Moment, int host, std::uint32_t connection, const std::string&)>;
    World(const Plan& plan, const std::vector<int>* chosen, Teller teller);
    ~World();
    Outcome run();

    Moment now() const { return now_; }
    const Plan& plan() const { return plan_; }
    int hosts() const { return static_cast<int>(plan_.hosts.size()); }
    Host& host(int index) { return *hosts_[static_cast<std::size_t>(index)]; }
    const Host& host(int index) const { return *hosts_[static_cast<std::size_t>(index)]; }
    void schedule(Moment at, EventKind kind, int host, std::uint32_t what = 0) {
        queue_.push(at, kind, host, what);
    }
    Dice& dice() { return dice_; }
    // The active fault of this kind at this host, or null.
    const Fault* active(FaultKind kind, int host) const;
    bool any_active(FaultKind kind) const;
    void tell(int host, const std::string& text, std::uint32_t connection = 0) {
        if (teller_) teller_(now_, host, connection, text);
    }
    bool is_told() const { return static_cast<bool>(teller_); }
    void count(Tally tally, std::uint64_t by = 1) { outcome_.tallies[static_cast<std::size_t>(tally)] += by; }
    void broken(std::string_view checker, std::string statement, std::uint32_t connection = 0);

    // ---- the link
    void send(int from, int to, std::span<const std::uint8_t> bytes);
    // Datagrams of both reach each other, and both processes run and want to.
    bool are_linked(int a, int b) const;

    // ---- CARP
    bool is_master(int host) const;  // of something
    // The host that the connection's packets pass now, or -1.
    int router(const Connection& connection) const;

    Traffic& traffic() { return traffic_; }
    Checks& checks() { return *checks_; }

 private:
    struct Datagram {
        int from = 0, to = 0;
        std::vector<std::uint8_t> bytes;
    };
    struct Standing {
        bool master = false;
        Moment became = 0, heard = 0;
    };

    void dispatch(const Schedule<EventKind>::Event& event);
    void set_fault(std::uint32_t place, bool begins);
    void strike(std::uint32_t place);
    void put_on_wire(Moment at, int from, int to, std::vector<std::uint8_t> bytes);
    void deliver(std::uint32_t id);

    bool same_side(int a, int b) const;
    bool takes_part(int host) const;
    bool same_side(const Connection& connection, int host) const;
    Standing& standing(int host, std::size_t group) {
        return standings_[static_cast<std::size_t>(host)][group];
    }
    const Standing& standing(int host, std::size_t group) const {
        return standings_[static_cast<std::size_t>(host)][group];
    }
    std::size_t rank(int host, std::size_t group) const;
    void elect();
    void elect(std::size_t group);
    void set_standing(int host, std::size_t group, bool master);

    const Plan& plan_;
    Teller teller_;
    Schedule<EventKind> queue_;
    Dice dice_;
    std::vector<Dice> fault_dice_;
    std::vector<bool> chosen_;
    std::vector<std::uint32_t> active_;  // places of the active faults, in order
    std::vector<std::unique_ptr<Host>> hosts_;
    std::vector<std::vector<Standing>> standings_;  // by host and group
    std::vector<Datagram> wire_;
    std::vector<std::uint32_t> free_;
    std::vector<Datagram> recorded_;  // by a stranger
    Traffic traffic_;
    std::unique_ptr<Checks> checks_;
    Moment now_ = 0;
    Digest digest_;
    Outcome outcome_;
};

}  // namespace carpd::sim::sync
