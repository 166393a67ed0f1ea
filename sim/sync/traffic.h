// Connections through the firewalls, as their packets make, change and end entries of kernels.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/dice.h"
#include "sim/sync/kernel.h"
#include "sim/sync/plan.h"

namespace carpd::sim::sync {

class World;

// The second byte of the addresses of those that are not to be told.
inline constexpr std::uint8_t kIgnoredNetwork = 99;

struct Connection {
    enum class Kind : std::uint8_t { tcp, udp, icmp };
    enum class Ending : std::uint8_t { closes, resets, vanishes, unanswered };

    std::uint32_t id = 0;
    std::uint32_t root = 0;  // the first one that had its tuple
    Kind kind = Kind::tcp;
    Ending ending = Ending::closes;
    std::size_t group = 0;
    Flow flow;  // as it began
    Moment dies = 0;
    std::int64_t gap = 0;       // between packets
    std::uint32_t timeout = 0;  // once it is established
    int phase = 0;
    std::uint32_t changes = 0;
    int last_host = -1;
    Dice dice{0};

    bool over = false;     // no more packets
    bool ignored = false;  // not to be told
    bool marred = false;   // a kernel had it and lost it for a reason that nobody can help
    bool worth_telling = false;

    // Its mark in a kernel: who it is, and how often it changed.
    static constexpr std::uint32_t kChanges = 12;  // bits
    std::uint32_t mark() const { return id << kChanges | changes; }
};

class Traffic {
 public:
    explicit Traffic(World& world);

    void begin_one();
    // A packet of the connection passes a host, if one routes it.
    void pass(std::uint32_t id);

    const std::vector<Connection>& all() const { return connections_; }
    Connection& operator[](std::uint32_t id) { return connections_[id]; }
    // The last connection that had this identity, whatever its helper and master; null: nobody ever.
    const Connection* of(const FlowIdentity& identity) const;

 private:
    void draw(Connection& connection);
    bool translate(Connection& connection, const Kernel& kernel);
    bool open(Connection& connection, int host);
    void go_on(Connection& connection, Entry& entry, Kernel& kernel);
    void set_state(Connection& connection, Entry& entry, Kernel& kernel, std::uint8_t tcp_state,
                   std::uint32_t status, std::uint32_t timeout);
    void finish(Connection& connection, Entry& entry, Kernel& kernel);
    void break_off(Connection& connection, int host);

    World& world_;
    Dice dice_;
    std::vector<Connection> connections_;
    std::map<std::pair<Name, FlowTuple>, std::uint32_t> of_;  // by name and reply
    std::uint32_t with_helper_ = 0;                           // the last one
};

}  // namespace carpd::sim::sync
