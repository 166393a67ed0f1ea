// Whether a packet may pass the gate: by the lease of its group, or of the carpnode that it belongs to where
// hosts share an address (docs/protocol/balance.md, rules N1 to N5 and N8).
#pragma once

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "linux/gate_maps.h"

#define INLINE static __attribute__((always_inline)) inline
// With a stack frame of its own: there is little of it.
#define NOINLINE static __attribute__((noinline))

#define IP_OFFSET sizeof(struct ethhdr)
#define ICMP_OFFSET (IP_OFFSET + sizeof(struct ipv6hdr))
#define IP_FRAGMENT 0x3fff  // neither an offset nor more to come

// IPv4's errors, as <linux/icmp.h> names them, which programs for the kernel can't include.
#define ICMP_DEST_UNREACH 3
#define ICMP_SOURCE_QUENCH 4
#define ICMP_REDIRECT 5
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12

#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, GATE_MAX_GROUPS);
    __type(key, __u32);
    __type(value, struct gate_lease);
} leases SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, GATE_MAX_POOLS);
    __type(key, __u32);
    __type(value, struct gate_pool);
} pools SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, GATE_MAX_POOLS);
    __type(key, __u32);
    __type(value, struct gate_slots);
} slots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, GATE_MAX_POOLS);
    __type(key, __u32);
    __type(value, struct gate_traffic);
} traffic SEC(".maps");

// What is to be known of an IP packet in order to say whose it is.
struct flow {
    __u32 hash;  // of its addresses, or of those of the packet that an ICMP error quotes
    __u32 ip;    // where the header with these addresses begins
    __u32 tcp;   // where the TCP header behind it begins; 0: there is none
    __u8 is_ipv6;
    __u8 is_quoted;
    __u8 is_neighbor;  // ARP or neighbour discovery: between hosts of a link, for no client
};

INLINE int is_pool(__u32 owner)
{
    return owner & GATE_POOL ? 1 : 0;
}

INLINE struct gate_lease *lease_of(__u32 group)
{
    return bpf_map_lookup_elem(&leases, &group);
}

// Nothing if it is a group.
INLINE const struct gate_pool *pool_of(__u32 owner)
{
    __u32 number = GATE_POOL_NUMBER(owner);
    const struct gate_pool *pool = is_pool(owner) ? bpf_map_lookup_elem(&pools, &number) : 0;
    return pool && pool->count ? pool : 0;
}

INLINE int lasts_at(const struct gate_lease *lease, __u64 now)
{
    return now < *(const volatile __u64 *)&lease->until;
}

INLINE int lasts(const struct gate_lease *lease)
{
    return lasts_at(lease, bpf_ktime_get_boot_ns());
}

INLINE int is_virtual(const struct gate_lease *lease)
{
    return lease->flags & GATE_VIRTUAL_MAC;
}

INLINE int is_settling(const struct gate_pool *pool)
{
    return pool->settling_until && bpf_ktime_get_boot_ns() < pool->settling_until;
}

INLINE void count(struct __sk_buff *skb, __u32 owner, int is_admitted)
{
    __u32 number = GATE_POOL_NUMBER(owner);
    struct gate_traffic *counted = bpf_map_lookup_elem(&traffic, &number);
    const __u32 packets = skb->gso_segs ? skb->gso_segs : 1;
    if (!counted)
        return;
    if (!is_admitted) {
        counted->of_others += packets;
        return;
    }
    counted->packets += packets;
    counted->bytes += skb->len;
}

// Reads what is most often in the linear part of a packet: a call would cost more than all that is done with it.
// What the compiler doesn't know to be aligned it reads byte by byte.
INLINE int read_head(struct __sk_buff *skb, __u32 offset, void *to, __u32 size)
{
    const void *begin = (const void *)(long)skb->data, *end = (const void *)(long)skb->data_end;
    if (begin + offset + size > end)
        return bpf_skb_load_bytes(skb, offset, to, size);
    if (offset)  // an IP header, or something behind it
        __builtin_memcpy(to, __builtin_assume_aligned(begin + offset, 4), size);
    else
        __builtin_memcpy(to, __builtin_assume_aligned(begin, 2), size);
    return 0;
}

// MurmurHash3's finalizer.
INLINE __u32 mix(__u32 h)
{
    h ^= h >> 16;
    h *= 0x85ebca6b;
    h ^= h >> 13;
    h *= 0xc2b2ae35;
    return h ^ (h >> 16);
}

#define JENKINS(first, second, third) \
    (a = (a - b - c) ^ (c >> first), b = (b - c - a) ^ (a << second), c = (c - a - b) ^ (b >> third))

INLINE __u32 arp_hash(const struct gate_pool *pool, const __u8 *mac)
{
    __u32 a = 0x9e3779b9 + ((__u32)mac[3] << 24 | mac[2] << 16 | mac[1] << 8 | mac[0]);
    __u32 b = pool->arp_b + ((__u32)mac[5] << 8) + mac[4];
    __u32 c = pool->arp_c;
    JENKINS(13, 8, 13);
    JENKINS(12, 16, 5);
    JENKINS(3, 10, 15);
    return c;
}

