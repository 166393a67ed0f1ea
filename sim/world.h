// One world: hosts, a network and faults in virtual time, from a Plan. It runs until its end or until a
// checker's statement is broken. Nothing but the plan decides what happens.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "sim/checker.h"
#include "sim/dice.h"
#include "sim/event_queue.h"
#include "sim/outcome.h"
#include "sim/station.h"

namespace carpd::sim {

// Who is told what happens, for a timeline and a capture; null members aren't. Host and group are -1 where
// something concerns none or all.
struct Witness {
    std::function<void(const World&, int host, int group, const std::string& text)> tell;
    std::function<void(Moment, int host, const Packet&)> frame;
    std::function<void(Moment, int group, HostSet)> owners;  // they are others now
};

class World {
 public:
    // `chosen`: ids of the faults that happen; all if not given. `plan` and `witness` outlive the world.
    World(const Plan& plan, const std::vector<int>* chosen, const Witness& witness);
    ~World();
    Outcome run();

    // ---- for stations
    Moment now() const { return now_; }
    const Plan& plan() const { return plan_; }
    PacketPool& packets() { return packets_; }
    const PacketPool& packets() const { return packets_; }
    void schedule(Moment at, EventKind kind, int host, std::uint32_t what);
    // Sends what `packets()[id]` holds to `destination`, now.
    void transmit(PacketId id, const IpAddress& destination);
    // `host` may have begun or ceased to answer.
    void update_ownership(int host, int group);
    // The active fault of this kind at this host, or null.
    const Fault* active(FaultKind kind, int host) const;
    Settings settings(int host, int group) const;  // as the operator wants them now
    // What the host's checks find now; the name of each is that of the fault that makes it fail.
    std::vector<FailingTrack> failing_checks(int host) const;
    const std::vector<std::unique_ptr<Checker>>& checkers() const { return checkers_; }
    bool witnessed() const { return static_cast<bool>(witness_.tell); }
    void tell(int host, int group, const std::string& text);
    // Something that the digest covers happened.
    void record(std::uint64_t what, std::uint64_t where, std::uint64_t detail) {
        digest_.record(what, where, detail);
    }
    // A full receive buffer took no more.
    void lost_in_buffer() { network_faulty_at_ = now_; }
    Dice& dice() { return dice_; }

    // ---- for checkers
    void broken(std::string_view checker, int group, std::string statement);
    const Station& station(int host) const { return *stations_[static_cast<std::size_t>(host)]; }
    int hosts() const { return static_cast<int>(plan_.hosts.size()); }
    int groups() const { return static_cast<int>(plan_.groups.size()); }
    HostSet owners(int group) const { return owners_[static_cast<std::size_t>(group)]; }
    // When a fault last began, struck or ended, harmless ones aside; now if one that never rests is active.
    Moment disturbed_at() const { return restless_ > 0 ? now_ : disturbed_at_; }
    // When the network last lost, held up or changed a packet.
    Moment network_faulty_at() const { return network_faults_ > 0 ? now_ : network_faulty_at_; }
    // Whether packets of `a` reach `b`, partitions considered.
    bool same_side(int a, int b) const;
    // One host lacks a group of `group`'s set just now: the others don't know what to make of that one.
    bool set_is_cut(int group) const;
    // A failing check keeps the group in INIT there.
    bool is_withdrawn(int host, int group) const;
    // A host's process runs, with a link, and has the group, which no failing check withdraws.
    bool takes_part(int host, int group) const;
    std::size_t queue_size() const { return queue_.size(); }

 private:
    void dispatch(const Event& event);
    void begin_fault(std::uint32_t place);
    void end_fault(std::uint32_t place);
    void strike(std::uint32_t place);
    void apply(const Fault& fault, bool begins);
    void ail(Station& station, int& ailment, int by);
    void disturb(const Fault& fault);
    void deliver(int host, PacketId id);
    void send_to(int host, PacketId id);
    std::optional<std::int64_t> fate(const Fault& fault, int host, const Packet& original, PacketId& id,
                                     std::int64_t& copy_delay, Dice& dice);
    void capture(const Packet& packet);
    void inject_forgery(Dice& dice);
    void inject_replay(Dice& dice);
    void inject(PacketId id);
    PacketId copy(const Packet& packet);

    const Plan& plan_;
    const Witness& witness_;
    EventQueue queue_;
    PacketPool packets_;
    Dice dice_;                     // of what is no fault: delays, wake-ups
    std::vector<Dice> fault_dice_;  // of each fault, by its place
    std::vector<bool> chosen_;
    std::vector<std::uint32_t> active_;  // places of the active faults, in order
    std::vector<int> strikes_;
    std::vector<std::unique_ptr<Station>> stations_;
    std::vector<std::unique_ptr<Checker>> checkers_;
    std::vector<HostSet> owners_;
    std::array<std::optional<Packet>, 16> captured_;  // what a stranger overheard
    std::size_t captured_next_ = 0;
    Moment now_ = 0;
    Moment disturbed_at_ = 0, network_faulty_at_ = 0;
    int restless_ = 0, network_faults_ = 0;
    Digest digest_;
    std::uint64_t events_ = 0;
    std::optional<Violation> violation_;
};

}  // namespace carpd::sim
