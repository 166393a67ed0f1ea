#include "carpd/refusal.h"

#include "base/assert.h"

namespace carpd {

Refusal refusal(DropReason reason, bool ours) {
    constexpr LogLevel kDebug = LogLevel::debug, kInfo = LogLevel::info, kWarning = LogLevel::warning;
    switch (reason) {
        case DropReason::bad_interface: return {kDebug, "no group is configured on this interface"};
        case DropReason::bad_ip_header: return {kInfo, "its IP header is damaged, fragmented or not CARP's"};
        case DropReason::bad_destination: return {kDebug, "it went to a multicast group that isn't CARP's"};
        case DropReason::bad_ttl:
            return {kWarning,
                    "its TTL isn't 255, so it passed a router; unicast peers behind one need peer-routed"};
        case DropReason::vrrp2:
        case DropReason::vrrp3:
            if (!ours) return {kDebug, "it is VRRP"};
            return {kWarning,
                    "a VRRP router uses our vhid, and with it our virtual MAC; give one of them another id"};
        case DropReason::bad_length: return {kInfo, "it is shorter than an advertisement"};
        case DropReason::bad_version: return {kInfo, "its version isn't CARP's"};
        case DropReason::bad_checksum: return {kInfo, "its checksum is wrong"};
        case DropReason::bad_type: return {kInfo, "its type isn't an advertisement's"};
        case DropReason::bad_authlen: return {kInfo, "its length of authentication isn't CARP's"};
        case DropReason::bad_vhid: return {kDebug, "no group here has its vhid"};
        case DropReason::not_running: return {kDebug, "the group is in INIT"};
        case DropReason::bad_family:
            return {kWarning, "the group has no addresses of its family; the sender's address list differs"};
        case DropReason::unknown_peer: return {kWarning, "the sender isn't one of the configured peers"};
        case DropReason::bad_digest:
            return {kWarning,
                    "its digest is wrong; the sender's password or list of addresses differs from ours"};
        case DropReason::own_advert:
            return {kWarning, "it is our own, sent back to us; look for a loop or a mirroring switch"};
    }
    CARPD_ASSERT(false);
    return {kDebug, ""};
}

}  // namespace carpd
