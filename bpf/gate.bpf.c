// The gate: lets a group's addresses and virtual MAC in and out of an interface only while the host's lease
// of the group lasts (docs/protocol/carp.md, section 10), whatever became of the daemon. Its two programs stand
// at the interface's tcx or are tc filters (linux/gate_hooks.h), so they outlive the process that put them there.
//
// While the lease lasts it also makes the virtual MAC work without a device of its own: it answers ARP and
// neighbour solicitations with it, takes in frames addressed to it and puts it on what the addresses send.
//
// Advertisements (protocol 112) pass always: the first one goes out before the lease begins, and it is up to
// the daemon whether it sends any. So do tagged frames, which belong to another interface.
//
// Frames are written by helpers, never in place: headers may lie outside the linear part.
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>

#include "gate_owners.h"

// What stands behind this program decides what becomes of the packet.
#define PASS TC_ACT_UNSPEC
#define DROP TC_ACT_SHOT

#define CARP 112
#define ARP_REQUEST 1
#define ARP_REPLY 2
#define NEIGHBOR_SOLICITATION 135
#define NEIGHBOR_ADVERTISEMENT 136
#define SOURCE_MAC 1  // options
#define TARGET_MAC 2
#define NA_ROUTER 0x80000000
#define NA_SOLICITED 0x40000000
#define NA_OVERRIDE 0x20000000

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, GATE_MAX_ADDRESSES);
    __type(key, struct gate_address);
    __type(value, __u32);
} addresses SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(max_entries, GATE_NEARBY);
    __type(key, __u32);
    __type(value, struct gate_nearby);
} nearby SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, GATE_MAX_GROUPS);
    __type(key, struct gate_mac);
    __type(value, __u32);
} macs SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, GATE_MAX_GROUPS);
    __type(key, __u32);
    __type(value, struct gate_note);
} notes SEC(".maps");

struct arp_ipv4 {
    __be16 hardware, protocol;
    __u8 hardware_size, protocol_size;
    __be16 operation;
    __u8 sender_mac[6], sender[4], target_mac[6], target[4];
};

struct solicitation {
    __u8 type, code;
    __be16 checksum;
    __be32 reserved;
    struct in6_addr target;
};

// A neighbour solicitation or advertisement with one option, the link-layer address.
struct neighbor {
    __u8 type, code;
    __sum16 checksum;
    __be32 flags;
    struct in6_addr target;
    __u8 option, option_units, mac[6];
};

// What the checksum covers besides the message (RFC 8200, section 8.1).
struct pseudo_header {
    struct in6_addr source, destination;
    __be32 size, next_header;
};

// How an address speaks.
struct voice {
    __u8 source[6];   // of its frames
    __u8 said[6];     // in ARP and neighbour discovery
    __u8 is_virtual;  // the source isn't the interface's own MAC
    __u8 is_router;
};

INLINE int same_key(const struct gate_address *a, const struct gate_address *b)
{
    __u32 x[5], y[5];
    __builtin_memcpy(x, a, sizeof x);
    __builtin_memcpy(y, b, sizeof y);
    return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

INLINE __u32 owner_of_address(const struct gate_address *key)
{
    __u32 place = GATE_PLACE(key);
    const struct gate_nearby *near = bpf_map_lookup_elem(&nearby, &place);
    if (near && same_key(&near->key, key))
        return near->owner;
    const __u32 *owner = bpf_map_lookup_elem(&addresses, key);
    return owner ? *owner : GATE_NOBODY;
}

INLINE __u32 owner_of_ipv4(__u32 ifindex, const void *address)
{
    struct gate_address key = {.ifindex = ifindex, .address = {[10] = 0xff, [11] = 0xff}};
    __builtin_memcpy(key.address + 12, address, 4);
    return owner_of_address(&key);
}

INLINE __u32 owner_of_ipv6(__u32 ifindex, const void *address)
{
    struct gate_address key = {.ifindex = ifindex};
    __builtin_memcpy(key.address, address, 16);
    return owner_of_address(&key);
}

INLINE __u32 owner_of_mac(__u32 ifindex, const __u8 *mac)
{
    if (mac[0] > 1 || mac[1] != 0 || mac[2] != 0x5e || mac[3] != 0 || mac[4] != 1)
        return GATE_NOBODY;
    struct gate_mac key = {.ifindex = ifindex, .vhid = mac[5] | (mac[0] ? GATE_MULTICAST : 0)};
    const __u32 *owner = bpf_map_lookup_elem(&macs, &key);
    return owner ? *owner : GATE_NOBODY;
}

INLINE int same_bytes(const __u8 *a, const __u8 *b, int size)
{
    __u8 difference = 0;
    for (int i = 0; i < size; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

// Of MACs that stand at multiples of 2.
INLINE int same_mac(const __u8 *a, const __u8 *b)
{
    __u16 x[3], y[3];
    __builtin_memcpy(x, __builtin_assume_aligned(a, 2), sizeof x);
    __builtin_memcpy(y, __builtin_assume_aligned(b, 2), sizeof y);
    return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]));
}

