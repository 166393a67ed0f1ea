// A whole Node under any sequence of inputs, behind the daemon's own Pump. The bytes choose inputs and their
// contents; advertisements are signed with the group's key, so that what they say gets past authentication
// (and forged or mangled ones try to). What must hold after every input is in Host::check().
#include <algorithm>
#include <deque>
#include <map>
#include <numeric>

#include "carp/node_fuzz_draw.h"
#include "carp/pump.h"
#include "wire/checksum.h"

namespace carpd {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMaxInputs = 300;  // of a sequence
constexpr std::size_t kMaxActions = 40;  // for each group and packet of an input

// With what a peer of the group may sign: its own key and list, or what it accepts besides (rule D5).
Authenticator signer(const GroupConfig& group, bool alternate) {
    if (!alternate) return Authenticator(group.key, group.vhid, group.addresses);
    return Authenticator(group.accept_key.value_or(group.key), group.vhid,
                         group.accept_addresses.empty() ? group.addresses : group.accept_addresses);
}

// All of a group that a refused packet may not change.
struct View {
    State state;
    Cause cause;
    Instant since, heard_at, deadline, lease_until;
    std::uint8_t demotion;
    Counters counters;
    bool operator==(const View&) const = default;
};

View view(const VirtualHost& group) {
    Counters counters = group.counters();
    counters.dropped = {};
    return {group.state(),
            group.cause(),
            group.since(),
            group.last_heard_at(),
            group.next_deadline(),
            group.lease_until(),
            group.demotion().value(),
            counters};
}

std::uint64_t sum(const GroupDropCounters& dropped) {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < kDropReasonCount; ++i) total += dropped[static_cast<DropReason>(i)];
    return total;
}

InterfaceId interface_of(const GroupConfig& group) {
    return static_cast<InterfaceId>(
        std::find(std::begin(kInterfaceNames), std::end(kInterfaceNames), group.interface) -
        std::begin(kInterfaceNames));
}

// The host around the node: hears what was queued, owns what was installed, and counts for itself.
class Host : public Port {
 public:
    explicit Host(Draw draw) : draw_(draw), node_(1), pump_(node_, *this) {}

    void run() {
        configure();
        for (std::size_t i = 0; i < kMaxInputs && !draw_.empty() && !stopped_; ++i) {
            actions_ = 0;
            packets_ = 0;
            input();
            check();
        }
    }

 private:
    // What the host knows of a group, gone with it.
    struct Group {
        bool owns = false, last_sent = false;
        bool waits = false, may_install = false;  // for its flows, and no longer has to
        Instant waits_until = kNever;
        Instant lease_until = kNever;
        Counters counters;
    };
    struct Packet {
        std::vector<std::uint8_t> bytes;
        InterfaceId interface;
        bool forged;
    };

    void input();
    void configure();
    void check();
    void check_group(const VirtualHost& group);
    void queue_packet();
    void queue_beacon();
    void pass_time();
    void change_link();
    void request_state();
    void synchronise(std::uint8_t what);
    void commit(GroupId id);
    std::optional<GroupId> draw_id();
    void count() { CARPD_ASSERT(++actions_ <= kMaxActions * (kGroups + packets_)); }
    bool attempt(std::uint8_t& faults) {
        faults = static_cast<std::uint8_t>(faults << 1 | faults >> 7);
        return !(faults & 1);
    }
    bool send(GroupId group) {
        count();
        groups_[group].last_sent = attempt(send_faults_);
        if (!groups_[group].last_sent) ++groups_[group].counters.send_errors;
        return groups_[group].last_sent;
    }
    bool say(const SendAdvertisement& action);
    bool install(const InstallAddresses& action);
    std::map<GroupId, View> views() const;
    std::uint64_t drops() const;

