// A host's whole behaviour in CARP as one pure object: values in, Actions out. It makes no system call, reads
// no clock, and allocates nothing per packet or timer (once `Actions` has grown to its working size), but for
// each beacon that it sends, one in five seconds of a group.
//
// Who calls it: Pump, for the Linux engine and for the simulator. `now` is the first argument of every input
// and never decreases; after every input, ask next_deadline() and call handle_timer() then. Calling it early
// is harmless, late is tolerated. Bytes that aren't authentic change counters (and what they tell of the
// last refusal) and nothing else.
#pragma once

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/deadlines.h"
#include "base/random.h"
#include "carp/actions.h"
#include "carp/balancer.h"
#include "carp/group_peers.h"
#include "carp/host_tally.h"
#include "carp/memory.h"
#include "carp/together.h"
#include "carp/virtual_host.h"

namespace carpd {

// What became of a received packet. No reason: accepted.
struct Receipt {
    std::optional<DropReason> refused;
    std::optional<GroupId> group;  // whom it was for, where it said so
};

class Node {
 public:
    explicit Node(std::uint64_t seed) : random_(seed), host_(Random(~seed).next()) {}

    // What other hosts are to know this one by, up to Beacon::kMostName printable characters.
    void set_host_name(std::string name) { host_name_ = std::move(name); }
    const std::string& host_name() const { return host_name_; }
    std::uint64_t host() const { return host_; }

    // The groups as configured now; the first call starts them, a later one applies the difference: a group
    // is known by interface and vhid, and one that didn't change is not touched. Removed groups bow out and
    // withdraw. No interface and vhid may stand twice.
    // The groups with the same `together` are a set.
    void configure(Instant now, GroupConfigs groups, Actions& out);
    // The host has just started: all groups configured now are demoted until then (rule M4).
    void hold_down(Instant now, Instant until, Actions& out);
    // Every group bows out if it is MASTER, withdraws and goes to INIT.
    void stop(Instant now, Actions& out);

    // What another daemon on this host needs in order to go on with these groups. Between two inputs.
    NodeMemory memory() const;
    // Until then its driver may still take packets of shares that it let go (rule N7), which no other one can
    // go on with.
    Instant hands_over_until() const;
    // Goes on where that one stopped, in the place of the first handle_link() of each interface: `links` are
    // those of interfaces(), in their order. configure() was called, and nothing else. A MASTER whose lease
    // lasts asks for its addresses, which stand; one whose lease has lapsed withdraws first. A group of
    // which nothing is remembered starts as any that is new; one that isn't configured any more is
    // forgotten.
    void resume(Instant now, const NodeMemory& memory, std::span<const LinkStatus> links, Actions& out);

    // `bytes` begins with the IP header.
    Receipt handle_packet(Instant now, InterfaceId interface, Bytes bytes, Actions& out);
    void handle_link(Instant now, InterfaceId interface, const LinkStatus& link, Actions& out);
    // Of very many groups whose time has come it serves kMaxTimers, in the order in which they were
    // configured if it came at once; then next_deadline() is still in the past. What those do must not wait
    // for the others.
    void handle_timer(Instant now, Actions& out);
    static constexpr int kMaxTimers = 256;
    // How an earlier Action of this group went.
    void handle_send_result(Instant now, GroupId group, bool sent, Actions& out);
    void handle_install_result(Instant now, GroupId group, bool installed, Actions& out);
    // Flows are committed before a new MASTER's addresses answer, and it waits for that for so long (rule
    // Y1). 0: nobody commits any, so nobody waits, and nobody does any more; as it is at first.
    void set_commit_wait(Instant now, Duration wait, Actions& out);
    // The flows of this group, which waits for them; it is no news of one that doesn't.
    void handle_committed(Instant now, GroupId group, Actions& out);
    // Of all groups, present and to come: how demoted they are because this host lacks flows (CopyState).
    void demote_for_sync(Instant now, int amount, Actions& out);
    // Sets a named contribution (DemotionCounter::set).
    void handle_demotion(Instant now, GroupId group, std::string_view name, int amount, Actions& out);
    // Of a group, or of all groups, present and to come, that are in an interface group (rule M5), until
    // `ends`, if nothing else is said of this name before. False if the operator has kMaxOperatorNames other
    // contributions there.
    bool demote_group(Instant now, GroupId group, std::string_view name, int amount, Instant ends,
                      Actions& out);
    bool demote_interface_group(Instant now, std::string_view interface_group, std::string_view name,
                                int amount, Instant ends, Actions& out);
    // When this contribution of a group ends by itself; kNever: not so.
    Instant demotion_ends(GroupId group, std::string_view contribution) const;
    static constexpr std::size_t kMaxOperatorNames = 8;
    // For the other members of the group's set, too.
    bool handle_request(Instant now, GroupId group, State state, Actions& out);
    // The checks that fail from now on, all of them: groups that are or will be configured are demoted or
    // withdrawn by those, and by no others (rules H1, H2). At most kMaxTracks concern one group.
    void handle_failing_tracks(Instant now, std::vector<FailingTrack> failing, Actions& out);
    static constexpr std::size_t kMaxTracks = 32;

    // The earliest time at which handle_timer() has something to do.
    Instant next_deadline() const { return std::min(deadlines_.earliest().second, next_ending_); }

