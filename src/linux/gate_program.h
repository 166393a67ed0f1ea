// The BPF gate in the kernel (bpf/gate.bpf.c) and its maps, as calls. Which groups, addresses and MACs it
// knows is the user's business (linux/gate.h).
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/addresses.h"
#include "base/expected.h"
#include "carp/types.h"
#include "linux/netlink_socket.h"
#include "linux/sys_error.h"

struct bpf_object;
struct gate_lease;
struct gate_pool;
struct gate_slots;

namespace carpd {

// Whose an address or a MAC is: a group's number, or what stands for a pool (linux/gate_maps.h).
using GateOwner = std::uint32_t;

class GateProgram {
 public:
    // Needs CAP_BPF and CAP_NET_ADMIN; nothing later does on kernels since 6.0, unless it says so.
    static Expected<GateProgram, SysError> load();

    // A descriptor of the program for packets of this direction.
    int descriptor(Direction direction) const;
    // How the kernel calls it, whoever loaded it.
    static const char* name(Direction direction);

    // What the next run shall know of an interface if this one is killed: at most GATE_NOTE_SIZE - 1 bytes.
    std::optional<SysError> put_note(int ifindex, const std::string& note);
    // What a gate's program, of whatever run, keeps of an interface. Needs CAP_SYS_ADMIN.
    static std::string note_of(int program, int ifindex);

    // From now on this address, or this MAC, on this interface is the owner's. Too many are an error.
    std::optional<SysError> put_address(int ifindex, const IpAddress& address, GateOwner owner);
    std::optional<SysError> put_mac(int ifindex, const MacAddress& mac, GateOwner owner);
    // Unless somebody else has it meanwhile.
    void remove_address(int ifindex, const IpAddress& address, GateOwner owner);
    void remove_mac(int ifindex, const MacAddress& mac, GateOwner owner);

    // Replaces a pool, then its slots if it has weights: that it settles is known before shares move (rule
    // N8). A packet that is looked at meanwhile, for about a microsecond, may meet a mix, as the kernel
    // copies in place. Each word is one from before or after, so the packet goes to a carpnode that one of
    // both names, or to none where a pool has just got weights. The next packet finds all of it.
    std::optional<SysError> put_pool(GateOwner pool, const gate_pool& value, const gate_slots* slots);
    // So much has come in for it until now.
    void set_traffic(GateOwner pool, const PoolTraffic& traffic);
    void remove_pool(GateOwner pool);

    // What came in for it since it was made.
    PoolTraffic traffic_of(GateOwner pool) const;

    // With which MAC the group's addresses speak, and whether the host is a router for them.
    void set_identity(GroupId group, const MacAddress& mac, bool is_virtual, bool router);
    // The group's packets pass until then: a store into memory that the kernel reads, not a system call. The
    // time 0 closes the gate.
    void set_lease(GroupId group, Instant until);

    static bool has_room_for(GroupId group);

 private:
    struct Close {
        void operator()(bpf_object* object) const;
    };
    struct Unmap {
        void operator()(gate_lease* leases) const;
    };
    GateProgram() = default;
    int map(const char* name) const;

    std::unique_ptr<bpf_object, Close> object_;
    std::unique_ptr<gate_lease[], Unmap> leases_;
    int programs_[2] = {-1, -1};  // by Direction; object_'s
    int addresses_ = -1, nearby_ = -1, macs_ = -1, pools_ = -1, slots_ = -1, traffic_ = -1, notes_ = -1;
};

}  // namespace carpd