    std::span<const ReceivedPacket> receive() override;
    void refused(const ReceivedPacket& packet, DropReason reason, const GroupId* group) override;
    void perform(const WithdrawAddresses& action) override;
    void perform(std::span<SendAdvertisement> actions) override;
    bool perform(const SendProbe& action) override { return send(action.group); }
    void perform(std::span<const CommitFlows> actions) override;
    void perform(std::span<InstallAddresses> actions) override;
    void perform(const RenewLease& action) override;
    void perform(const SetPool&) override {}
    void perform(const SendFloodProbe& action) override;
    void perform(const SendBeacon& action) override;
    void perform(std::span<const AnnounceAddresses> actions) override;
    void perform(const ReportTransition& action) override;
    void perform(const ReportRival&) override { count(); }
    void perform(const ReportHeld&) override { count(); }
    void perform(const ReportPool&) override { count(); }
    void perform(const ReportPeer&) override { count(); }
    void perform(const ReportDemotion&) override { count(); }
    void perform(const ReportUncommitted& action) override;

    Draw draw_;
    Node node_;
    Pump pump_;
    Instant now_{std::chrono::hours(1)};
    std::map<GroupId, Group> groups_;
    std::vector<FailingTrack> failing_;
    Duration commit_wait_{0};
    int sync_demotion_ = 0;
    bool stopped_ = false;

    // What waits on the sockets, and the batch that the pump has now.
    std::deque<Packet> waiting_;
    std::vector<Packet> heard_;
    std::vector<ReceivedPacket> batch_;
    std::vector<std::uint8_t> last_sent_packet_;
    // Before the batch, to see that a refused packet changes nothing but one counter.
    std::map<GroupId, View> views_before_;
    std::uint64_t drops_before_ = 0;
    std::size_t forged_waiting_ = 0;

    std::uint8_t send_faults_ = 0, install_faults_ = 0;  // a bit for each of the next eight attempts
    std::size_t actions_ = 0, packets_ = 0;              // of the input
};

// ---- inputs

void Host::input() {
    const std::uint8_t kind = draw_.byte();
    if (kind >= 252) return synchronise(kind);
    if (kind == 251) return queue_beacon();
    switch (kind < 240 ? kind % 10 : 10) {
        case 0:
        case 1: queue_packet(); break;
        case 2:
        case 3: pass_time(); [[fallthrough]];
        case 4:
            pump_.wake(now_);
            pump_.report();
            CARPD_ASSERT(node_.next_deadline() > now_);
            break;
        case 5: change_link(); break;
        case 6:
            send_faults_ = draw_.byte();
            install_faults_ = draw_.byte();
            break;
        case 7:
            if (const auto id = draw_id()) {
                const char* const name = draw_.of({"operator", "disk", "health"});
                const int amount = 2 * draw_.byte() - 255;
                pump_.input(now_, [&](Node& node, Actions& out) {
                    node.handle_demotion(now_, *id, name, amount, out);
                });
            }
            break;
        case 8: request_state(); break;
        case 9:
            stopped_ = draw_.byte() == 255;
            if (!stopped_) return configure();
            pump_.input(now_, [&](Node& node, Actions& out) { node.stop(now_, out); });
            break;
        case 10:
            failing_ = draw_failing_tracks(draw_);
            pump_.input(now_,
                        [&](Node& node, Actions& out) { node.handle_failing_tracks(now_, failing_, out); });
    }
}

void Host::synchronise(std::uint8_t what) {
    if (what == 252) {
        if (const auto id = draw_id()) commit(*id);
        return;
    }
    if (what == 255) {
        sync_demotion_ = draw_.byte() & 1 ? 240 : 0;
        return pump_.input(
            now_, [&](Node& node, Actions& out) { node.demote_for_sync(now_, sync_demotion_, out); });
    }
    commit_wait_ = what == 253 ? milliseconds(8 * draw_.byte()) : Duration(0);
    if (commit_wait_ == Duration(0))
        for (auto& [id, group] : groups_) group.may_install = true;
    pump_.input(now_, [&](Node& node, Actions& out) { node.set_commit_wait(now_, commit_wait_, out); });
}

