// Where the gate's programs stand at interfaces: at tcx (Linux 6.6), which costs a packet the least, or else
// as filters of the qdisc clsact. Only this knows the two ways. In either the programs outlive the process;
// links of BPF programs would be tidier, but vanish with it, and with them the gate. So a killed run leaves
// them, closed, and the next one removes them (remove_leftovers), whichever way they stand.
//
// At tcx they are called carpd_gate_in and carpd_gate_out, and stand before those of others, but behind
// carpd_defer (bpf/defer.bpf.c). To see whose a program is takes CAP_SYS_ADMIN, so without it, it is clsact.
//
// At clsact they have the priority 112 and a name that begins with "carpd:". Others' filters on the same
// qdisc stay; those with a smaller priority, and all programs at tcx, see packets first.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "linux/gate_program.h"
#include "linux/netlink_socket.h"

namespace carpd {

// In the network namespace of `netlink`, which the calling thread must be in.
class GateHooks {
 public:
    enum class Way : std::uint8_t { tcx, clsact };

    // `netlink` and the program of the calls outlive it.
    explicit GateHooks(Netlink& netlink) : netlink_(&netlink) {}

    // Tries at lo which way works, from `best` on.
    std::optional<SysError> open(GateProgram& program, Way best);

    // From now on attach() and detach() only count, because another process's programs stand at the
    // interfaces; until take_their_place().
    void hold_back() { holds_back_ = true; }
    // Puts the programs in their place, so that no packet meets none or both.
    std::optional<SysError> take_their_place(GateProgram& program);
    // What is kept with the programs of whatever run that stand at the interface, if any do; and how they
    // stand.
    struct Standing {
        Way way;
        std::string note;
    };
    static std::optional<Standing> find(Netlink& netlink, int ifindex);

    // Counted: the programs stand at the interface until it is detached as often. `note` is kept with them
    // for the next run. After an error it isn't attached.
    std::optional<SysError> attach(GateProgram& program, int ifindex, const std::string& note);
    void detach(int ifindex);

    // Puts the programs back where somebody removed them; returns whether that was necessary.
    bool renew(GateProgram& program, int ifindex);
    // Whether somebody removed them, where the kernel tells nobody (tcx).
    bool is_robbed(int ifindex) const;

    // Whatever any run left at an interface. Returns its note, or nothing if there was nothing.
    static std::optional<std::string> remove_leftovers(Netlink& netlink, int ifindex);

 private:
    struct Hook {
        int users = 0;
        bool made_clsact = false;
        std::string note;
    };
    std::optional<SysError> put(GateProgram& program, int ifindex, Hook& hook);
    std::optional<SysError> put_filters(const GateProgram& program, int ifindex, Hook& hook);

    Netlink* netlink_;
    bool holds_back_ = false;
    Way way_ = Way::tcx;
    std::map<int, Hook> hooks_;  // by ifindex
};

}  // namespace carpd