    // The group with this id, or null if it was removed; ids are below group_slots().
    const VirtualHost* group(GroupId id) const;
    std::size_t group_slots() const { return groups_.size(); }
    // How many groups are MASTER.
    std::size_t masters() const { return masters_; }
    std::optional<GroupId> find_group(std::string_view name) const;
    std::optional<GroupId> group_at(const std::string& interface, Vhid vhid) const;
    // Names of the interfaces that groups ask for; an InterfaceId is an index into it. It only grows.
    const std::vector<std::string>& interfaces() const { return interface_names_; }
    const LinkStatus& link(InterfaceId interface) const { return interfaces_[interface].link; }
    // What this carpnode shares with the others of its pool; null where the group is none. Until the next
    // configure().
    const Balancer* pool(GroupId id) const { return id < pool_of_.size() ? pool_of_[id] : nullptr; }
    // What the other hosts of a group tell; null where it has no beacons. Until the next configure().
    const GroupPeers* peers(GroupId id) const { return id < peers_.size() ? peers_[id].get() : nullptr; }
    const Lateness& lateness() const { return lateness_; }
    const HostTally& tally() const { return *tally_; }
    // Refused packets that named no group of ours.
    const DropCounters& dropped() const { return dropped_; }

 private:
    static constexpr GroupId kNoGroup = ~GroupId{0};
    struct Interface {
        LinkStatus link;
        std::array<GroupId, 256> by_vhid;
        Instant stray_check_due = Instant::min();
    };

    // Of an operator's demotion of a group, or of an interface group.
    struct Ending {
        GroupId group;  // kNoGroup: of the interface group
        std::string interface_group, name;
        Instant at;
    };

    void note_lateness(Instant now);
    void set_ending(const Ending& ending);
    void erase_endings(auto which);
    void end_demotions(Instant now, Actions& out);
    InterfaceId interface_id(const std::string& name);
    void resume_demotions(const NodeMemory& memory);
    GroupId take_slot(std::vector<GroupId>& free);
    Receipt receive(Instant now, InterfaceId interface, Bytes bytes, Actions& out);
    Receipt hear_beacon(Instant now, InterfaceId interface, const IpPacket& packet, Actions& out);
    void follow_beacons(Instant now, GroupId id, Actions& out);
    void send_beacon(Instant now, GroupId id, bool leaves, Actions& out);
    std::optional<GroupId> group_of(InterfaceId interface, std::uint8_t vhid) const;
    void set_deadline(GroupId id);
    void remove_group(Instant now, GroupId id, Actions& out);
    void follow_interface_groups(Instant now, GroupId id, Actions& out);
    void form_sets(Instant now, Actions& out);
    // What every input to a group ends with.
    void finish(Instant now, GroupId id, Actions& out, bool at_once = true);
    void follow(Instant now, GroupId id, Actions& out);
    void form_pools(Instant now, Actions& out);
    CarpnodeIndex tell_pool(Instant now, GroupId id);
    void follow_pool(Instant now, GroupId id, Actions& out);
    void hear_stray(Instant now, InterfaceId interface, const IpPacket& packet,
                    const Advertisement& advertisement, Actions& out);
    std::optional<DropReason> hear_flood_probe(Instant now, GroupId id, const IpPacket& packet,
                                               const Advertisement& advertisement, Actions& out);
    void hear_in_pool(Instant now, GroupId id, const IpPacket& packet, const Advertisement& advertisement,
                      Actions& out);
    void count_master(GroupId id, bool is_master);

    Random random_;
    Duration commit_wait_{0};
    int sync_demotion_ = 0;
    GroupConfigs configs_;
    std::vector<std::unique_ptr<VirtualHost>> groups_;       // by GroupId; null where one was removed
    std::vector<InterfaceId> interface_of_;                  // by GroupId
    std::vector<bool> is_master_;                            // by GroupId
    std::size_t masters_ = 0;                                // of them
    std::map<std::string, std::unique_ptr<Together>> sets_;  // by name
    // By interface and leader; and by GroupId, null where it is no carpnode.
    std::map<std::pair<InterfaceId, std::uint8_t>, std::unique_ptr<Balancer>> pools_;
    std::vector<Balancer*> pool_of_;
    std::vector<std::unique_ptr<GroupPeers>> peers_;  // by GroupId; null where it has no beacons
    std::uint64_t host_;                              // by which others know us, for as long as this runs
    std::string host_name_;
    std::vector<std::string> interface_names_;
    std::map<std::string, InterfaceId> interface_ids_;  // by name
    std::deque<Interface> interfaces_;                  // virtual hosts keep a pointer to the link
    std::vector<FailingTrack> failing_;
    // What the operator set, by interface group; a group takes it as "INTERFACE-GROUP:NAME".
    std::map<std::string, DemotionCounter, std::less<>> interface_group_demotions_;
    std::vector<Ending> endings_;  // of those that end by themselves
    Instant next_ending_ = kNever;
    Deadlines deadlines_;
    Lateness lateness_;
    std::unique_ptr<HostTally> tally_ = std::make_unique<HostTally>();  // virtual hosts count into it
    DropCounters dropped_{};
};

}  // namespace carpd