// One that waits has its addresses then, unless it finds that it has come too late.
void Host::commit(GroupId id) {
    groups_[id].may_install = true;
    pump_.input(now_, [&](Node& node, Actions& out) { node.handle_committed(now_, id, out); });
    CARPD_ASSERT(!node_.group(id)->waits_for_flows());
}

void Host::request_state() {
    const auto id = draw_id();
    if (!id) return;
    const State state = draw_.of({State::backup, State::master});
    const VirtualHost& group = *node_.group(*id);
    const bool running = group.state() != State::init;
    pump_.input(now_, [&](Node& node, Actions& out) {
        CARPD_ASSERT(node.handle_request(now_, *id, state, out) == running);
    });
    if (!running || state == State::master || !group.set()) return;
    for (const VirtualHost* member : group.set()->members())
        CARPD_ASSERT(member->state() != State::master);  // G4
}

// Any of the groups, in any order; what is missing is removed.
void Host::configure() {
    std::vector<GroupConfig> groups;
    const std::uint8_t present = draw_.byte();
    for (std::size_t i = 0; i < kGroups; ++i)
        if (!(present & 1 << i)) groups.push_back(draw_group(i, draw_));
    if (present & 64)
        for (GroupConfig& group : groups) draw_more(group, draw_);
    if (present & 32) make_pool(groups, draw_);
    if (present & 128) std::reverse(groups.begin(), groups.end());
    pump_.input(now_, [&](Node& node, Actions& out) { node.configure(now_, share(groups), out); });
    std::erase_if(groups_, [&](const auto& entry) {
        if (node_.group(entry.first)) return false;
        CARPD_ASSERT(!entry.second.owns);
        return true;
    });
}

std::optional<GroupId> Host::draw_id() {
    if (node_.group_slots() == 0) return std::nullopt;
    const auto id = static_cast<GroupId>(draw_.below(node_.group_slots()));
    return node_.group(id) ? std::optional(id) : std::nullopt;
}

void Host::change_link() {
    if (node_.interfaces().empty()) return;
    const std::uint8_t drawn = draw_.byte();
    LinkStatus link;
    link.running = !(drawn & 2);
    link.up = !(drawn & 4);
    link.present = !(drawn & 8);
    if (!(drawn & 16)) link.source4 = kSources4[0];
    if (!(drawn & 32)) link.source6 = kSources6[0];
    if (drawn & 64) link.global6 = kSources6[3];
    const auto interface = static_cast<InterfaceId>(drawn % 2u % node_.interfaces().size());
    pump_.input(now_, [&](Node& node, Actions& out) { node.handle_link(now_, interface, link, out); });
}

// To the next deadline, early or late by anything up to minutes, or by milliseconds.
void Host::pass_time() {
    const std::uint8_t how = draw_.byte();
    const Duration drawn = milliseconds(draw_.byte()) * (1 << how % 4 * 4);
    const Instant deadline = node_.next_deadline();
    if (how & 128 || deadline == kNever)
        now_ += drawn;
    else if (how & 64)
        now_ = std::max(now_, deadline - std::min<Duration>(drawn, std::chrono::minutes(1)));
    else
        now_ = std::max(now_, deadline) + (how & 32 ? drawn : Duration(0));
}

