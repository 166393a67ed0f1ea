#include "control/refusal.h"

#include "base/assert.h"

namespace carpd {

std::string_view explain_refusal(DropReason reason) {
    switch (reason) {
        case DropReason::bad_interface: return "came in where no group is configured";
        case DropReason::bad_ip_header: return "not a whole IP packet";
        case DropReason::bad_destination: return "to another multicast group than CARP's";
        case DropReason::bad_ttl: return "passed a router; see peer-routed in carpd.toml(5)";
        case DropReason::vrrp2: return "VRRPv2 on this network; with this vhid it fights for the same MAC";
        case DropReason::vrrp3: return "VRRPv3 on this network; with this vhid it fights for the same MAC";
        case DropReason::bad_length: return "cut short";
        case DropReason::bad_version: return "not CARP version 2";
        case DropReason::bad_checksum: return "damaged on the way";
        case DropReason::bad_type: return "not an advertisement";
        case DropReason::bad_authlen: return "not CARP's kind of authentication";
        case DropReason::bad_vhid: return "a vhid that isn't configured here";
        case DropReason::not_running: return "came while the group was in INIT";
        case DropReason::bad_family:
            return "the sender's group has addresses of a family that this one has not";
        case DropReason::unknown_peer: return "from a host that isn't one of the peers";
        case DropReason::bad_digest: return "password or address list differs from the sender's";
        case DropReason::own_advert: return "our own, sent back to us: a loop in the network, or a replay";
    }
    CARPD_ASSERT(false);
    return {};
}

std::string_view explain_refusal(std::string_view reason) {
    for (std::size_t i = 0; i < kDropReasonCount; ++i)
        if (to_string(static_cast<DropReason>(i)) == reason)
            return explain_refusal(static_cast<DropReason>(i));
    return {};
}

}  // namespace carpd
