// What watches a world from outside and says when a statement (docs/simulation.md) is broken. It compares
// what kernels hold and what traffic did, and believes of SyncHost only what it says of itself to be tried.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sim/sync/kernel.h"
#include "sim/sync/plan.h"
#include "sim/sync/traffic.h"

namespace carpd::sim::sync {

class World;

class Checks {
 public:
    explicit Checks(World& world);

    // Before and after a fault begins or ends.
    void before_fault(const Fault& fault);
    void on_start(int host);
    void on_standing(int host, bool master);
    void on_news(int host, bool master);
    // SyncHost wants this; returns which connection it is of.
    std::uint32_t on_change(int host, const FlowChange& change);
    void on_gone(int host, const Entry& entry, Gone gone);
    // The process at `host` has been told of the connection as it is, or that it ended there.
    void on_known(int host, std::uint32_t connection, FlowEvent::Kind kind);
    void on_end_known(int host, std::uint32_t connection);
    // The process at `host` was told that events were lost, or that a dump failed.
    void on_missed(int host);
    // A connection's packets found no entry of it.
    void on_broken(const Connection& connection, int host);
    void after_wake(int host);
    void on_tick();

 private:
    struct Link {
        Moment since = 0, until = 0;  // the last time that both were linked
        bool is_up = false;
    };
    // Of a connection.
    struct Record {
        int host = -1;  // which knew it first since it passes there
        Moment known = kNoMoment;
        HostSet written = 0;  // hosts whose process, since it started, wrote it into the kernel
        HostSet ended = 0;    // hosts whose process heard that it ended there
        Moment ended_at = 0;
        Moment gone = 0;      // from where its packets pass
        HostSet expired = 0;  // there
    };
    struct Standing {
        Moment impaired = 0;  // its process was disturbed last
        Moment full = 0;      // entries of its kernel were refused or removed last
        Moment started = 0, told = 0;
        Moment held_up = 0;         // until then, what hinders a dump
        bool was_complete = false;  // when it became MASTER
    };

    void note_disturbances();
    void note_links();
    void impair(const Fault& fault);
    void hold_up(int host, Moment until);
    Link& link(int a, int b) { return links_[static_cast<std::size_t>(a)][static_cast<std::size_t>(b)]; }
    Record& record(std::uint32_t connection);
    Standing& standing(int host) { return standings_[static_cast<std::size_t>(host)]; }
    bool settled_link(int a, int b);
    bool hears(int host, int peer);
    Moment lag() const;
    bool is_calm() const;
    bool must_be_told(const Connection& connection) const;
    bool is_excused(const Connection& connection, int host);

    void check_bounds(int host);
    void check_honest(int owner, int host);
    void check_same(int owner, int host);
    void check_stale(int owner, int host);
    void check_owners();
    void check_overrun(int host);
    bool lacks(std::string_view checker, const Entry& entry, int owner, int host);
    void tell(int host, std::uint32_t connection, std::string_view what);
    void broken(std::string_view checker, int owner, int host, const Entry& entry, std::string_view what);

    World& world_;
    std::vector<Record> records_;
    std::array<std::array<Link, kMostHosts>, kMostHosts> links_;
    std::array<Standing, kMostHosts> standings_;
    Moment disturbed_ = 0, rough_ = 0, moved_ = 0;
    Moment contested_ = 0;  // two hosts were MASTER of something
    int ticks_ = 0;
};

}  // namespace carpd::sim::sync