// An advertisement to a group, in whatever state it is: right in everything that the bytes don't spoil.
void Host::queue_packet() {
    const auto id = draw_id();
    if (!id) return;
    const GroupConfig& group = node_.group(*id)->config();
    const std::uint8_t flaws = draw_.byte();
    const bool ipv4 = draw_.byte() % 2 == 0;
    Advertisement a;
    a.vhid = group.vhid.value;
    a.advbase = draw_.byte();
    a.advskew = draw_.byte();
    a.demote = draw_.byte();
    a.counter = draw_.byte();
    a.digest = signer(group, flaws & 32).sign(a.counter);
    const bool forged = flaws & 1;
    if (forged) a.digest[draw_.below(a.digest.size())] ^= static_cast<std::uint8_t>(1 << draw_.below(8));
    const IpAddress source = ipv4 ? draw_.of(kSources4) : draw_.of(kSources6);
    const IpAddress destination = ipv4 ? draw_.of(kDestinations4) : draw_.of(kDestinations6);
    const AdvertisementPacket packet(source, destination, encode(a));
    std::vector<std::uint8_t> bytes(packet.bytes().begin(), packet.bytes().end());
    if (flaws & 2 && !forged) bytes[draw_.below(bytes.size())] ^= draw_.byte();
    if (flaws & 4) bytes.resize(draw_.below(bytes.size() + 10));
    if (flaws & 8 && !forged && !last_sent_packet_.empty()) bytes = last_sent_packet_;
    const auto interface = flaws & 16 ? static_cast<InterfaceId>(draw_.below(3)) : interface_of(group);
    forged_waiting_ += forged;
    waiting_.push_back({std::move(bytes), interface, forged});
}

// Of one of many hosts; some are wrong.
void Host::queue_beacon() {
    const auto id = draw_id();
    if (!id) return;
    const GroupConfig& group = node_.group(*id)->config();
    const bool ipv4 = draw_.byte() % 2 == 0;
    Beacon beacon;
    beacon.vhid = group.vhid.value;
    beacon.host = draw_.byte() % 32 == 0 ? node_.host() : draw_.byte() % 32;
    beacon.sequence = draw_.byte();
    beacon.state = draw_.byte() % Beacon::kStates;
    beacon.leaves = draw_.byte() % 8 == 0;
    beacon.advbase = draw_.byte();
    beacon.since_ms = 256u * draw_.byte();
    for (int hearings = draw_.byte() % 4; hearings > 0; --hearings)
        beacon.add(
            {draw_.byte() % 2 ? node_.host() : 1, {draw_.byte(), draw_.byte()}, draw_.byte(), draw_.byte()});
    const char* const names[] = {"fw1", "fw2", ""};
    beacon.set_name(draw_.of(names));
    const IpAddress& source = ipv4 ? draw_.of(kSources4) : draw_.of(kSources6);
    const BeaconPacket packet(source, carp_multicast_group(source.family()), beacon, HmacSha1(group.key));
    waiting_.push_back({{packet.bytes().begin(), packet.bytes().end()}, interface_of(group), false});
    std::vector<std::uint8_t>& bytes = waiting_.back().bytes;
    if (const std::uint8_t flaw = draw_.byte(); flaw < 64) bytes[flaw % bytes.size()] ^= draw_.byte();
}

// ---- the port

std::span<const ReceivedPacket> Host::receive() {
    heard_.clear();
    batch_.clear();
    const std::size_t size = std::min<std::size_t>(waiting_.size(), 3);
    for (std::size_t i = 0; i < size; ++i) {
        heard_.push_back(std::move(waiting_.front()));
        waiting_.pop_front();
    }
    for (const Packet& packet : heard_) batch_.push_back({packet.interface, packet.bytes});
    packets_ += size;
    views_before_ = views();
    drops_before_ = drops();
    if (size == 0) CARPD_ASSERT(forged_waiting_ == 0);  // each was refused
    return batch_;
}

void Host::refused(const ReceivedPacket& packet, DropReason, const GroupId*) {
    const auto place = static_cast<std::size_t>(&packet - batch_.data());
    if (heard_[place].forged) --forged_waiting_;
    if (place != 0) return;  // those before it may have changed anything
    CARPD_ASSERT(views() == views_before_);
    CARPD_ASSERT(drops() == drops_before_ + 1);
}

