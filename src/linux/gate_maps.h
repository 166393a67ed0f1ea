// What the BPF gate (bpf/gate.bpf.c) and the daemon (linux/gate_program.cc) share: the layout
// of the maps. C, because the gate is.
#pragma once

#include <linux/types.h>

// More than these is an error that says so. A group's number is its place in `leases`.
#define GATE_MAX_GROUPS 16384
#define GATE_MAX_ADDRESSES 65536

enum { GATE_VIRTUAL_MAC = 1, GATE_ROUTER = 2 };

// The array `leases`, by group. The daemon has it in its memory: to renew a lease is to store one number.
struct gate_lease {
    __u64 until;  // CLOCK_BOOTTIME in ns; 0 while the host isn't the group's owner
    __u8 mac[6];  // with which the group speaks
    __u8 flags;
    __u8 unused;
};

// The key of `addresses`; the value is a group.
struct gate_address {
    __u32 ifindex;
    __u8 address[16];  // IPv4 as ::ffff:192.0.2.1
};

// The key of `macs`, for 00:00:5e:00:01:vhid; the value is a group.
struct gate_mac {
    __u32 ifindex;
    __u32 vhid;
};
