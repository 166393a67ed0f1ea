// What the BPF gate (bpf/gate.bpf.c) and the daemon (linux/gate_program.cc) share: the layout
// of the maps. C, because the gate is.
#pragma once

#include <linux/types.h>

// More than these is an error that says so. A group's number is its place in `leases`.
#define GATE_MAX_GROUPS 16384
#define GATE_MAX_ADDRESSES 65536
#define GATE_MAX_POOLS 512

// Who owns an address or a MAC: a group's number, or this bit and a pool's number. Of a carpnode's own MAC
// (ARP balancing) also its place in the pool.
#define GATE_POOL 0x80000000
#define GATE_POOL_NUMBER(owner) ((owner)&0xffff)
#define GATE_CARPNODE(place) (((place) + 1) << 16)
#define GATE_WITHOUT_CARPNODE(owner) ((owner)&0x8000ffff)
#define GATE_NOBODY 0x7fffffff

#define GATE_CARPNODES 32
#define GATE_SLOTS 4096

enum { GATE_VIRTUAL_MAC = 1, GATE_ROUTER = 2 };

// The array `leases`, by group. The daemon has it in its memory: to renew a lease is to store one number.
struct gate_lease {
    __u64 until;  // CLOCK_BOOTTIME in ns; 0 while the host isn't the group's owner
    __u8 mac[6];  // with which the group speaks
    __u8 flags;
    __u8 unused;
};

// The key of `addresses`; the value is an owner.
struct gate_address {
    __u32 ifindex;
    __u8 address[16];  // IPv4 as ::ffff:192.0.2.1
};

// The array `nearby`: where most addresses are found, for to look into a hash costs a packet several calls.
// Each has one place there; who comes to a taken one is found in `addresses` only.
#define GATE_NEARBY 1024
#define GATE_PLACE(key) ((((key)->address[14] << 8 | (key)->address[15]) ^ (key)->ifindex) % GATE_NEARBY)
struct gate_nearby {
    struct gate_address key;  // ifindex 0: free
    __u32 owner;
};

// The key of `macs`, for 00:00:5e:00:01:vhid, and 01:00:5e:00:01:vhid with the bit 0x100 in `vhid`; the value
// is an owner.
#define GATE_MULTICAST 0x100
struct gate_mac {
    __u32 ifindex;
    __u32 vhid;
};

// GATE_HIDES_MAC: its MAC is no frame's source.
enum { GATE_BY_ARP = 1, GATE_WEIGHTED = 2, GATE_HIDES_MAC = 4 };

// The array `pools`, by number: what the carpnodes of a pool have in common (docs/protocol/balance.md).
struct gate_pool {
    __u64 settling_until;          // CLOCK_BOOTTIME in ns; 0: it doesn't settle (rule N8)
    __u64 hand_over_until;         // likewise; until then the slots of before count, too (rule N7)
    __u32 groups[GATE_CARPNODES];  // of the carpnodes; GATE_NOBODY: not here
    __u32 arp_b, arp_c;            // of the key (rule N2)
    __u8 count, flags;             // of carpnodes; 0: no such pool
    __u8 mac[6];                   // that ARP and ND say; 0 in ARP balancing
};

// The value of `slots`, by pool number, of pools with weights: places of carpnodes (rule N3).
struct gate_slots {
    __u8 places[GATE_SLOTS], places_before[GATE_SLOTS];
};

// The value of `traffic`, by pool number: what came in for carpnodes of this host and for others'. What came
// to the host's own MAC in ARP balancing is this host's.
struct gate_traffic {
    __u64 packets, bytes, of_others;
};

// The value of `notes`, by ifindex: text for the next run. The programs only keep it.
#define GATE_NOTE_SIZE 64
struct gate_note {
    char text[GATE_NOTE_SIZE];
};

// More than a program of the gate has.
#define GATE_MAX_MAPS 16