void Host::perform(const SendBeacon& action) {
    count();
    CARPD_ASSERT(groups_.contains(action.group));
    const auto packet = parse_ip_packet(action.packet);
    CARPD_ASSERT(packet && decode_beacon(packet->payload)->hearings().size() <= GroupPeers::kMostPeers);
}

void Host::perform(std::span<SendAdvertisement> actions) {
    for (SendAdvertisement& action : actions) action.sent = say(action);
}

bool Host::say(const SendAdvertisement& action) {
    Counters& counters = groups_[action.group].counters;
    const auto packet = parse_ip_packet(action.packet.bytes());
    CARPD_ASSERT(packet && packet->destination == action.destination);
    const auto advertisement = decode_advertisement(packet->payload);
    CARPD_ASSERT(advertisement);
    const bool ipv4 = action.destination.family() == Family::ipv4;
    ++(ipv4 ? counters.advertisements_sent_ipv4 : counters.advertisements_sent_ipv6);
    last_sent_packet_.assign(action.packet.bytes().begin(), action.packet.bytes().end());
    return send(action.group);
}

void Host::perform(std::span<const CommitFlows> actions) {
    for (const CommitFlows& action : actions) {
        count();
        Group& group = groups_[action.group];
        CARPD_ASSERT(commit_wait_ > Duration(0) && !group.owns && group.last_sent);
        group.waits = true;
        group.may_install = false;
        group.waits_until = now_ + commit_wait_;
    }
}

void Host::perform(std::span<InstallAddresses> actions) {
    for (InstallAddresses& action : actions) action.installed = install(action);
}

bool Host::install(const InstallAddresses& action) {
    count();
    Group& group = groups_[action.group];
    CARPD_ASSERT(group.owns || group.waits || (group.last_sent && commit_wait_ == Duration(0)));  // F1, F3
    CARPD_ASSERT(group.owns || !group.waits || group.may_install || now_ >= group.waits_until);   // Y1
    group.waits = false;
    CARPD_ASSERT(action.lease_until > now_);
    group.owns = true;  // of some, even if not of all
    group.lease_until = action.lease_until;
    return attempt(install_faults_);
}

void Host::perform(const RenewLease& action) {
    count();
    Group& group = groups_[action.group];
    CARPD_ASSERT(group.owns && group.last_sent);
    const GroupConfig& config = node_.group(action.group)->config();
    CARPD_ASSERT(action.until > now_ && action.until <= now_ + lease_length(config.advbase, config.advskew));
    group.lease_until = action.until;
}

void Host::perform(const WithdrawAddresses& action) {
    count();
    Group& group = groups_[action.group];
    CARPD_ASSERT(group.owns);
    group.owns = false;
    group.lease_until = kNever;
}

void Host::perform(std::span<const AnnounceAddresses> actions) {
    for (const AnnounceAddresses& action : actions) {
        count();
        CARPD_ASSERT(groups_[action.group].owns);
        CARPD_ASSERT(!node_.group(action.group)->config().balance);  // N5
        ++groups_[action.group].counters.announcements;
    }
}

// Only who serves sends one, and it is no advertisement.
void Host::perform(const SendFloodProbe& action) {
    count();
    const Balancer* pool = node_.pool(action.group);
    CARPD_ASSERT(pool && pool->config().by_ip() && groups_[action.group].owns);
    const auto packet = parse_ip_packet(action.packet.bytes());
    CARPD_ASSERT(packet && pool->has_address(packet->destination));
}

void Host::perform(const ReportTransition& action) {
    count();
    CARPD_ASSERT(action.from != action.to && action.at == now_ && action.previous >= Duration(0));
    CARPD_ASSERT(action.cause != Cause::none);
    Counters& counters = groups_[action.group].counters;
    switch (action.to) {
        case State::init: ++counters.transitions_to_init; break;
        case State::backup: ++counters.transitions_to_backup; break;
        case State::master: ++counters.transitions_to_master; break;
    }
}

