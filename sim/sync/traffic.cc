#include "sim/sync/traffic.h"

#include <fmt/format.h>

#include <algorithm>

#include "sim/sync/checks.h"
#include "sim/sync/host.h"
#include "sim/sync/world.h"

namespace carpd::sim::sync {

namespace {

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17;
// IPS_* and enum tcp_conntrack
constexpr std::uint32_t kExpected = 1, kSeenReply = 2, kAssured = 4, kConfirmed = 8;
constexpr std::uint8_t kSynSent = 1, kSynReceived = 2, kEstablished = 3, kFinWait = 4, kTimeWait = 7,
                       kClose = 8;

IpAddress address(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    const std::uint8_t bytes[] = {a, b, c, d};
    return IpAddress::from_bytes(bytes);
}
IpAddress address6(std::uint8_t network, std::uint32_t number) {
    std::uint8_t bytes[16] = {0x20, network, 0xd, 0xb8};
    for (int i = 0; i < 4; ++i) bytes[12 + i] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
    return IpAddress::from_bytes(bytes);
}

std::uint8_t protocol_of(Connection::Kind kind) {
    return kind == Connection::Kind::tcp ? kTcp : kind == Connection::Kind::udp ? kUdp : kIcmp;
}

}  // namespace

Traffic::Traffic(World& world) : world_(world), dice_(stream(world.plan().seed, 3)) {
    connections_.emplace_back().over = true;  // none's id is 0
}

const Connection* Traffic::of(const FlowIdentity& identity) const {
    const auto it = of_.find({name_of(identity), identity.reply});
    return it == of_.end() ? nullptr : &connections_[it->second];
}

void Traffic::begin_one() {
    const auto id = static_cast<std::uint32_t>(connections_.size());
    const std::int64_t gap = dice_.between(1, 2 * world_.plan().flow_gap);
    world_.schedule(world_.now() + gap, EventKind::connection, 0);
    if (id >> (32 - Connection::kChanges)) return;
    Connection& connection = connections_.emplace_back();
    connection.id = connection.root = id;
    connection.dice = Dice(stream(world_.plan().seed, 1000 + id));
    draw(connection);
    pass(id);
}

// What it is doesn't depend on what happens, but for the ports of translations.
void Traffic::draw(Connection& c) {
    const Plan& plan = world_.plan();
    const std::uint64_t kind = c.dice.below(10);
    c.kind = kind < 6 ? Connection::Kind::tcp : kind < 9 ? Connection::Kind::udp : Connection::Kind::icmp;
    c.ending = static_cast<Connection::Ending>(c.dice.below(12) == 0 ? 3 : c.dice.below(3));
    c.group = c.dice.below(plan.preference.size());
    c.dies = world_.now() + c.dice.scaled(50 * kMillisecond, plan.longest_life);
    constexpr std::uint32_t kTimeouts[] = {20, 45, 90, 432'000};
    c.timeout = kTimeouts[c.dice.below(4)];
    c.gap = c.dice.scaled(20 * kMillisecond, std::min<std::int64_t>(c.timeout, 60) * kSecond * 9 / 10);
    c.ignored = plan.ignores_some && c.id % 5 == 0;

    const bool v6 = c.dice.one_in(5);
    FlowIdentity& identity = c.flow.identity;
    FlowTuple& tuple = identity.original;
    const std::uint8_t network = c.ignored ? kIgnoredNetwork : 1;
    tuple.source =
        v6 ? address6(network, c.id)
           : address(10, network, static_cast<std::uint8_t>(c.id >> 8), static_cast<std::uint8_t>(c.id));
    tuple.destination = v6 ? address6(0, 1u << 31) : address(198, 51, 100, 7);
    tuple.protocol = protocol_of(c.kind);
    tuple.first = static_cast<std::uint16_t>(0x8000 | c.id >> 16);
    tuple.second = c.kind == Connection::Kind::icmp ? 0x800 : 443;
    identity.zone = c.dice.one_in(10) ? 7 : 0;
    if (c.dice.permille(plan.reuse) && c.id > 10) {
        const Connection& before =
            connections_[c.id - 1 - c.dice.below(std::min<std::uint32_t>(c.id - 1, 60))];
        if (before.over && before.kind == c.kind && before.ignored == c.ignored && before.group == c.group &&
            before.id % 2 == c.id % 2 && !before.flow.identity.is_translated()) {
            identity.original = before.flow.identity.original;
            identity.zone = before.flow.identity.zone;
            c.root = before.root;
        }
    }
    identity.reply = tuple.inverse();
    if (c.kind == Connection::Kind::tcp && c.dice.one_in(10)) {
        constexpr std::string_view kFtp = "ftp";
        std::copy(kFtp.begin(), kFtp.end(), identity.helper.begin());
    }
    c.flow.state.status = kConfirmed;
    if (c.dice.one_in(8)) c.flow.state.labels.fill(static_cast<std::uint8_t>(c.id));
}

// Ports are taken as the kernel of the host does that makes the entry.
bool Traffic::translate(Connection& c, const Kernel& kernel) {
    FlowIdentity& identity = c.flow.identity;
    if (c.kind == Connection::Kind::icmp || identity.original.source.family() != Family::ipv4 ||
        c.root != c.id || !c.dice.one_in(3))
        return true;
    identity.reply.destination = address(203, 0, 113, 1);
    const std::uint64_t first = c.dice.below(world_.plan().nat_ports);
    for (std::uint64_t i = 0; i < world_.plan().nat_ports; ++i) {
        identity.reply.second = static_cast<std::uint16_t>(1024 + (first + i) % world_.plan().nat_ports);
        if (!kernel.has_reply({identity.reply, identity.zone})) return true;
    }
    return false;
}

bool Traffic::open(Connection& c, int host) {
    Kernel& kernel = world_.host(host).kernel();
    if (!translate(c, kernel)) return false;
    FlowIdentity& identity = c.flow.identity;
    if (with_helper_ != 0 && c.kind == Connection::Kind::tcp && c.dice.one_in(10)) {
        const FlowIdentity& master = connections_[with_helper_].flow.identity;
        if (master.zone == identity.zone &&
            master.original.source.family() == identity.original.source.family() &&
            kernel.find(name_of(master)) && name_of(master) != name_of(identity)) {
            identity.master = master.original;
            c.flow.state.status |= kExpected;
        }
    }
    c.flow.state.mark = c.mark();
    c.flow.state.timeout = 10;
    if (c.kind == Connection::Kind::tcp) c.flow.state.protocol = TcpState{kSynSent, {7, 0}, {3, 0}};
    c.worth_telling = is_worth_telling(c.flow);
    of_[{name_of(identity), identity.reply}] = c.id;
    if (!kernel.begin(world_.now(), c.id, c.flow)) return false;
    if (!identity.helper_name().empty()) with_helper_ = c.id;
    if (world_.is_told())
        world_.tell(host,
                    fmt::format("connection {} begins, reply to {}:{}{}{}", c.id,
                                identity.reply.destination.to_string(), identity.reply.second,
                                identity.master ? ", expected" : "",
                                identity.helper_name().empty() ? "" : ", with helper"),
                    c.root);
    world_.count(Tally::connections);
    return true;
}

void Traffic::pass(std::uint32_t id) {
    Connection& c = connections_[id];
    if (c.over) return;
    const int host = world_.router(c);
    if (host < 0) {  // lost; it is sent again
        world_.schedule(world_.now() + 200 * kMillisecond, EventKind::packet, 0, id);
        return;
    }
    world_.host(host).news_soon();
    Kernel& kernel = world_.host(host).kernel();
    std::int64_t wait = c.dice.scaled(kMillisecond, 100 * kMillisecond);
    if (c.phase == 0) {
        c.over = !open(c, host) || c.ending == Connection::Ending::unanswered;
    } else {
        Entry* const entry = kernel.find(name_of(c.flow.identity));
        if (!entry || entry->connection != c.id || entry->flow.identity.reply != c.flow.identity.reply)
            return break_off(c, host);
        if (c.last_host != host) world_.count(Tally::moved);
        if (c.phase > 2) wait = c.gap;
        if (world_.is_told())
            world_.tell(host, fmt::format("connection {} passes, phase {}", id, c.phase), c.root);
        go_on(c, *entry, kernel);
    }
    c.last_host = host;
    ++c.phase;
    if (!c.over) world_.schedule(world_.now() + wait, EventKind::packet, 0, id);
}

void Traffic::go_on(Connection& c, Entry& entry, Kernel& kernel) {
    const bool tcp = c.kind == Connection::Kind::tcp;
    if (c.phase == 1) {
        set_state(c, entry, kernel, kSynReceived, kSeenReply, tcp ? 10 : 30);
        c.over = c.kind == Connection::Kind::icmp;
    } else if (c.phase == 2) {
        set_state(c, entry, kernel, kEstablished, kAssured, c.timeout);
    } else if (world_.now() >= c.dies) {
        finish(c, entry, kernel);
    } else if (c.dice.one_in(6)) {
        FlowState state = entry.flow.state;
        c.changes = (c.changes + 1) % (1u << Connection::kChanges);
        state.mark = c.mark();
        if (c.dice.one_in(4)) state.labels[c.dice.below(16)] |= 1;
        state.timeout = c.timeout;
        kernel.change(world_.now(), entry, state);
    } else {
        kernel.touch(world_.now(), entry, c.timeout);
    }
}

void Traffic::set_state(Connection& c, Entry& entry, Kernel& kernel, std::uint8_t tcp_state,
                        std::uint32_t status, std::uint32_t timeout) {
    FlowState state = entry.flow.state;
    if (c.kind == Connection::Kind::tcp) state.protocol = TcpState{tcp_state, {7, 8}, {0x23, 0x23}};
    state.status |= status;
    state.timeout = timeout;
    c.worth_telling = true;
    kernel.change(world_.now(), entry, state);
}

void Traffic::finish(Connection& c, Entry& entry, Kernel& kernel) {
    c.over = true;
    if (c.kind != Connection::Kind::tcp || c.ending == Connection::Ending::vanishes) return;
    if (c.ending == Connection::Ending::resets) return set_state(c, entry, kernel, kClose, 0, 3);
    const auto& tcp = std::get<TcpState>(entry.flow.state.protocol);
    c.over = tcp.state >= kFinWait;
    set_state(c, entry, kernel, c.over ? kTimeWait : kFinWait, 0, c.over ? 10 : 20);
    c.gap = c.dice.scaled(kMillisecond, kSecond);
}

void Traffic::break_off(Connection& c, int host) {
    c.over = true;
    world_.checks().on_broken(c, host);
}

}  // namespace carpd::sim::sync
