// The gate: lets a group's addresses and virtual MAC in and out of an interface only while the host's lease of
// the group lasts (docs/protocol/carp.md, section 10), whatever became of the daemon. It stands at the
// interface as two tc filters, so it outlives the process that put it there.
//
// While the lease lasts it also makes the virtual MAC work without a device of its own: it answers ARP and
// neighbour solicitations with it, takes in frames addressed to it and puts it on what the addresses send.
//
// Advertisements (protocol 112) pass always: the first one goes out before the lease begins, and it is up to
// the daemon whether it sends any. So do tagged frames, which belong to another interface.
//
// Frames are read and written by helpers, never in place: headers may lie outside the linear part.
#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "linux/gate_maps.h"

// The filters behind this one decide what becomes of the packet.
#define PASS TC_ACT_UNSPEC
#define DROP TC_ACT_SHOT

#define CARP 112
#define ARP_REQUEST 1
#define ARP_REPLY 2
#define NEIGHBOR_SOLICITATION 135
#define NEIGHBOR_ADVERTISEMENT 136
#define NA_ROUTER 0x80000000
#define NA_SOLICITED 0x40000000
#define NA_OVERRIDE 0x20000000

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, GATE_MAX_GROUPS);
    __type(key, __u32);
    __type(value, struct gate_lease);
} leases SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, GATE_MAX_ADDRESSES);
    __type(key, struct gate_address);
    __type(value, __u32);
} addresses SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(map_flags, BPF_F_NO_PREALLOC);
    __uint(max_entries, GATE_MAX_GROUPS);
    __type(key, struct gate_mac);
    __type(value, __u32);
} macs SEC(".maps");