INLINE __sum16 fold(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__sum16)~sum;
}

INLINE int read_ethernet(struct __sk_buff *skb, struct ethhdr *ethernet)
{
    return !skb->vlan_present && read_head(skb, 0, ethernet, sizeof *ethernet) == 0 &&
           ethernet->h_proto != bpf_htons(ETH_P_8021Q) && ethernet->h_proto != bpf_htons(ETH_P_8021AD);
}

INLINE int read_arp(struct __sk_buff *skb, struct arp_ipv4 *arp)
{
    return read_head(skb, IP_OFFSET, arp, sizeof *arp) == 0 && arp->protocol == bpf_htons(ETH_P_IP) &&
           arp->hardware_size == 6 && arp->protocol_size == 4;
}

INLINE void speak_with(const struct gate_lease *lease, const __u8 *said, struct voice *voice)
{
    __builtin_memcpy(voice->source, lease->mac, 6);
    __builtin_memcpy(voice->said, said, 6);
    voice->is_virtual = is_virtual(lease) ? 1 : 0;
    voice->is_router = lease->flags & GATE_ROUTER ? 1 : 0;
}

// With which voice who asks for what this owner owns is answered (rule N5). Returns whether it is, by this
// host.
NOINLINE int answers(__u32 owner, const __u8 *asker, struct voice *voice)
{
    const struct gate_pool *pool = pool_of(owner);
    if (is_pool(owner) && !pool)
        return 0;
    const __u32 group = !pool                       ? owner
                        : pool->flags & GATE_BY_ARP ? group_by_mac(pool, owner, asker)
                                                    : pool->groups[0];
    const struct gate_lease *lease = lease_of(group);
    if (!lease || !lasts(lease))
        return 0;
    speak_with(lease, pool && !(pool->flags & GATE_BY_ARP) ? pool->mac : lease->mac, voice);
    return 1;
}

// The frame has become an answer: `payload` behind an Ethernet header. It leaves through the interface that
// it came by.
INLINE int answer(struct __sk_buff *skb, const struct voice *voice, struct ethhdr *ethernet,
                  const __u8 *destination, const void *payload, __u32 size)
{
    __builtin_memcpy(ethernet->h_dest, destination, 6);
    __builtin_memcpy(ethernet->h_source, voice->source, 6);
    // A checksum that the card made covers what stands behind the Ethernet header.
    if (bpf_skb_store_bytes(skb, 0, ethernet, sizeof *ethernet, 0) ||
        bpf_skb_store_bytes(skb, IP_OFFSET, payload, size, BPF_F_RECOMPUTE_CSUM))
        return DROP;
    return bpf_redirect(skb->ifindex, 0);
}

NOINLINE int arp_comes_in(struct __sk_buff *skb, struct ethhdr *ethernet)
{
    struct arp_ipv4 arp;
    struct voice voice;
    if (!read_arp(skb, &arp) || arp.operation != bpf_htons(ARP_REQUEST))
        return PASS;
    const __u32 owner = owner_of_ipv4(skb->ifindex, arp.target);
    // A new master's announcement, which our own table should follow.
    if (owner == GATE_NOBODY || same_bytes(arp.sender, arp.target, 4))
        return PASS;
    if (!answers(owner, arp.sender_mac, &voice))
        return DROP;
    if (!voice.is_virtual && !is_pool(owner))
        return PASS;
    struct arp_ipv4 reply = arp;
    reply.operation = bpf_htons(ARP_REPLY);
    __builtin_memcpy(reply.sender_mac, voice.said, 6);
    __builtin_memcpy(reply.sender, arp.target, 4);
    __builtin_memcpy(reply.target_mac, arp.sender_mac, 6);
    __builtin_memcpy(reply.target, arp.sender, 4);
    return answer(skb, &voice, ethernet, arp.sender_mac, &reply, sizeof reply);
}

