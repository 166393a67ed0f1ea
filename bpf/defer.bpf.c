// Deferral: of what leaves an interface, the first packets of flows go to a TAP device, from which `carpd: sync`
// reads them, and which sends them on once a peer knows the flow (docs/protocol/sync.md, section 10). It is
// attached by BPF links, which vanish with the process.
//
// Whatever becomes of the process, packets pass: none is diverted unless it reads what was diverted before.
//
// The first of TCP in each direction are those with SYN: a peer must know of the answer, too, before the client's
// next packet comes. Of other protocols it is the first packet of a tuple that wasn't seen leaving
// in either direction.
//
// Left alone are tagged frames (they belong to another interface, which may have the program itself), to
// groups, fragments but the first, ICMP but echoes, IPv6 with extension headers, and advertisements.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "linux/defer_maps.h"

// What stands behind this program decides, such as the gate.
#define PASS TC_ACT_UNSPEC

#define CARP 112
#define TCP_FLAGS 13
#define TCP_SYN 2

#define INLINE static __attribute__((always_inline)) inline

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct defer_state);
} state SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_LRU_HASH);
    __uint(max_entries, DEFER_MAX_SEEN);
    __type(key, struct defer_tuple);
    __type(value, __u8);
} seen SEC(".maps");

// Whether the frame is IPv4 or IPv6 with a protocol of interest; then its addresses and protocol are in `tuple`
// and its place behind the IP header in `offset`.
INLINE int read_ip(struct __sk_buff *skb, struct defer_tuple *tuple, __u32 *offset)
{
    struct ethhdr ethernet;
    if (skb->vlan_present || bpf_skb_load_bytes(skb, 0, &ethernet, sizeof ethernet) || (ethernet.h_dest[0] & 1))
        return 0;
    if (ethernet.h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr ip;
        if (bpf_skb_load_bytes(skb, sizeof ethernet, &ip, sizeof ip) || (ip.frag_off & bpf_htons(0x1fff)))
            return 0;
        tuple->address[0][10] = tuple->address[0][11] = tuple->address[1][10] = tuple->address[1][11] = 0xff;
        __builtin_memcpy(tuple->address[0] + 12, &ip.saddr, 4);
        __builtin_memcpy(tuple->address[1] + 12, &ip.daddr, 4);
        tuple->protocol = ip.protocol;
        *offset = sizeof ethernet + 4 * ip.ihl;
        return 1;
    }
    if (ethernet.h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr ip;
        if (bpf_skb_load_bytes(skb, sizeof ethernet, &ip, sizeof ip))
            return 0;
        __builtin_memcpy(tuple->address[0], &ip.saddr, 16);
        __builtin_memcpy(tuple->address[1], &ip.daddr, 16);
        tuple->protocol = ip.nexthdr;
        *offset = sizeof ethernet + sizeof ip;
        return 1;
    }
    return 0;
}

INLINE int begins_tcp(struct __sk_buff *skb, __u32 offset)
{
    __u8 flags;
    return bpf_skb_load_bytes(skb, offset + TCP_FLAGS, &flags, 1) == 0 && (flags & TCP_SYN);
}

// What stands for ports; false where the packet begins no flow.
INLINE int read_ports(struct __sk_buff *skb, struct defer_tuple *tuple, __u32 offset)
{
    struct {
        __u8 type, code;
        __u16 checksum, id;
    } icmp;
    switch (tuple->protocol) {
    case IPPROTO_UDP:
    case IPPROTO_UDPLITE:
    case IPPROTO_SCTP:
    case IPPROTO_DCCP:
        return bpf_skb_load_bytes(skb, offset, tuple->port, sizeof tuple->port) == 0;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        if (bpf_skb_load_bytes(skb, offset, &icmp, sizeof icmp))
            return 0;
        if (tuple->protocol == IPPROTO_ICMP ? icmp.type != 8 && icmp.type != 0
                                            : icmp.type != 128 && icmp.type != 129)
            return 0;
        tuple->port[0] = tuple->port[1] = icmp.id;
        return 1;
    case IPPROTO_HOPOPTS:
    case IPPROTO_ROUTING:
    case IPPROTO_FRAGMENT:
    case IPPROTO_DSTOPTS:
    case IPPROTO_IGMP:
    case CARP:
        return 0;
    default:
        return 1;
    }
}

INLINE void sort_ends(struct defer_tuple *tuple)
{
    int order = 0;
    for (int i = 0; i < 16; i++)
        if (order == 0)
            order = (int)tuple->address[0][i] - tuple->address[1][i];
    if (order < 0 || (order == 0 && tuple->port[0] <= tuple->port[1]))
        return;
    struct defer_tuple other = *tuple;
    __builtin_memcpy(tuple->address[0], other.address[1], 16);
    __builtin_memcpy(tuple->address[1], other.address[0], 16);
    tuple->port[0] = other.port[1];
    tuple->port[1] = other.port[0];
}

INLINE int is_first(struct __sk_buff *skb)
{
    struct defer_tuple tuple = {};
    __u32 offset = 0;
    if (!read_ip(skb, &tuple, &offset))
        return 0;
    if (tuple.protocol == IPPROTO_TCP)
        return begins_tcp(skb, offset);
    if (!read_ports(skb, &tuple, offset))
        return 0;
    sort_ends(&tuple);
    if (bpf_map_lookup_elem(&seen, &tuple))
        return 0;
    const __u8 yes = 1;
    bpf_map_update_elem(&seen, &tuple, &yes, BPF_ANY);
    return 1;
}

// Others change these on other processors; any value that was there lately will do.
#define LATELY(field) (*(const volatile __typeof__(field) *)&(field))

INLINE int is_read(struct defer_state *s)
{
    const __u64 unread = LATELY(s->diverted) - LATELY(s->read);
    const __u64 now = bpf_ktime_get_ns();
    if (unread == 0) {
        *(volatile __u64 *)&s->waiting_since = now;
        return 1;
    }
    const __u64 since = LATELY(s->waiting_since);
    return unread < DEFER_MOST_UNREAD && (now < since || now - since < DEFER_PATIENCE_NS);
}

// 0: none.
INLINE __u32 tap_of(const struct defer_state *s, __u32 ifindex)
{
    for (int i = 0; i < DEFER_MAX_INTERFACES; i++)
        if (LATELY(s->places[i].ifindex) == ifindex)
            return LATELY(s->places[i].tap);
    return 0;
}

SEC("tc")
int carpd_defer(struct __sk_buff *skb)
{
    const __u32 first = 0;
    struct defer_state *s = bpf_map_lookup_elem(&state, &first);
    if (!s || !LATELY(s->active) || bpf_get_socket_cookie(skb) == LATELY(s->cookie) || !is_first(skb))
        return PASS;
    const __u32 tap = tap_of(s, skb->ifindex);
    if (!tap)
        return PASS;
    if (!is_read(s)) {
        __sync_fetch_and_add(&s->passed, 1);
        return PASS;
    }
    __sync_fetch_and_add(&s->diverted, 1);
    return bpf_redirect(tap, 0);
}

const char defer_license[] SEC("license") = "ISC";