void Host::perform(const ReportUncommitted& action) {
    count();
    CARPD_ASSERT(groups_[action.group].waits_until <= now_);
    ++groups_[action.group].counters.commits_missed;
}

// ---- what must hold

std::map<GroupId, View> Host::views() const {
    std::map<GroupId, View> all;
    for (GroupId id = 0; id < node_.group_slots(); ++id)
        if (const VirtualHost* group = node_.group(id)) all.emplace(id, view(*group));
    return all;
}

std::uint64_t Host::drops() const {
    std::uint64_t total = std::accumulate(node_.dropped().begin(), node_.dropped().end(), std::uint64_t{0});
    for (GroupId id = 0; id < node_.group_slots(); ++id)
        if (const VirtualHost* group = node_.group(id)) total += sum(group->counters().dropped);
    return total;
}

void Host::check() {
    Instant earliest = kNever;
    std::size_t masters = 0;
    for (GroupId id = 0; id < node_.group_slots(); ++id) {
        if (const VirtualHost* group = node_.group(id)) {
            check_group(*group);
            masters += group->state() == State::master;
            earliest = std::min(earliest, group->next_deadline());
            if (const Balancer* pool = node_.pool(id)) earliest = std::min(earliest, pool->next_deadline());
            if (const GroupPeers* peers = node_.peers(id))
                earliest = std::min(earliest, peers->next_deadline());
        }
    }
    CARPD_ASSERT(node_.next_deadline() == earliest && node_.masters() == masters);
}

void Host::check_group(const VirtualHost& group) {
    Group& host = groups_[group.id()];
    if (group.state() != State::master) host.waits = false;  // Y2
    CARPD_ASSERT(host.waits == group.waits_for_flows());
    CARPD_ASSERT(host.owns == (group.state() == State::master && !host.waits));
    CARPD_ASSERT(group.demotion().amount(kSyncDemotion) == sync_demotion_);
    CARPD_ASSERT(host.lease_until == group.lease_until());
    CARPD_ASSERT(host.owns || group.lease_until() == kNever);
    if (stopped_) CARPD_ASSERT(group.state() == State::init);
    const bool is_withdrawn = std::any_of(failing_.begin(), failing_.end(), [&](const FailingTrack& t) {
        return t.withdraw && t.concerns(group.config().name);
    });
    CARPD_ASSERT(is_withdrawn == !group.withdrawn_by().empty());
    if (is_withdrawn) CARPD_ASSERT(group.state() == State::init);  // H2
    // An INIT group has nothing to wait for; the others always have.
    CARPD_ASSERT((group.state() == State::init) == (group.next_deadline() == kNever));
    const Counters &counted = group.counters(), &seen = host.counters;
    CARPD_ASSERT(counted.commits_missed == seen.commits_missed);
    CARPD_ASSERT(counted.transitions_to_init == seen.transitions_to_init);
    CARPD_ASSERT(counted.transitions_to_backup == seen.transitions_to_backup);
    CARPD_ASSERT(counted.transitions_to_master == seen.transitions_to_master);
    CARPD_ASSERT(counted.advertisements_sent_ipv4 == seen.advertisements_sent_ipv4);
    CARPD_ASSERT(counted.advertisements_sent_ipv6 == seen.advertisements_sent_ipv6);
    // One that was asked for and then taken back by a withdrawal is not made.
    CARPD_ASSERT(counted.announcements >= seen.announcements && counted.send_errors == seen.send_errors);
    const std::uint64_t received =
        counted.advertisements_received_ipv4 + counted.advertisements_received_ipv6;
    CARPD_ASSERT(counted.bow_outs_received + counted.rivals_heard <= received);
    CARPD_ASSERT(counted.alternate_accepted <= received);
    CARPD_ASSERT(counted.bow_outs_sent <= counted.transitions_to_master);
}

}  // namespace
}  // namespace carpd

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    carpd::Host(carpd::Draw({data, size})).run();
    return 0;
}