NOINLINE int answer_solicitation(struct __sk_buff *skb, struct ethhdr *ethernet, const struct ipv6hdr *ip,
                                 const struct voice *voice, const struct in6_addr *target)
{
    struct {
        struct ipv6hdr ip;
        struct neighbor advertisement;
    } reply = {};
    struct neighbor *na = &reply.advertisement;
    // From nobody: duplicate address detection, which is answered to all.
    const int detects_duplicates =
        !(ip->saddr.s6_addr32[0] | ip->saddr.s6_addr32[1] | ip->saddr.s6_addr32[2] | ip->saddr.s6_addr32[3]);
    na->type = NEIGHBOR_ADVERTISEMENT;
    na->flags =
        bpf_htonl(NA_OVERRIDE | (voice->is_router ? NA_ROUTER : 0) | (detects_duplicates ? 0 : NA_SOLICITED));
    na->target = *target;
    na->option = TARGET_MAC;
    na->option_units = 1;
    __builtin_memcpy(na->mac, voice->said, 6);

    reply.ip.version = 6;
    reply.ip.payload_len = bpf_htons(sizeof *na);
    reply.ip.nexthdr = IPPROTO_ICMPV6;
    reply.ip.hop_limit = 255;
    reply.ip.saddr = *target;
    __u8 destination[6];
    if (detects_duplicates) {  // ff02::1
        reply.ip.daddr.s6_addr[0] = 0xff;
        reply.ip.daddr.s6_addr[1] = 0x02;
        reply.ip.daddr.s6_addr[15] = 0x01;
        destination[0] = destination[1] = 0x33;
        destination[2] = destination[3] = destination[4] = 0;
        destination[5] = 0x01;
    } else {
        reply.ip.daddr = ip->saddr;
        __builtin_memcpy(destination, ethernet->h_source, 6);
    }

    struct pseudo_header pseudo = {reply.ip.saddr, reply.ip.daddr, bpf_htonl(sizeof *na),
                                   bpf_htonl(IPPROTO_ICMPV6)};
    __s64 sum = bpf_csum_diff(0, 0, (__be32 *)&pseudo, sizeof pseudo, 0);
    na->checksum = fold(bpf_csum_diff(0, 0, (__be32 *)na, sizeof *na, sum));

    if (bpf_skb_change_tail(skb, IP_OFFSET + sizeof reply, 0))
        return DROP;
    return answer(skb, voice, ethernet, destination, &reply, sizeof reply);
}

// The link-layer address of who solicits: what it says of itself, or else the frame's source (rule N2).
INLINE void read_asker(struct __sk_buff *skb, const struct ethhdr *ethernet, __u8 *asker)
{
    struct {
        __u8 type, units, mac[6];
    } option;
    __u32 offset = ICMP_OFFSET + sizeof(struct solicitation);
    __builtin_memcpy(asker, ethernet->h_source, 6);
    // Others, of which there is one (a nonce), may come first.
    for (int i = 0; i < 3; i++) {
        if (bpf_skb_load_bytes(skb, offset, &option, sizeof option))
            return;
        if (option.type == SOURCE_MAC && option.units == 1) {
            __builtin_memcpy(asker, option.mac, 6);
            return;
        }
        offset += 8 * option.units;
    }
}

// A solicitation for what this owner owns.
NOINLINE int solicitation_comes_in(struct __sk_buff *skb, struct ethhdr *ethernet, const struct ipv6hdr *ip,
                                   __u32 owner, const struct in6_addr *target)
{
    struct voice voice;
    __u8 asker[6];
    read_asker(skb, ethernet, asker);
    if (!answers(owner, asker, &voice))
        return DROP;
    if (!voice.is_virtual && !is_pool(owner))
        return PASS;
    return answer_solicitation(skb, ethernet, ip, &voice, target);
}

// To the kernel it is a stranger's, or for many hosts.
INLINE void take_in(struct __sk_buff *skb, __u32 at_mac)
{
    if (at_mac != GATE_NOBODY && skb->pkt_type != PACKET_HOST)
        bpf_skb_change_type(skb, PACKET_HOST);
}

// To whom a packet is, by its address and by its frame's.
struct destination {
    __u32 at_address, at_mac;
    const struct gate_pool *address_pool, *mac_pool;
};

INLINE void find_destination(struct __sk_buff *skb, const struct ethhdr *ethernet, __u32 at_address,
                             struct destination *to)
{
    to->at_mac = to->at_address = at_address;
    to->mac_pool = to->address_pool = pool_of(at_address);
    // Most often both are the pool's.
    if (to->address_pool && same_mac(ethernet->h_dest, to->address_pool->mac))
        return;
    to->at_mac = owner_of_mac(skb->ifindex, ethernet->h_dest);
    to->mac_pool = pool_of(to->at_mac);
}

