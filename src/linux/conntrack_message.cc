#include "linux/conntrack_message.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "linux/conntrack_attributes.h"
#include "linux/conntrack_expectation.h"

namespace carpd {

using namespace conntrack;

namespace {

constexpr std::uint8_t kMaxWindowScale = 14;

constexpr std::uint16_t flow_type(int type) {
    return message_type(NFNL_SUBSYS_CTNETLINK, type);
}

// ---- reading

// What is found in one message.
class Reading {
 public:
    Reading(Family family, FlowEvent& event) : family_(family), event_(event) {}

    std::optional<ConntrackRefusal> read(Bytes attributes) {
        const bool well = for_each_attribute(attributes, [this](int type, Bytes value) {  //
            return take_part(type, value);
        });
        if (!well) return ConntrackRefusal::malformed;
        if (one_way_zone_) return ConntrackRefusal::one_way_zone;
        if (!has_original_ || !has_reply_) return ConntrackRefusal::incomplete;
        return std::nullopt;
    }

 private:
    FlowIdentity& identity() { return event_.flow.identity; }
    FlowState& state() { return event_.flow.state; }

    bool take_part(int type, Bytes value) {
        switch (type) {
            case CTA_TUPLE_ORIG: return take_tuple(value, identity().original, has_original_);
            case CTA_TUPLE_REPLY: return take_tuple(value, identity().reply, has_reply_);
            case CTA_TUPLE_MASTER: return take_master(value);
            case CTA_STATUS: return take_status(value);
            case CTA_TIMEOUT: return take(value, state().timeout);
            case CTA_MARK: return take(value, state().mark);
            case CTA_ZONE: return take(value, identity().zone);
            case CTA_LABELS: return take_labels(value);
            case CTA_HELP: return take_helper(value);
            case CTA_PROTOINFO: return take_protocol(value);
            case CTA_SEQ_ADJ_ORIG: return take_adjustment(value, 0);
            case CTA_SEQ_ADJ_REPLY: return take_adjustment(value, 1);
            default: return true;
        }
    }

    bool take_tuple(Bytes bytes, FlowTuple& tuple, bool& complete) {
        TupleReading reading;
        const bool well = take(bytes, family_, reading);
        tuple = reading.tuple;
        complete = reading.is_complete;
        one_way_zone_ |= reading.has_zone;
        return well;
    }

    bool take_master(Bytes value) {
        bool complete = false;
        const bool well = take_tuple(value, identity().master.emplace(), complete);
        return well && complete;
    }

    bool take_status(Bytes value) {
        const bool well = take(value, state().status);
        state().status &= FlowState::kReplicatedStatus;
        return well;
    }

    bool take_labels(Bytes value) {
        if (value.size() > state().labels.size()) return false;
        std::copy(value.begin(), value.end(), state().labels.begin());
        return event_.tells_labels = true;
    }

    bool take_helper(Bytes bytes) {
        return for_each_attribute(bytes, [this](int type, Bytes value) {
            return type != CTA_HELP_NAME || take(value, identity().helper);
        });
    }

    bool take_protocol(Bytes bytes) {
        return for_each_attribute(bytes, [this](int type, Bytes value) {
            event_.tells_protocol = true;
            switch (type) {
                case CTA_PROTOINFO_TCP: return take_tcp(value, state().protocol.emplace<TcpState>());
                case CTA_PROTOINFO_SCTP: return take_sctp(value, state().protocol.emplace<SctpState>());
                case CTA_PROTOINFO_DCCP: return take_dccp(value, state().protocol.emplace<DccpState>());
                default: return true;
            }
        });
    }

    static bool take_tcp(Bytes bytes, TcpState& tcp) {
        const auto take_flags = [](Bytes value, std::uint8_t& flags) {  // struct nf_ct_tcp_flags
            if (value.size() != 2) return false;
            flags = value[0] & kReplicatedTcpFlags;
            return true;
        };
        return for_each_attribute(bytes, [&](int type, Bytes value) {
            switch (type) {
                case CTA_PROTOINFO_TCP_STATE: return take(value, tcp.state);
                case CTA_PROTOINFO_TCP_WSCALE_ORIGINAL: return take_scale(value, tcp.window_scale[0]);
                case CTA_PROTOINFO_TCP_WSCALE_REPLY: return take_scale(value, tcp.window_scale[1]);
                case CTA_PROTOINFO_TCP_FLAGS_ORIGINAL: return take_flags(value, tcp.flags[0]);
                case CTA_PROTOINFO_TCP_FLAGS_REPLY: return take_flags(value, tcp.flags[1]);
                default: return true;
            }
        });
    }
    static bool take_scale(Bytes value, std::uint8_t& scale) {
        return take(value, scale) && scale <= kMaxWindowScale;
    }

