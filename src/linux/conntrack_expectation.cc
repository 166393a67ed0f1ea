#include "linux/conntrack_expectation.h"

#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include "linux/conntrack_attributes.h"

namespace carpd {

using namespace conntrack;

namespace {

constexpr std::uint16_t exp_type(int type) {
    return message_type(NFNL_SUBSYS_CTNETLINK_EXP, type);
}

// What is found in one message.
class Reading {
 public:
    Reading(Family family, FlowEvent& event)
        : family_(family),
          event_(event),
          expectation_(event.flow.state.protocol.emplace<ExpectationState>()) {}

    std::optional<ConntrackRefusal> read(Bytes attributes) {
        const bool well = for_each_attribute(attributes, [this](int type, Bytes value) {  //
            return take_part(type, value);
        });
        if (!well) return ConntrackRefusal::malformed;
        if (tuple_.has_zone || master_.has_zone) return ConntrackRefusal::one_way_zone;
        if (!tuple_.is_complete || !mask_.is_complete || !master_.is_complete)
            return ConntrackRefusal::incomplete;
        FlowIdentity& identity = event_.flow.identity;
        identity.original = tuple_.tuple;
        identity.reply = tuple_.tuple.inverse();
        identity.master = master_.tuple;
        identity.mask = {mask_.tuple.source, mask_.tuple.first};
        if (!identity.original.has_numbers()) identity.mask->first = 0;
        auto& translation = expectation_.translation;
        if (translation && !master_.tuple.has_numbers()) translation->number = 0;
        return std::nullopt;
    }

 private:
    bool take_part(int type, Bytes value) {
        FlowIdentity& identity = event_.flow.identity;
        switch (type) {
            case CTA_EXPECT_TUPLE: return take(value, family_, tuple_);
            case CTA_EXPECT_MASK: return take(value, family_, mask_);
            case CTA_EXPECT_MASTER: return take(value, family_, master_);
            case CTA_EXPECT_TIMEOUT: return take(value, event_.flow.state.timeout);
            case CTA_EXPECT_HELP_NAME: return take(value, identity.helper);
            case CTA_EXPECT_ZONE: return take(value, identity.zone);
            case CTA_EXPECT_FLAGS: return take_flags(value);
            case CTA_EXPECT_CLASS: return take_small(value, 0xff, expectation_.expect_class);
            case CTA_EXPECT_NAT: return take_translation(value);
            case CTA_EXPECT_FN: return take(value, expectation_.function);
            default: return true;
        }
    }

    static bool take_small(Bytes value, std::uint32_t most, std::uint8_t& out) {
        std::uint32_t number;
        if (!take(value, number) || number > most) return false;
        out = static_cast<std::uint8_t>(number);
        return true;
    }

    bool take_flags(Bytes value) {
        std::uint32_t flags;
        if (!take(value, flags)) return false;
        expectation_.flags = static_cast<std::uint8_t>(flags & ExpectationState::kReplicatedFlags);
        return true;
    }

    bool take_translation(Bytes bytes) {
        ExpectedTranslation& translation = expectation_.translation.emplace();
        TupleReading saved;
        const bool well = for_each_attribute(bytes, [&](int type, Bytes value) {
            if (type == CTA_EXPECT_NAT_DIR) return take_small(value, 1, translation.direction);
            return type != CTA_EXPECT_NAT_TUPLE || take(value, family_, saved);
        });
        translation.address = saved.tuple.source;
        translation.number = saved.tuple.first;
        return well && saved.is_complete;
    }

    Family family_;
    FlowEvent& event_;
    ExpectationState& expectation_;
    TupleReading tuple_, mask_, master_;
};

// The kernel's masks are of the source only; the rest has to match as a whole.
FlowTuple mask_tuple(const FlowIdentity& identity) {
    FlowTuple mask = identity.original;
    std::array<std::uint8_t, 16> ones;
    ones.fill(0xff);
    mask.source = identity.mask->source;
    mask.destination = IpAddress::from_bytes(Bytes(ones).first(mask.source.bytes().size()));
    mask.first = identity.mask->first;
    mask.second = 0xffff;
    return mask;
}

void put_translation(MessageWriter& writer, const ExpectedTranslation& translation,
                     std::uint8_t master_protocol) {
    const IpAddress any = IpAddress::any(translation.address.family());
    const std::size_t nest = writer.begin_nest(CTA_EXPECT_NAT);
    writer.number(CTA_EXPECT_NAT_DIR, std::uint32_t{translation.direction});
    writer.tuple(CTA_EXPECT_NAT_TUPLE,
                 FlowTuple{translation.address, any, master_protocol, translation.number, 0});
    writer.end_nest(nest);
}

// The name is that of the master's helper, which the kernel finds without it; here it says that the helper
// goes on with the expected flow (and what the class means). It does with what SIP's expects, but what FTP's
// does are files.
bool helper_goes_on(const FlowIdentity& identity, const ExpectationState& expectation) {
    return !identity.helper_name().empty() &&
           (expectation.expect_class != 0 || identity.helper_name() == "sip");
}

}  // namespace

std::optional<ConntrackRefusal> read_expectation(Bytes attributes, Family family, FlowEvent& event) {
    event.tells_protocol = true;
    return Reading(family, event).read(attributes);
}

std::size_t put_expectation(const Flow& flow, std::uint32_t sequence, std::span<std::uint8_t> out) {
    const FlowIdentity& identity = flow.identity;
    const auto* const told = std::get_if<ExpectationState>(&flow.state.protocol);
    const ExpectationState expectation = told ? *told : ExpectationState{};
    MessageWriter writer(out, exp_type(IPCTNL_MSG_EXP_NEW), NLM_F_CREATE, sequence,
                         kernel_family(identity.original.source.family()));
    writer.tuple(CTA_EXPECT_TUPLE, identity.original);
    writer.tuple(CTA_EXPECT_MASK, mask_tuple(identity));
    writer.tuple(CTA_EXPECT_MASTER, *identity.master);
    if (identity.zone) writer.number(CTA_EXPECT_ZONE, identity.zone);
    writer.number(CTA_EXPECT_TIMEOUT, flow.state.timeout);
    writer.number(CTA_EXPECT_FLAGS, std::uint32_t{expectation.flags});
    writer.number(CTA_EXPECT_CLASS, std::uint32_t{expectation.expect_class});
    if (helper_goes_on(identity, expectation)) writer.string(CTA_EXPECT_HELP_NAME, identity.helper);
    const auto& translation = expectation.translation;
    if (translation && translation->address.family() == identity.original.source.family())
        put_translation(writer, *translation, identity.master->protocol);
    if (expectation.function[0] != 0) writer.string(CTA_EXPECT_FN, expectation.function);
    return writer.finish();
}

std::size_t put_expectation_removal(const FlowIdentity& identity, std::uint32_t sequence,
                                    std::span<std::uint8_t> out) {
    MessageWriter writer(out, exp_type(IPCTNL_MSG_EXP_DELETE), 0, sequence,
                         kernel_family(identity.original.source.family()));
    writer.tuple(CTA_EXPECT_TUPLE, identity.original);
    if (identity.zone) writer.number(CTA_EXPECT_ZONE, identity.zone);
    return writer.finish();
}

std::size_t put_expectation_dump(std::optional<Family> family, std::uint32_t sequence,
                                 std::span<std::uint8_t> out) {
    return MessageWriter(out, exp_type(IPCTNL_MSG_EXP_GET), NLM_F_DUMP, sequence,
                         family ? kernel_family(*family) : std::uint8_t{AF_UNSPEC})
        .finish();
}

}  // namespace carpd