INLINE int ip_comes_in(struct __sk_buff *skb, const struct destination *to, const struct flow *flow)
{
    if (to->at_mac != GATE_NOBODY && !admits(skb, to->at_mac, to->mac_pool, flow))
        return DROP;
    if (to->at_address != GATE_NOBODY && to->at_address != GATE_WITHOUT_CARPNODE(to->at_mac) &&
        !admits(skb, to->at_address, to->address_pool, flow))
        return DROP;
    take_in(skb, to->at_mac);
    return PASS;
}

INLINE int ipv4_comes_in(struct __sk_buff *skb, const struct ethhdr *ethernet)
{
    struct iphdr ip;
    struct destination to;
    struct flow flow = {};
    if (read_head(skb, IP_OFFSET, &ip, sizeof ip) || ip.protocol == CARP)
        return PASS;
    // To an IP group that has the same Ethernet address as the pool, such as the pool's own (IGMP).
    if (ethernet->h_dest[0] & 1 && (ip.daddr & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000))
        return PASS;
    find_destination(skb, ethernet, owner_of_ipv4(skb->ifindex, &ip.daddr), &to);
    if (is_pool(to.at_address | to.at_mac))
        flow_of_ipv4(skb, &ip, &flow);
    return ip_comes_in(skb, &to, &flow);
}

NOINLINE int ipv6_comes_in(struct __sk_buff *skb, struct ethhdr *ethernet)
{
    struct ipv6hdr ip;
    struct destination to;
    struct flow flow = {};
    if (read_head(skb, IP_OFFSET, &ip, sizeof ip) || ip.nexthdr == CARP)
        return PASS;
    struct solicitation ns;
    if (ip.nexthdr == IPPROTO_ICMPV6 && ip.hop_limit == 255 && read_head(skb, ICMP_OFFSET, &ns, sizeof ns) == 0 &&
        ns.type == NEIGHBOR_SOLICITATION && ns.code == 0) {
        const __u32 owner = owner_of_ipv6(skb->ifindex, &ns.target);
        if (owner != GATE_NOBODY)
            return solicitation_comes_in(skb, ethernet, &ip, owner, &ns.target);
    }
    find_destination(skb, ethernet, owner_of_ipv6(skb->ifindex, &ip.daddr), &to);
    if (is_pool(to.at_address | to.at_mac))
        flow_of_ipv6(skb, &ip, &flow);
    return ip_comes_in(skb, &to, &flow);
}

INLINE int other_comes_in(struct __sk_buff *skb, struct ethhdr *ethernet)
{
    const struct flow none = {.is_neighbor = 1};
    const __u32 at_mac = owner_of_mac(skb->ifindex, ethernet->h_dest);
    if (at_mac != GATE_NOBODY && !admits(skb, at_mac, pool_of(at_mac), &none))
        return DROP;
    take_in(skb, at_mac);
    return ethernet->h_proto == bpf_htons(ETH_P_ARP) ? arp_comes_in(skb, ethernet) : PASS;
}

SEC("tc")
int carpd_gate_in(struct __sk_buff *skb)
{
    struct ethhdr ethernet __attribute__((aligned(8)));
    if (!read_ethernet(skb, &ethernet))
        return PASS;
    if (ethernet.h_proto == bpf_htons(ETH_P_IP))
        return ipv4_comes_in(skb, &ethernet);
    if (ethernet.h_proto == bpf_htons(ETH_P_IPV6))
        return ipv6_comes_in(skb, &ethernet);
    return other_comes_in(skb, &ethernet);
}

// The kernel says the interface's MAC in neighbour discovery on behalf of a link-local shared address, for
// that stands on the interface itself.
NOINLINE int correct_neighbor_option(struct __sk_buff *skb, const struct voice *voice)
{
    struct neighbor message;
    if (bpf_skb_load_bytes(skb, ICMP_OFFSET, &message, sizeof message) ||
        (message.type != NEIGHBOR_SOLICITATION && message.type != NEIGHBOR_ADVERTISEMENT) ||
        (message.option != SOURCE_MAC && message.option != TARGET_MAC) || message.option_units != 1)
        return 0;
    struct neighbor corrected = message;
    __builtin_memcpy(corrected.mac, voice->said, 6);
    __s64 change = bpf_csum_diff((__be32 *)&message, sizeof message, (__be32 *)&corrected, sizeof corrected, 0);
    return bpf_skb_store_bytes(skb, ICMP_OFFSET, &corrected, sizeof corrected, 0) ||
           bpf_l4_csum_replace(skb, ICMP_OFFSET + 2, 0, change, 0);
}

