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

std::string_view explain_refusal(SyncDrop reason) {
    switch (reason) {
        case SyncDrop::too_short: return "too short to be state synchronisation";
        case SyncDrop::bad_version:
            return "of another version of the protocol; is carpd on both one release?";
        case SyncDrop::bad_kind: return "neither a hello nor data";
        case SyncDrop::own_datagram: return "our own, sent back to us: a loop in the network, or a replay";
        case SyncDrop::unknown_stream: return "of a session that isn't or isn't any more; some at each start";
        case SyncDrop::replayed: return "came twice or too late";
        case SyncDrop::bad_epoch: return "numbered far from what came before";
        case SyncDrop::hello_flood: return "more unknown hellos than are tried in a second";
        case SyncDrop::bad_seal: return "sealed with another key, forged or damaged";
        case SyncDrop::bad_body: return "authentic, but makes no sense; are both of one release?";
        case SyncDrop::same_name: return "from a host with our own name; see name in carpd.toml(5)";
        case SyncDrop::other_name: return "from another host than the peer at this address, which is alive";
        case SyncDrop::unanswered: return "a hello that answers none of ours; one at each start is right";
    }
    CARPD_ASSERT(false);
    return {};
}

std::string_view explain_sync_refusal(std::string_view reason) {
    for (std::size_t i = 0; i < kSyncDropCount; ++i)
        if (to_string(static_cast<SyncDrop>(i)) == reason) return explain_refusal(static_cast<SyncDrop>(i));
    return {};
}

}  // namespace carpd