INLINE __u32 weighted_arp_hash(const __u8 *mac)
{
    return ((__u32)mac[0] << 24 | mac[1] << 16 | mac[2] << 8 | mac[3]) ^ ((__u32)mac[4] << 24 | mac[5] << 16);
}

// The group of the carpnode with this hash.
INLINE __u32 group_by_hash(const struct gate_pool *pool, __u32 owner, __u32 bsd, __u32 weighted)
{
    if (!(pool->flags & GATE_WEIGHTED))
        return pool->groups[bsd % pool->count % GATE_CARPNODES];
    __u32 number = GATE_POOL_NUMBER(owner);
    const struct gate_slots *found = bpf_map_lookup_elem(&slots, &number);
    return found ? pool->groups[found->places[mix(weighted) % GATE_SLOTS] % GATE_CARPNODES] : GATE_NOBODY;
}

INLINE __u32 group_by_mac(const struct gate_pool *pool, __u32 owner, const __u8 *mac)
{
    return group_by_hash(pool, owner, arp_hash(pool, mac), weighted_arp_hash(mac));
}

// This group if its lease lasts, else the first of its pool whose lease does, else GATE_NOBODY.
NOINLINE __u32 first_that_lasts(const struct gate_pool *pool, __u32 preferred)
{
    const __u64 now = bpf_ktime_get_boot_ns();
    const struct gate_lease *lease = lease_of(preferred);
    if (lease && lasts_at(lease, now))
        return preferred;
    for (int place = 0; place < GATE_CARPNODES && place < pool->count; place++) {
        lease = lease_of(pool->groups[place]);
        if (lease && lasts_at(lease, now))
            return pool->groups[place];
    }
    return GATE_NOBODY;
}

INLINE void flow_behind_ipv4(const struct iphdr *ip, __u32 offset, struct flow *flow)
{
    flow->hash = bpf_ntohl(ip->saddr ^ ip->daddr);
    flow->ip = offset;
    flow->tcp =
        ip->protocol == IPPROTO_TCP && !(ip->frag_off & bpf_htons(IP_FRAGMENT)) ? offset + 4 * ip->ihl : 0;
}

// An error belongs to the flow that it quotes.
NOINLINE void quoted_flow_of_ipv4(struct __sk_buff *skb, __u32 offset, struct flow *flow)
{
    struct {
        __u8 type, code;
        __be16 checksum;
        __be32 rest;
        struct iphdr quote;
    } error;
    if (bpf_skb_load_bytes(skb, offset, &error, sizeof error))
        return;
    switch (error.type) {
    case ICMP_DEST_UNREACH:
    case ICMP_SOURCE_QUENCH:
    case ICMP_REDIRECT:
    case ICMP_TIME_EXCEEDED:
    case ICMP_PARAMETERPROB:
        flow_behind_ipv4(&error.quote, offset + __builtin_offsetof(typeof(error), quote), flow);
        flow->is_quoted = 1;
    }
}

INLINE void flow_of_ipv4(struct __sk_buff *skb, const struct iphdr *ip, struct flow *flow)
{
    flow_behind_ipv4(ip, IP_OFFSET, flow);
    if (ip->protocol == IPPROTO_ICMP && !(ip->frag_off & bpf_htons(IP_FRAGMENT)))
        quoted_flow_of_ipv4(skb, IP_OFFSET + 4 * ip->ihl, flow);
}

INLINE void flow_behind_ipv6(const struct ipv6hdr *ip, __u32 offset, struct flow *flow)
{
    __be32 words = 0;
    for (int i = 0; i < 4; i++)
        words ^= ip->saddr.s6_addr32[i] ^ ip->daddr.s6_addr32[i];
    flow->hash = bpf_ntohl(words);
    flow->ip = offset;
    flow->tcp = ip->nexthdr == IPPROTO_TCP ? offset + sizeof *ip : 0;
}

NOINLINE void flow_of_icmpv6(struct __sk_buff *skb, __u8 hop_limit, struct flow *flow)
{
    struct {
        struct icmp6hdr icmp;
        struct ipv6hdr quote;
    } error;
    if (bpf_skb_load_bytes(skb, ICMP_OFFSET, &error.icmp, sizeof error.icmp))
        return;
    const __u8 type = error.icmp.icmp6_type;
    // Router and neighbour solicitations and advertisements, redirects.
    flow->is_neighbor = type >= 133 && type <= 137 && hop_limit == 255;
    if (type < ICMPV6_DEST_UNREACH || type > ICMPV6_PARAMPROB ||
        bpf_skb_load_bytes(skb, ICMP_OFFSET, &error, sizeof error))
        return;
    flow_behind_ipv6(&error.quote, ICMP_OFFSET + sizeof error.icmp, flow);
    flow->is_quoted = 1;
}

INLINE void flow_of_ipv6(struct __sk_buff *skb, const struct ipv6hdr *ip, struct flow *flow)
{
    flow->is_ipv6 = 1;
    flow_behind_ipv6(ip, IP_OFFSET, flow);
    if (ip->nexthdr == IPPROTO_ICMPV6)
        flow_of_icmpv6(skb, ip->hop_limit, flow);
}