struct arp_ipv4 {
    __be16 hardware, protocol;
    __u8 hardware_size, protocol_size;
    __be16 operation;
    __u8 sender_mac[6], sender[4], target_mac[6], target[4];
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

#define IP_OFFSET sizeof(struct ethhdr)
#define ICMP_OFFSET (IP_OFFSET + sizeof(struct ipv6hdr))

#define INLINE static __attribute__((always_inline)) inline

INLINE struct gate_lease *lease_of(__u32 *group)
{
    return group ? bpf_map_lookup_elem(&leases, group) : 0;
}

INLINE struct gate_lease *lease_of_ipv4(__u32 ifindex, const void *address)
{
    struct gate_address key = {.ifindex = ifindex, .address = {[10] = 0xff, [11] = 0xff}};
    __builtin_memcpy(key.address + 12, address, 4);
    return lease_of(bpf_map_lookup_elem(&addresses, &key));
}

INLINE struct gate_lease *lease_of_ipv6(__u32 ifindex, const void *address)
{
    struct gate_address key = {.ifindex = ifindex};
    __builtin_memcpy(key.address, address, 16);
    return lease_of(bpf_map_lookup_elem(&addresses, &key));
}

INLINE struct gate_lease *lease_of_mac(__u32 ifindex, const __u8 *mac)
{
    if (mac[0] != 0 || mac[1] != 0 || mac[2] != 0x5e || mac[3] != 0 || mac[4] != 1)
        return 0;
    struct gate_mac key = {.ifindex = ifindex, .vhid = mac[5]};
    return lease_of(bpf_map_lookup_elem(&macs, &key));
}

INLINE int lasts(const struct gate_lease *lease)
{
    return bpf_ktime_get_boot_ns() < *(const volatile __u64 *)&lease->until;
}

INLINE int is_virtual(const struct gate_lease *lease)
{
    return lease->flags & GATE_VIRTUAL_MAC;
}

INLINE int same_bytes(const __u8 *a, const __u8 *b, int size)
{
    __u8 difference = 0;
    for (int i = 0; i < size; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

INLINE __sum16 fold(__u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (__sum16)~sum;
}

INLINE int read_ethernet(struct __sk_buff *skb, struct ethhdr *ethernet)
{
    return !skb->vlan_present && bpf_skb_load_bytes(skb, 0, ethernet, sizeof *ethernet) == 0 &&
           ethernet->h_proto != bpf_htons(ETH_P_8021Q) && ethernet->h_proto != bpf_htons(ETH_P_8021AD);
}

INLINE int read_arp(struct __sk_buff *skb, struct arp_ipv4 *arp)
{
    return bpf_skb_load_bytes(skb, IP_OFFSET, arp, sizeof *arp) == 0 && arp->protocol == bpf_htons(ETH_P_IP) &&
           arp->hardware_size == 6 && arp->protocol_size == 4;
}

// The frame has become an answer: `payload` behind an Ethernet header from the virtual MAC. It leaves through
// the interface that it came by.
INLINE int answer(struct __sk_buff *skb, const struct gate_lease *lease, struct ethhdr *ethernet,
                  const __u8 *destination, const void *payload, __u32 size)
{
    __builtin_memcpy(ethernet->h_dest, destination, 6);
    __builtin_memcpy(ethernet->h_source, lease->mac, 6);
    // A checksum that the card made covers what stands behind the Ethernet header.
    if (bpf_skb_store_bytes(skb, 0, ethernet, sizeof *ethernet, 0) ||
        bpf_skb_store_bytes(skb, IP_OFFSET, payload, size, BPF_F_RECOMPUTE_CSUM))
        return DROP;
    return bpf_redirect(skb->ifindex, 0);
}

INLINE int arp_comes_in(struct __sk_buff *skb, struct ethhdr *ethernet)
{
    struct arp_ipv4 arp;
    if (!read_arp(skb, &arp) || arp.operation != bpf_htons(ARP_REQUEST))
        return PASS;
    struct gate_lease *lease = lease_of_ipv4(skb->ifindex, arp.target);
    // A new master's announcement, which our own table should follow.
    if (!lease || same_bytes(arp.sender, arp.target, 4))
        return PASS;
    if (!lasts(lease))
        return DROP;
    if (!is_virtual(lease))
        return PASS;
    struct arp_ipv4 reply = arp;
    reply.operation = bpf_htons(ARP_REPLY);
    __builtin_memcpy(reply.sender_mac, lease->mac, 6);
    __builtin_memcpy(reply.sender, arp.target, 4);
    __builtin_memcpy(reply.target_mac, arp.sender_mac, 6);
    __builtin_memcpy(reply.target, arp.sender, 4);
    return answer(skb, lease, ethernet, arp.sender_mac, &reply, sizeof reply);
}

INLINE int solicitation_comes_in(struct __sk_buff *skb, struct ethhdr *ethernet, struct ipv6hdr *ip,
                                 struct gate_lease *lease, const struct in6_addr *target)
{
    struct {
        struct ipv6hdr ip;
        struct neighbor advertisement;
    } reply = {};
    struct neighbor *na = &reply.advertisement;
    // From nobody: duplicate address detection, which is answered to all.
    const int detects_duplicates = !(ip->saddr.s6_addr32[0] | ip->saddr.s6_addr32[1] |
                                     ip->saddr.s6_addr32[2] | ip->saddr.s6_addr32[3]);
    na->type = NEIGHBOR_ADVERTISEMENT;
    na->flags = bpf_htonl(NA_OVERRIDE | (lease->flags & GATE_ROUTER ? NA_ROUTER : 0) |
                          (detects_duplicates ? 0 : NA_SOLICITED));
    na->target = *target;
    na->option = 2;
    na->option_units = 1;
    __builtin_memcpy(na->mac, lease->mac, 6);

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
    return answer(skb, lease, ethernet, destination, &reply, sizeof reply);
}

INLINE int ipv4_comes_in(struct __sk_buff *skb, const struct gate_lease *at_mac)
{
    struct iphdr ip;
    if (bpf_skb_load_bytes(skb, IP_OFFSET, &ip, sizeof ip) || ip.protocol == CARP)
        return PASS;
    if (at_mac && !lasts(at_mac))
        return DROP;
    struct gate_lease *lease = lease_of_ipv4(skb->ifindex, &ip.daddr);
    return lease && !lasts(lease) ? DROP : PASS;
}

INLINE int ipv6_comes_in(struct __sk_buff *skb, struct ethhdr *ethernet, const struct gate_lease *at_mac)
{
    struct ipv6hdr ip;
    if (bpf_skb_load_bytes(skb, IP_OFFSET, &ip, sizeof ip) || ip.nexthdr == CARP)
        return PASS;
    if (at_mac && !lasts(at_mac))
        return DROP;
    struct {
        __u8 type, code;
        __be16 checksum;
        __be32 reserved;
        struct in6_addr target;
    } ns;
    if (ip.nexthdr == IPPROTO_ICMPV6 && ip.hop_limit == 255 &&
        bpf_skb_load_bytes(skb, ICMP_OFFSET, &ns, sizeof ns) == 0 && ns.type == NEIGHBOR_SOLICITATION &&
        ns.code == 0) {
        struct gate_lease *lease = lease_of_ipv6(skb->ifindex, &ns.target);
        if (lease && !lasts(lease))
            return DROP;
        if (lease && is_virtual(lease))
            return solicitation_comes_in(skb, ethernet, &ip, lease, &ns.target);
        return PASS;
    }
    struct gate_lease *lease = lease_of_ipv6(skb->ifindex, &ip.daddr);
    return lease && !lasts(lease) ? DROP : PASS;
}

SEC("tc")
int gate_ingress(struct __sk_buff *skb)
{
    struct ethhdr ethernet;
    if (!read_ethernet(skb, &ethernet))
        return PASS;
    struct gate_lease *at_mac = lease_of_mac(skb->ifindex, ethernet.h_dest);
    // To the kernel it is a stranger's.
    if (at_mac && lasts(at_mac))
        bpf_skb_change_type(skb, PACKET_HOST);
    if (ethernet.h_proto == bpf_htons(ETH_P_IP))
        return ipv4_comes_in(skb, at_mac);
    if (ethernet.h_proto == bpf_htons(ETH_P_IPV6))
        return ipv6_comes_in(skb, &ethernet, at_mac);
    if (at_mac && !lasts(at_mac))
        return DROP;
    return ethernet.h_proto == bpf_htons(ETH_P_ARP) ? arp_comes_in(skb, &ethernet) : PASS;
}

// The kernel says the interface's MAC in neighbour discovery on behalf of a link-local shared address, for
// that stands on the interface itself.
INLINE int correct_neighbor_option(struct __sk_buff *skb, const struct gate_lease *lease)
{
    struct neighbor message;
    if (bpf_skb_load_bytes(skb, ICMP_OFFSET, &message, sizeof message) ||
        (message.type != NEIGHBOR_SOLICITATION && message.type != NEIGHBOR_ADVERTISEMENT) ||
        (message.option != 1 && message.option != 2) || message.option_units != 1)
        return 0;
    struct neighbor corrected = message;
    __builtin_memcpy(corrected.mac, lease->mac, 6);
    __s64 change = bpf_csum_diff((__be32 *)&message, sizeof message, (__be32 *)&corrected, sizeof corrected, 0);
    return bpf_skb_store_bytes(skb, ICMP_OFFSET, &corrected, sizeof corrected, 0) ||
           bpf_l4_csum_replace(skb, ICMP_OFFSET + 2, 0, change, 0);
}

INLINE int correct_arp_sender(struct __sk_buff *skb, const struct gate_lease *lease)
{
    return bpf_skb_store_bytes(skb, IP_OFFSET + __builtin_offsetof(struct arp_ipv4, sender_mac), lease->mac, 6, 0);
}

// Something leaves from one of the group's addresses.
INLINE int speak(struct __sk_buff *skb, struct ethhdr *ethernet, const struct gate_lease *lease, int is_icmp6)
{
    if (!lasts(lease))
        return DROP;
    if (!is_virtual(lease) || same_bytes(ethernet->h_source, lease->mac, 6))
        return PASS;
    if (bpf_skb_store_bytes(skb, __builtin_offsetof(struct ethhdr, h_source), lease->mac, 6, 0) ||
        (ethernet->h_proto == bpf_htons(ETH_P_ARP) && correct_arp_sender(skb, lease)) ||
        (is_icmp6 && correct_neighbor_option(skb, lease)))
        return DROP;
    return PASS;
}

SEC("tc")
int gate_egress(struct __sk_buff *skb)
{
    struct ethhdr ethernet;
    if (!read_ethernet(skb, &ethernet))
        return PASS;
    struct gate_lease *lease = 0;
    int is_icmp6 = 0;
    if (ethernet.h_proto == bpf_htons(ETH_P_IP)) {
        struct iphdr ip;
        if (bpf_skb_load_bytes(skb, IP_OFFSET, &ip, sizeof ip) || ip.protocol == CARP)
            return PASS;
        lease = lease_of_ipv4(skb->ifindex, &ip.saddr);
    } else if (ethernet.h_proto == bpf_htons(ETH_P_IPV6)) {
        struct ipv6hdr ip;
        if (bpf_skb_load_bytes(skb, IP_OFFSET, &ip, sizeof ip) || ip.nexthdr == CARP)
            return PASS;
        lease = lease_of_ipv6(skb->ifindex, &ip.saddr);
        is_icmp6 = ip.nexthdr == IPPROTO_ICMPV6;
    } else if (ethernet.h_proto == bpf_htons(ETH_P_ARP)) {
        struct arp_ipv4 arp;
        if (read_arp(skb, &arp))
            lease = lease_of_ipv4(skb->ifindex, arp.sender);
    }
    if (lease)
        return speak(skb, &ethernet, lease, is_icmp6);
    lease = lease_of_mac(skb->ifindex, ethernet.h_source);
    return lease && !lasts(lease) ? DROP : PASS;
}

const char gate_license[] SEC("license") = "ISC";
