#include "sim/foreign.h"

#include <fmt/format.h>

#include "sim/world.h"

namespace carpd::sim {

namespace {

constexpr std::uint8_t kDemotedAdvSkew = 240;

}  // namespace

Foreign::Foreign(World& world, int i)
    : Station(world, i), dice_(stream(world.plan().seed, 500u + static_cast<unsigned>(i))) {
    for (int g = 0; g < world.groups(); ++g) {
        const GroupPlan& group = world.plan().groups[static_cast<std::size_t>(g)];
        GroupConfig config = world.plan().config(i, g, group.settings[static_cast<std::size_t>(i)]);
        Authenticator authenticator(config.key, config.vhid, config.addresses);
        groups_.push_back({std::move(config), std::move(authenticator)});
        groups_.back().member = contains(group.members, i);
    }
}

// ---- what happens to it

void Foreign::condition_changed() {
    if (ailments.crashed > 0)
        for (Group& g : groups_) {
            g.state = State::init;
            g.demotion = 0;
            g.heard_anyone = false;
            g.counter = 0;
        }
    link_changed(0);
    rearm();
}

void Foreign::link_changed(std::size_t) {
    for (int g = 0; g < world_.groups(); ++g) {
        Group& group = groups_[static_cast<std::size_t>(g)];
        if (!group.member) continue;
        const bool runs = machine_runs() && connected(g);
        if (!connected(g) && group.state != State::init) enter(g, State::init, "no link");
        if (runs && group.state == State::init) enter(g, State::backup, "link");
        world_.update_ownership(index, g);
    }
    rearm();
}

void Foreign::demote(int g, int amount) {
    Group& group = groups_[static_cast<std::size_t>(g)];
    if (!machine_runs() || !group.member) return;
    group.demotion = amount;
    if (group.state == State::master) advertise(g);
    rearm();
}

void Foreign::deliver(PacketId id) {
    if (!machine_runs()) return;
    const auto packet = parse_ip_packet(world_.packets()[id].view());
    if (!packet || packet->hop_limit != kHopLimit) return;
    const auto theirs = decode_advertisement(packet->payload);
    if (!theirs || theirs->vhid > groups_.size() || theirs->vhid == 0) return;
    const int g = theirs->vhid - 1;
    Group& group = groups_[static_cast<std::size_t>(g)];
    if (group.state == State::init || !group.config.has(packet->source.family())) return;
    if (!group.authenticator.verify(theirs->counter, theirs->digest)) return;
    if (kind() == Kind::openbsd && theirs->counter == group.counter) return;
    hear(g, *packet, *theirs);
    rearm();
}

void Foreign::wake() {
    for (int g = 0; g < world_.groups(); ++g) {
        Group& group = groups_[static_cast<std::size_t>(g)];
        for (Moment& due : group.master_down)
            if (group.state == State::backup && due <= world_.now()) enter(g, State::master, "timeout");
        if (group.state == State::master && group.advertise_at <= world_.now()) advertise(g);
    }
    rearm();
}

bool Foreign::owns(int group) const {
    return machine_runs() && connected(group) &&
           groups_[static_cast<std::size_t>(group)].state == State::master;
}

// ---- its election

void Foreign::hear(int g, const IpPacket& packet, const Advertisement& theirs) {
    Group& group = groups_[static_cast<std::size_t>(g)];
    if (kind() != Kind::openbsd) {
        group.heard_anyone = true;
        group.counter = theirs.counter;
    }
    if (group.state == State::master) {
        if (!yields(group, packet, theirs)) return;
        if (kind() == Kind::ucarp) advertise(g);  // its last word
        enter(g, State::backup, "yields");
    } else if (takes_over(group, theirs)) {
        enter(g, State::master, "takes over");
    } else {
        restart_master_down(group, packet.source.family());
    }
}

bool Foreign::yields(const Group& group, const IpPacket& packet, const Advertisement& theirs) const {
    const auto ours = std::pair(group.config.advbase.seconds, advskew(group));
    const auto other = std::pair(theirs.advbase, theirs.advskew);
    if (kind() == Kind::openbsd)
        return (other <= ours && theirs.demote <= group.demotion) || theirs.demote < group.demotion;
    if (kind() == Kind::ucarp) return other < ours || (other == ours && packet.source < link(0).source4);
    return other <= ours;
}

bool Foreign::takes_over(const Group& group, const Advertisement& theirs) const {
    const auto ours = std::pair(group.config.advbase.seconds, advskew(group));
    const auto other = std::pair(theirs.advbase, theirs.advskew);
    const bool openbsd = kind() == Kind::openbsd;
    if (group.config.preempt && ours < other && (!openbsd || theirs.demote >= group.demotion)) return true;
    if (openbsd && theirs.demote > group.demotion) return true;
    if (openbsd && ours.first == 0) return false;
    return std::pair(3 * ours.first, int{ours.second}) < std::pair(int{other.first}, int{other.second});
}

void Foreign::enter(int g, State state, const char* why) {
    Group& group = groups_[static_cast<std::size_t>(g)];
    if (world_.witnessed())
        world_.tell(index, g,
                    fmt::format("{} -> {}: {}", to_upper_string(group.state), to_upper_string(state), why));
    group.state = state;
    group.advertise_at = kNoMoment;
    for (Family family : kFamilies) {
        group.master_down[static_cast<std::size_t>(family)] = kNoMoment;
        if (state == State::backup) restart_master_down(group, family);
    }
    if (state == State::master) advertise(g);
    world_.record(static_cast<std::uint64_t>(index), 8, static_cast<std::uint64_t>(state));
    world_.update_ownership(index, g);
}

// ---- what it says

std::uint8_t Foreign::advskew(const Group& group) const {
    const std::uint8_t own = group.config.advskew.value;
    if (kind() == Kind::openbsd) return own;
    if (kind() == Kind::freebsd) return static_cast<std::uint8_t>(std::min(own + group.demotion, 240));
    return group.demotion > 0 ? std::max(own, kDemotedAdvSkew) : own;
}

std::uint8_t Foreign::demote_byte(const Group& group) const {
    return kind() == Kind::openbsd ? static_cast<std::uint8_t>(group.demotion) : std::uint8_t{0};
}

Moment Foreign::interval(const Group& group) const {
    return advertisement_interval(group.config.advbase, AdvSkew{advskew(group)}).count();
}

// Undemoted values; OpenBSD waits three intervals, ucarp looks at its timer once in an interval.
void Foreign::restart_master_down(Group& group, Family family) {
    if (!group.config.has(family)) return;
    const Moment base = 3 * kSecond * group.config.advbase.seconds;
    const Moment own = advertisement_interval(group.config.advbase, group.config.advskew).count();
    Moment wait = base + group.config.advskew.duration().count();
    if (kind() == Kind::openbsd) wait = 3 * own;
    if (kind() == Kind::ucarp) wait += dice_.between(0, own);
    group.master_down[static_cast<std::size_t>(family)] = world_.now() + wait;
}

void Foreign::advertise(int g) {
    Group& group = groups_[static_cast<std::size_t>(g)];
    for (Family family : kFamilies)
        if (group.config.has(family)) send(g, family);
    group.advertise_at = world_.now() + interval(group);
}

std::uint64_t Foreign::next_counter(Group& group) {
    if (kind() == Kind::openbsd) {
        while (group.counter == 0) group.counter = dice_.next();
        return group.counter;
    }
    return group.counter = group.heard_anyone ? group.counter + 1 : dice_.next();
}

void Foreign::send(int g, Family family) {
    if (!connected(g)) return;
    Group& group = groups_[static_cast<std::size_t>(g)];
    Advertisement a;
    a.vhid = group.config.vhid.value;
    a.advskew = advskew(group);
    a.advbase = group.config.advbase.seconds;
    a.demote = demote_byte(group);
    a.counter = next_counter(group);
    a.digest = group.authenticator.sign(a.counter);
    const IpAddress destination = carp_multicast_group(family);
    const AdvertisementPacket bytes(link(0).source(family), destination, encode(a));
    const PacketId id = world_.packets().add();
    Packet& packet = world_.packets()[id];
    std::copy(bytes.bytes().begin(), bytes.bytes().end(), packet.bytes.begin());
    packet.size = static_cast<std::uint8_t>(bytes.bytes().size());
    packet.origin = static_cast<std::uint8_t>(index);
    packet.group = static_cast<std::uint16_t>(g);
    packet.genuine = true;
    packet.family = family;
    packet.read_standing();
    world_.transmit(id, destination);
}

void Foreign::rearm() {
    Moment next = kNoMoment;
    for (const Group& group : groups_) {
        if (group.state == State::master) next = std::min(next, group.advertise_at);
        if (group.state == State::backup) next = std::min({next, group.master_down[0], group.master_down[1]});
    }
    arm(next == kNoMoment ? next : std::max(next, world_.now()) + dice_.between(0, 200 * kMicrosecond));
}

}  // namespace carpd::sim