    static bool take_sctp(Bytes bytes, SctpState& sctp) {
        return for_each_attribute(bytes, [&](int type, Bytes value) {
            switch (type) {
                case CTA_PROTOINFO_SCTP_STATE: return take(value, sctp.state);
                case CTA_PROTOINFO_SCTP_VTAG_ORIGINAL: return take(value, sctp.tag[0]);
                case CTA_PROTOINFO_SCTP_VTAG_REPLY: return take(value, sctp.tag[1]);
                default: return true;
            }
        });
    }

    static bool take_dccp(Bytes bytes, DccpState& dccp) {
        return for_each_attribute(bytes, [&](int type, Bytes value) {
            switch (type) {
                case CTA_PROTOINFO_DCCP_STATE: return take(value, dccp.state);
                case CTA_PROTOINFO_DCCP_ROLE: return take(value, dccp.role);
                case CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ: return take(value, dccp.handshake_sequence);
                default: return true;
            }
        });
    }

    bool take_adjustment(Bytes bytes, std::size_t direction) {
        auto& both = state().sequence;
        if (!both) both.emplace();
        event_.tells_sequence = true;
        return for_each_attribute(bytes, [&](int type, Bytes value) {
            switch (type) {
                case CTA_SEQADJ_CORRECTION_POS: return take(value, (*both)[direction].position);
                case CTA_SEQADJ_OFFSET_BEFORE: return take(value, (*both)[direction].before);
                case CTA_SEQADJ_OFFSET_AFTER: return take(value, (*both)[direction].after);
                default: return true;
            }
        });
    }

