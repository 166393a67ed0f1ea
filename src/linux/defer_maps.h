// What the BPF program of deferral (bpf/defer.bpf.c) and `carpd: sync` (linux/deferred_frames.cc) share: the
// layout of the maps. C, because the program is.
#pragma once

#include <linux/types.h>

// What the kernel calls the program. It stands before all others at an interface's tcx.
#define DEFER_PROGRAM "carpd_defer"

#define DEFER_MAX_INTERFACES 16
#define DEFER_MAX_SEEN 65536
// So many frames may wait for the process to read them; what is beyond isn't diverted. A TAP device holds
// 1000.
#define DEFER_MOST_UNREAD 512
// If the process has read none for so long although some wait, nothing is diverted: it hangs or is dead.
#define DEFER_PATIENCE_NS 20000000ULL

// An interface, and the TAP device to which its frames are diverted. 0: none.
struct defer_place {
    __u32 ifindex, tap;
};

// The only element of the array `state`, which the process has in its memory.
struct defer_state {
    __u64 diverted;       // frames, by the program
    __u64 read;           // of them, by the process, or given up
    __u64 waiting_since;  // CLOCK_MONOTONIC in ns; until then none waited, or some were read
    __u64 passed;         // frames that weren't diverted because too many waited, or for too long
    __u64 cookie;         // of the socket by which the process sends them on
    __u32 active;         // whether any is to be diverted
    __u32 unused;
    struct defer_place places[DEFER_MAX_INTERFACES];
};

// The key of `seen`, of a tuple: the end with the lower address, or port, comes first, so that it stands for
// both directions.
struct defer_tuple {
    __u8 address[2][16];  // IPv4 as ::ffff:192.0.2.1
    __u16 port[2];        // network order; of an echo twice its id, of a protocol without ports 0
    __u8 protocol;
    __u8 unused[3];
};