INLINE int correct_arp_sender(struct __sk_buff *skb, const struct voice *voice)
{
    return bpf_skb_store_bytes(skb, IP_OFFSET + __builtin_offsetof(struct arp_ipv4, sender_mac), voice->said, 6,
                               0);
}

// The group that speaks to this frame's destination for a pool that balances by ARP; one of the pool's MACs
// as source has been chosen before.
INLINE __u32 speaker(__u32 ifindex, const struct gate_pool *pool, __u32 owner, const struct ethhdr *ethernet)
{
    const __u32 carpnode = owner_of_mac(ifindex, ethernet->h_source) >> 16 & 0xff;
    return first_that_lasts(pool, carpnode >= 1 && carpnode <= GATE_CARPNODES
                                      ? pool->groups[carpnode - 1]
                                      : group_by_mac(pool, owner, ethernet->h_dest));
}

// With which voice something leaves from an address of this owner. Returns whether it may.
NOINLINE int may_leave(struct __sk_buff *skb, __u32 owner, const struct ethhdr *ethernet, const struct flow *flow,
                       struct voice *voice)
{
    const struct gate_pool *pool = pool_of(owner);
    if (is_pool(owner) && !pool)
        return 0;
    const int by_ip = pool && !(pool->flags & GATE_BY_ARP);
    if (by_ip && !lets_out(skb, pool, owner, flow))
        return 0;
    const __u32 group = by_ip ? pool->groups[0] : pool ? speaker(skb->ifindex, pool, owner, ethernet) : owner;
    const struct gate_lease *lease = lease_of(group);
    if (!lease || (!by_ip && !lasts(lease)))
        return 0;
    speak_with(lease, by_ip ? pool->mac : lease->mac, voice);
    return 1;
}

INLINE int speak(struct __sk_buff *skb, struct ethhdr *ethernet, __u32 owner, const struct flow *flow)
{
    struct voice voice;
    if (!may_leave(skb, owner, ethernet, flow, &voice))
        return DROP;
    const int has_other_source = voice.is_virtual && !same_bytes(ethernet->h_source, voice.source, 6);
    if (!has_other_source && !is_pool(owner))
        return PASS;
    if ((has_other_source &&
         bpf_skb_store_bytes(skb, __builtin_offsetof(struct ethhdr, h_source), voice.source, 6, 0)) ||
        (ethernet->h_proto == bpf_htons(ETH_P_ARP) && correct_arp_sender(skb, &voice)) ||
        (ethernet->h_proto == bpf_htons(ETH_P_IPV6) && flow->is_neighbor && correct_neighbor_option(skb, &voice)))
        return DROP;
    return PASS;
}

// Something leaves from a MAC that isn't the interface's.
INLINE int leaves_from_mac(struct __sk_buff *skb, const struct ethhdr *ethernet)
{
    const struct flow none = {.is_neighbor = 1};
    const __u32 owner = owner_of_mac(skb->ifindex, ethernet->h_source);
    if (owner == GATE_NOBODY)
        return PASS;
    const struct gate_pool *pool = pool_of(owner);
    if (pool && pool->flags & GATE_HIDES_MAC)
        return DROP;
    return admits(skb, owner, pool, &none) ? PASS : DROP;
}

SEC("tc")
int carpd_gate_out(struct __sk_buff *skb)
{
    struct ethhdr ethernet __attribute__((aligned(8)));
    if (!read_ethernet(skb, &ethernet))
        return PASS;
    struct flow flow = {};
    __u32 owner = GATE_NOBODY;
    if (ethernet.h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr ip;
        if (read_head(skb, IP_OFFSET, &ip, sizeof ip) || ip.protocol == CARP)
            return PASS;
        owner = owner_of_ipv4(skb->ifindex, &ip.saddr);
        if (is_pool(owner))
            flow_of_ipv4(skb, &ip, &flow);
    } else if (ethernet.h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr ip;
        if (read_head(skb, IP_OFFSET, &ip, sizeof ip) || ip.nexthdr == CARP)
            return PASS;
        owner = owner_of_ipv6(skb->ifindex, &ip.saddr);
        if (owner != GATE_NOBODY)
            flow_of_ipv6(skb, &ip, &flow);
    } else if (ethernet.h_proto == bpf_htons(ETH_P_ARP)) {
        struct arp_ipv4 arp;
        flow.is_neighbor = 1;
        if (read_arp(skb, &arp))
            owner = owner_of_ipv4(skb->ifindex, arp.sender);
    }
    return owner != GATE_NOBODY ? speak(skb, &ethernet, owner, &flow) : leaves_from_mac(skb, &ethernet);
}

const char gate_license[] SEC("license") = "ISC";