    Family family_;
    FlowEvent& event_;
    bool has_original_ = false, has_reply_ = false, one_way_zone_ = false;
};

// ---- writing

// To exactly this address and number.
void put_translation(MessageWriter& writer, std::uint16_t type, const IpAddress& address,
                     std::optional<std::uint16_t> number) {
    const std::size_t nest = writer.begin_nest(type);
    writer.put(address.family() == Family::ipv4 ? CTA_NAT_V4_MINIP : CTA_NAT_V6_MINIP, address.bytes());
    if (number) {
        const std::size_t protocol = writer.begin_nest(CTA_NAT_PROTO);
        writer.number(CTA_PROTONAT_PORT_MIN, *number);
        writer.end_nest(protocol);
    }
    writer.end_nest(nest);
}

// The kernel marks a flow as translated only where it changes the reply tuple itself. So it is given that of
// an untranslated flow, and where the reply really comes from and goes to.
void put_translations(MessageWriter& writer, const FlowTuple& original, const FlowTuple& reply) {
    const bool numbers = original.has_numbers(), icmp = is_icmp(original.protocol);
    const auto number = [&](std::uint16_t n) { return numbers ? std::optional(n) : std::nullopt; };
    const std::uint16_t source = icmp ? reply.first : reply.second;  // an ICMP id belongs to the source
    if (reply.destination != original.source || source != original.first)
        put_translation(writer, CTA_NAT_SRC, reply.destination, number(source));
    if (reply.source != original.destination || (!icmp && reply.first != original.second))
        put_translation(writer, CTA_NAT_DST, reply.source, number(reply.first));
}

constexpr std::uint8_t kBeLiberal = 0x08;  // IP_CT_TCP_FLAG_BE_LIBERAL

void put_helper(MessageWriter& writer, const FlowIdentity& identity) {
    if (identity.helper_name().empty()) return;
    const std::size_t nest = writer.begin_nest(CTA_HELP);
    writer.string(CTA_HELP_NAME, identity.helper);
    writer.end_nest(nest);
}

void put_tcp(MessageWriter& writer, const TcpState& tcp) {
    const std::size_t nest = writer.begin_nest(CTA_PROTOINFO_TCP);
    writer.number(CTA_PROTOINFO_TCP_STATE, tcp.state);
    // The kernel takes the scales only where the flags, which it reads first, say that there are some.
    for (const std::size_t direction : {0, 1}) {
        const std::uint8_t flags[] = {
            static_cast<std::uint8_t>((tcp.flags[direction] & kReplicatedTcpFlags) | kBeLiberal),
            kReplicatedTcpFlags | kBeLiberal};
        writer.put(direction == 0 ? CTA_PROTOINFO_TCP_FLAGS_ORIGINAL : CTA_PROTOINFO_TCP_FLAGS_REPLY, flags);
        writer.number(direction == 0 ? CTA_PROTOINFO_TCP_WSCALE_ORIGINAL : CTA_PROTOINFO_TCP_WSCALE_REPLY,
                      tcp.window_scale[direction]);
    }
    writer.end_nest(nest);
}

void put_sctp(MessageWriter& writer, const SctpState& sctp) {
    const std::size_t nest = writer.begin_nest(CTA_PROTOINFO_SCTP);
    writer.number(CTA_PROTOINFO_SCTP_STATE, sctp.state);
    writer.number(CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, sctp.tag[0]);
    writer.number(CTA_PROTOINFO_SCTP_VTAG_REPLY, sctp.tag[1]);
    writer.end_nest(nest);
}

void put_dccp(MessageWriter& writer, const DccpState& dccp) {
    const std::size_t nest = writer.begin_nest(CTA_PROTOINFO_DCCP);
    writer.number(CTA_PROTOINFO_DCCP_STATE, dccp.state);
    writer.number(CTA_PROTOINFO_DCCP_ROLE, dccp.role);
    writer.number(CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ, dccp.handshake_sequence);
    writer.end_nest(nest);
}

void put_protocol(MessageWriter& writer, const FlowState& state) {
    if (std::holds_alternative<std::monostate>(state.protocol)) return;
    const std::size_t nest = writer.begin_nest(CTA_PROTOINFO);
    if (const auto* tcp = std::get_if<TcpState>(&state.protocol)) put_tcp(writer, *tcp);
    if (const auto* sctp = std::get_if<SctpState>(&state.protocol)) put_sctp(writer, *sctp);
    if (const auto* dccp = std::get_if<DccpState>(&state.protocol)) put_dccp(writer, *dccp);
    writer.end_nest(nest);
}

void put_adjustments(MessageWriter& writer, const FlowState& state) {
    if (!state.sequence) return;
    for (const std::size_t direction : {0, 1}) {
        const SequenceAdjustment& adjustment = (*state.sequence)[direction];
        const std::size_t nest = writer.begin_nest(direction == 0 ? CTA_SEQ_ADJ_ORIG : CTA_SEQ_ADJ_REPLY);
        writer.number(CTA_SEQADJ_CORRECTION_POS, adjustment.position);
        writer.number(CTA_SEQADJ_OFFSET_BEFORE, adjustment.before);
        writer.number(CTA_SEQADJ_OFFSET_AFTER, adjustment.after);
        writer.end_nest(nest);
    }
}

// An entry in the table is confirmed and stays so. Expected is one that has a master; the kernel sets it
// itself, and wants to see no change of it.
void put_state(MessageWriter& writer, const FlowState& state, bool expected) {
    std::uint32_t status = state.status & FlowState::kReplicatedStatus & ~std::uint32_t{IPS_EXPECTED};
    status |= IPS_CONFIRMED;
    if (expected) status |= IPS_EXPECTED;
    writer.number(CTA_STATUS, status);
    writer.number(CTA_TIMEOUT, state.timeout);
    writer.number(CTA_MARK, state.mark);
    put_protocol(writer, state);
    put_adjustments(writer, state);
    const auto is_set = [](std::uint8_t byte) { return byte != 0; };
    if (std::any_of(state.labels.begin(), state.labels.end(), is_set)) writer.put(CTA_LABELS, state.labels);
}

// A message that only names a flow.
std::size_t put_name(std::uint16_t type, const FlowTuple& tuple, std::uint16_t zone, std::uint32_t sequence,
                     std::span<std::uint8_t> out) {
    MessageWriter writer(out, flow_type(type), 0, sequence, kernel_family(tuple.source.family()));
    writer.tuple(CTA_TUPLE_ORIG, tuple);
    if (zone) writer.number(CTA_ZONE, zone);
    return writer.finish();
}

}  // namespace

std::string_view to_string(ConntrackRefusal refusal) {
    constexpr std::array<std::string_view, kConntrackRefusals> kNames = {
        "truncated", "not_a_flow", "unknown_family", "malformed", "incomplete", "one_way_zone"};
    return kNames[static_cast<std::size_t>(refusal)];
}

std::optional<Bytes> next_message(Bytes& bytes) {
    if (bytes.size() < kHeader) return std::nullopt;
    std::uint32_t size;
    std::memcpy(&size, bytes.data(), sizeof size);
    if (size < kHeader || size > bytes.size()) return std::nullopt;
    const Bytes message = bytes.first(size);
    bytes = bytes.subspan(std::min(aligned(size), bytes.size()));
    return message;
}

Expected<FlowEvent, ConntrackRefusal> parse_flow(Bytes message) {
    if (message.size() < kHeader + kBody) return Unexpected{ConntrackRefusal::truncated};
    nlmsghdr header;
    std::memcpy(&header, message.data(), kHeader);
    if (header.nlmsg_len < kHeader + kBody || header.nlmsg_len > message.size())
        return Unexpected{ConntrackRefusal::truncated};
    // Of both kinds of messages these numbers are the same.
    const int subsystem = header.nlmsg_type >> 8, type = header.nlmsg_type & 0xff;
    const bool ended = type == IPCTNL_MSG_CT_DELETE, expectation = subsystem == NFNL_SUBSYS_CTNETLINK_EXP;
    if ((!ended && type != IPCTNL_MSG_CT_NEW) || (!expectation && subsystem != NFNL_SUBSYS_CTNETLINK))
        return Unexpected{ConntrackRefusal::not_a_flow};
    const std::uint8_t family = message[kHeader];
    if (family != AF_INET && family != AF_INET6) return Unexpected{ConntrackRefusal::unknown_family};

    FlowEvent event;
    using Kind = FlowEvent::Kind;
    event.kind = ended                               ? Kind::ended
                 : header.nlmsg_flags & NLM_F_MULTI  ? Kind::listed
                 : header.nlmsg_flags & NLM_F_CREATE ? Kind::created
                                                     : Kind::changed;
    const Family of = family == AF_INET ? Family::ipv4 : Family::ipv6;
    const Bytes attributes = message.first(header.nlmsg_len).subspan(kHeader + kBody);
    const auto refusal =
        expectation ? read_expectation(attributes, of, event) : Reading(of, event).read(attributes);
    if (refusal) return Unexpected{*refusal};
    if (event.kind == Kind::created || event.kind == Kind::listed)
        event.tells_protocol = event.tells_labels = event.tells_sequence = true;
    return event;
}

std::size_t put_create(const Flow& flow, std::uint32_t sequence, std::span<std::uint8_t> out) {
    const FlowIdentity& identity = flow.identity;
    MessageWriter writer(out, flow_type(IPCTNL_MSG_CT_NEW), NLM_F_CREATE, sequence,
                         kernel_family(identity.original.source.family()));
    writer.tuple(CTA_TUPLE_ORIG, identity.original);
    writer.tuple(CTA_TUPLE_REPLY, identity.original.inverse());
    if (identity.zone) writer.number(CTA_ZONE, identity.zone);
    put_translations(writer, identity.original, identity.reply);
    if (identity.master) writer.tuple(CTA_TUPLE_MASTER, *identity.master);
    put_helper(writer, identity);
    put_state(writer, flow.state, false);
    return writer.finish();
}

std::size_t put_update(const Flow& flow, std::uint32_t sequence, std::span<std::uint8_t> out) {
    const FlowIdentity& identity = flow.identity;
    MessageWriter writer(out, flow_type(IPCTNL_MSG_CT_NEW), 0, sequence,
                         kernel_family(identity.original.source.family()));
    writer.tuple(CTA_TUPLE_ORIG, identity.original);
    if (identity.zone) writer.number(CTA_ZONE, identity.zone);
    put_helper(writer, identity);
    put_state(writer, flow.state, identity.master.has_value());
    return writer.finish();
}

std::size_t put_remove(const FlowTuple& tuple, std::uint16_t zone, std::uint32_t sequence,
                       std::span<std::uint8_t> out) {
    return put_name(IPCTNL_MSG_CT_DELETE, tuple, zone, sequence, out);
}

std::size_t put_get(const FlowTuple& tuple, std::uint16_t zone, std::uint32_t sequence,
                    std::span<std::uint8_t> out) {
    return put_name(IPCTNL_MSG_CT_GET, tuple, zone, sequence, out);
}

std::size_t put_dump(std::optional<Family> family, std::uint32_t sequence, std::span<std::uint8_t> out) {
    return MessageWriter(out, flow_type(IPCTNL_MSG_CT_GET), NLM_F_DUMP, sequence,
                         family ? kernel_family(*family) : std::uint8_t{AF_UNSPEC})
        .finish();
}

void ask_for_answer(std::span<std::uint8_t> message) {
    nlmsghdr header;
    CARPD_ASSERT(message.size() >= kHeader);
    std::memcpy(&header, message.data(), kHeader);
    header.nlmsg_flags |= NLM_F_ACK;
    std::memcpy(message.data(), &header, kHeader);
}

}  // namespace carpd
