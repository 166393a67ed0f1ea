// The BPF gate in the kernel (bpf/gate.bpf.c) and its maps, as calls. Which groups, addresses and MACs it
// knows is the user's business (linux/gate.h).
#pragma once

#include <memory>
#include <optional>

#include "base/addresses.h"
#include "base/expected.h"
#include "carp/types.h"
#include "linux/netlink_socket.h"
#include "linux/sys_error.h"

struct bpf_object;
struct gate_lease;

namespace carpd {

class GateProgram {
 public:
    // Needs CAP_BPF and CAP_NET_ADMIN; nothing later does on kernels since 6.0.
    static Expected<GateProgram, SysError> load();

    // A descriptor of the program for packets of this direction.
    int descriptor(Direction direction) const;

    // From now on this address on this interface is the group's. Too many are an error.
    std::optional<SysError> put_address(int ifindex, const IpAddress& address, GroupId group);
    std::optional<SysError> put_mac(int ifindex, Vhid vhid, GroupId group);
    // Unless another group has it meanwhile.
    void remove_address(int ifindex, const IpAddress& address, GroupId group);
    void remove_mac(int ifindex, Vhid vhid, GroupId group);

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
    int addresses_ = -1, macs_ = -1;
};

}  // namespace carpd