INLINE __u8 tcp_flags(struct __sk_buff *skb, const struct flow *flow)
{
    __u8 flags = 0;
    if (flow->tcp && !flow->is_quoted)
        bpf_skb_load_bytes(skb, flow->tcp + 13, &flags, sizeof flags);
    return flags & (TCP_SYN | TCP_RST | TCP_ACK);
}

INLINE int is_connected(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 size)
{
    struct bpf_sock *socket = bpf_skc_lookup_tcp(skb, tuple, size, BPF_F_CURRENT_NETNS, 0);
    if (!socket)
        return 0;
    const int listens = socket->state == BPF_TCP_LISTEN;
    bpf_sk_release(socket);
    return !listens;
}

#define SWAP(a, b)      \
    do {                \
        __u32 kept = a; \
        a = b;          \
        b = kept;       \
    } while (0)

// Whether a TCP connection of this host has to do with what comes in.
NOINLINE int is_of_connection(struct __sk_buff *skb, const struct flow *flow)
{
    struct bpf_sock_tuple tuple = {};
    if (!flow->tcp || (tcp_flags(skb, flow) & (TCP_SYN | TCP_ACK)) == TCP_SYN)
        return 0;
    if (flow->is_ipv6) {
        if (bpf_skb_load_bytes(skb, flow->ip + __builtin_offsetof(struct ipv6hdr, saddr), &tuple.ipv6, 32) ||
            bpf_skb_load_bytes(skb, flow->tcp, &tuple.ipv6.sport, 4))
            return 0;
        if (flow->is_quoted) {
            for (int i = 0; i < 4; i++)
                SWAP(tuple.ipv6.saddr[i], tuple.ipv6.daddr[i]);
            SWAP(tuple.ipv6.sport, tuple.ipv6.dport);
        }
        return is_connected(skb, &tuple, sizeof tuple.ipv6);
    }
    if (bpf_skb_load_bytes(skb, flow->ip + __builtin_offsetof(struct iphdr, saddr), &tuple.ipv4, 8) ||
        bpf_skb_load_bytes(skb, flow->tcp, &tuple.ipv4.sport, 4))
        return 0;
    if (flow->is_quoted) {
        SWAP(tuple.ipv4.saddr, tuple.ipv4.daddr);
        SWAP(tuple.ipv4.sport, tuple.ipv4.dport);
    }
    return is_connected(skb, &tuple, sizeof tuple.ipv4);
}

// Whether a packet was one for this host until its pool's shares changed just now (rule N7).
NOINLINE int is_handed_over(const struct gate_pool *pool, __u32 owner, const struct flow *flow)
{
    __u32 number = GATE_POOL_NUMBER(owner);
    const __u64 now = bpf_ktime_get_boot_ns();
    const struct gate_slots *found = bpf_map_lookup_elem(&slots, &number);
    if (!found || flow->is_neighbor || now >= pool->hand_over_until)
        return 0;
    const __u32 place = found->places_before[mix(flow->hash) % GATE_SLOTS];
    const struct gate_lease *lease = lease_of(pool->groups[place % GATE_CARPNODES]);
    return lease && lasts_at(lease, now);
}

// The group whose lease counts for a packet to what the pool owns.
INLINE __u32 group_for(const struct gate_pool *pool, __u32 owner, const struct flow *flow)
{
    const __u32 carpnode = owner >> 16 & 0xff;
    if (carpnode)
        return pool->groups[(carpnode - 1) % GATE_CARPNODES];
    if (flow->is_neighbor || pool->flags & GATE_BY_ARP)
        return first_that_lasts(pool, GATE_NOBODY);
    return group_by_hash(pool, owner, flow->hash, flow->hash);
}

// Whether a packet to what this owner owns, which is a pool or a group, may come in.
INLINE int admits(struct __sk_buff *skb, __u32 owner, const struct gate_pool *pool, const struct flow *flow)
{
    if (is_pool(owner) && !pool)
        return 0;
    const struct gate_lease *lease = lease_of(pool ? group_for(pool, owner, flow) : owner);
    const int is_owned = lease && lasts(lease);
    if (!pool)
        return is_owned;
    const int is_admitted =
        is_owned || (is_settling(pool) && (is_handed_over(pool, owner, flow) || is_of_connection(skb, flow)));
    if (!flow->is_neighbor)
        count(skb, owner, is_admitted);
    return is_admitted;
}

// Whether a packet may leave from an address of a pool that balances by IP.
INLINE int lets_out(struct __sk_buff *skb, const struct gate_pool *pool, __u32 owner, const struct flow *flow)
{
    if (is_settling(pool) && !flow->is_neighbor)
        return (tcp_flags(skb, flow) & (TCP_RST | TCP_ACK)) != TCP_RST;
    const __u32 group = group_for(pool, owner, flow);
    const struct gate_lease *lease = lease_of(group);
    return lease && lasts(lease);
}
