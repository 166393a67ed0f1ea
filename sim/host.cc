#include "sim/host.h"

#include <fmt/format.h>

#include "sim/world.h"

namespace carpd::sim {

namespace {

constexpr std::size_t kBatch = 64;  // packets that one system call reads
constexpr std::int64_t kTimerSlack = 60 * kMicrosecond;

}  // namespace

Host::Host(World& world, int i)
    : Station(world, i),
      clock_{plan().clock_offset, plan().clock_ppm},
      kernel_(world.groups()),
      lease_event_(static_cast<std::size_t>(world.groups())),
      settings_(static_cast<std::size_t>(world.groups())),
      demotions_(static_cast<std::size_t>(world.groups())),
      lives_(static_cast<std::size_t>(world.groups())),
      refused_(static_cast<std::size_t>(world.groups())),
      id_of_(static_cast<std::size_t>(world.groups())),
      takeovers_(static_cast<std::size_t>(world.groups())),
      interface_replaced_(world.plan().interfaces),
      interface_id_(world.plan().interfaces) {
    for (const PoolPlan& pool : world.plan().pools) shares_.emplace_back(pool.balance, pool.key);
    settling_until_.assign(shares_.size(), Instant::min());
}

Instant Host::local_now() const {
    return clock_.at(world_.now());
}

// ---- what happens to it

void Host::deliver(PacketId packet) {
    const auto interface = interface_of(world_.packets()[packet].group);
    if (!node_ || !interface_id_[interface]) return;
    if (inbox_.size() >= plan().receive_buffer) return world_.lost_in_buffer();
    world_.packets().hold(packet);
    inbox_.push_back(packet);
    wake_soon();
}

void Host::wake_soon() {
    // A timer that goes by while it sleeps wakes nobody.
    if (!awake() || (wake_pending_ && armed())) return;
    if (const Fault* late = world_.active(FaultKind::late_wake_ups, index)) {
        wake_pending_ = true;
        deadline_ = kNever;  // whatever it waited for, it is this late for it as well
        arm(world_.now() + world_.dice().between(0, late->span));
    } else {
        wake();
    }
}

void Host::condition_changed() {
    if (ailments.crashed > 0) kernel_.withdraw_all();
    if (!has_process()) die();
    if (awake() && !node_)
        start();
    else if (awake())
        wake_soon();
    for (int g = 0; g < world_.groups(); ++g) world_.update_ownership(index, g);
}

void Host::link_changed(std::size_t interface) {
    link_pending_ = true;
    const bool vanished = ailments.vanished[interface] > 0;
    if (vanished) interface_replaced_[interface] = true;
    for (int g = 0; g < world_.groups(); ++g) {
        if (vanished && interface_of(g) == interface) kernel_.withdraw(g);
        world_.update_ownership(index, g);
    }
    if (node_) wake_soon();
}

void Host::demote(int group, int amount) {
    if (!node_) return;
    requests_.push_back({group, true, amount, State::init});
    wake_soon();
}

void Host::request_state(int group, State state) {
    if (!node_) return;
    requests_.push_back({group, false, 0, state});
    wake_soon();
}

void Host::configuration_changed() {
    if (!node_) return;
    configuration_pending_ = true;
    wake_soon();
}

void Host::checks_changed() {
    if (!node_) return;
    checks_pending_ = true;
    wake_soon();
}

void Host::start() {
    ++starts_;
    kernel_.withdraw_all();  // what an earlier life left
    demotions_.assign(demotions_.size(), 0);
    refused_.assign(refused_.size(), false);
    settings_.assign(settings_.size(), Settings{.present = false});
    const auto purpose = 1000u + static_cast<unsigned>(index) * 1000u + starts_;
    interface_id_.assign(interface_id_.size(), std::nullopt);
    node_ = std::make_unique<Node>(stream(world_.plan().seed, purpose));
    pump_ = std::make_unique<Pump>(*node_, static_cast<Port&>(*this));
    world_.tell(index, -1, "starts carpd");
    for (const auto& checker : world_.checkers()) checker->on_start(index);
    configuration_pending_ = link_pending_ = checks_pending_ = true;
    begin_to_synchronise();
    wake();
}

void Host::begin_to_synchronise() {
    if (!synchronises()) return;
    copy_ = CopyState();
    copy_.set_wanted(true);
    copied_at_ = world_.now() + kCopying;
    heartbeat_ = local_now();
    lacks_flows_ = true;
    sync_demotion_ = 0;
    takeovers_.assign(takeovers_.size(), 0);
    pump_->input(local_now(), [this](Node& node, Actions& out) {
        node.set_commit_wait(local_now(), Duration(plan().commit_wait), out);
    });
    follow_copy();
}

void Host::die() {
    if (!node_) return;
    world_.tell(index, -1, "carpd is gone");
    pump_.reset();
    node_.reset();
    forget_heard();
    for (PacketId id : inbox_) world_.packets().release(id);
    inbox_.clear();
    requests_.clear();
    committed_.clear();
    wake_pending_ = link_pending_ = checks_pending_ = configuration_pending_ = copy_pending_ = false;
    deadline_ = kNever;
}

void Host::stop() {
    if (!node_ || !awake()) return;
    world_.tell(index, -1, "stops in order");
    pump_->input(local_now(), [this](Node& node, Actions& out) { node.stop(local_now(), out); });
    for (const auto& checker : world_.checkers()) checker->after_wake(index, touched_, true);
}

// ---- one wake-up, in the engine's order: what the host is, what the network says, what is due, who wishes

void Host::wake() {
    if (!awake() || !node_) return;
    wake_pending_ = false;
    touched_.clear();
    bool all = link_pending_ || checks_pending_ || configuration_pending_ || copy_pending_ ||
               !committed_.empty() || !requests_.empty();
    if (configuration_pending_ && node_->group_slots() == 0) {  // at its start
        follow_checks();
        configure();
    }
    if (link_pending_) follow_links();
    pump_->wake(local_now());
    pump_->report();
    forget_heard();
    if (checks_pending_) follow_checks();
    if (configuration_pending_) configure();
    answer_requests();
    hear_commits();
    follow_copy();
    rearm();
    world_.record(index, 1, touched_.size());
    for (const auto& checker : world_.checkers()) checker->after_wake(index, touched_, all);
}

void Host::follow_links() {
    link_pending_ = false;
    pump_->input(local_now(), [this](Node& node, Actions& out) {
        for (std::size_t i = 0; i < interface_id_.size(); ++i) {
            if (!interface_id_[i]) continue;
            // One that came back is another one, as the engine says, too.
            if (interface_replaced_[i]) node.handle_link(local_now(), *interface_id_[i], LinkStatus{}, out);
            node.handle_link(local_now(), *interface_id_[i], link(i), out);
            interface_replaced_[i] = false;
        }
    });
}

void Host::follow_checks() {
    checks_pending_ = false;
    pump_->input(local_now(), [this](Node& node, Actions& out) {
        node.handle_failing_tracks(local_now(), world_.failing_checks(index), out);
    });
}

void Host::hear_commits() {
    for (const std::uint32_t takeover : committed_)
        for (int g = 0; g < world_.groups(); ++g) {
            const VirtualHost* group = virtual_host(g);
            if (!group || takeovers_[static_cast<std::size_t>(g)] != takeover) continue;
            for (const auto& checker : world_.checkers()) checker->on_committed(index, g);
            pump_->input(local_now(), [&](Node& node, Actions& out) {
                node.handle_committed(local_now(), group->id(), out);
            });
        }
    committed_.clear();
}

// Its process speaks whenever it is heard; how silence is judged the unit test shows.
void Host::follow_copy() {
    copy_pending_ = false;
    if (!synchronises()) return;
    if (heartbeat_ <= local_now()) heartbeat_ = local_now() + std::chrono::seconds(1);
    lacks_flows_ = world_.now() < copied_at_ || world_.active(FaultKind::lacks_flows, index) != nullptr;
    copy_.heard(local_now(), !lacks_flows_);
    copy_.set_master(local_now(), node_->masters() > 0);
    const int demotion = copy_.demotion(local_now());
    if (demotion == sync_demotion_) return;
    sync_demotion_ = demotion;
    pump_->input(local_now(),
                 [&](Node& node, Actions& out) { node.demote_for_sync(local_now(), demotion, out); });
}

void Host::configure() {
    configuration_pending_ = false;
    std::vector<GroupConfig> configs;
    for (int g = 0; g < world_.groups(); ++g) {
        Settings now = world_.settings(index, g);
        if (!now.present)
            now = Settings{.present = false, .key = settings(g).key, .addresses = settings(g).addresses};
        if (now.present) configs.push_back(world_.plan().config(index, g, now));
        if (now == settings(g)) continue;
        if (now.present && !settings(g).present) ++lives_[static_cast<std::size_t>(g)];
        settings_[static_cast<std::size_t>(g)] = now;
        for (const auto& checker : world_.checkers()) checker->on_configured(index, g);
    }
    pump_->input(local_now(), [&](Node& node, Actions& out) {
        node.configure(local_now(), share(configs), out);
        group_of_.resize(node.group_slots());
        for (GroupId id = 0; id < node.group_slots(); ++id) {
            if (!node.group(id)) continue;
            group_of_[id] = node.group(id)->config().vhid.value - 1;
            id_of_[static_cast<std::size_t>(group_of_[id])] = id;
        }
    });
    for (InterfaceId id = 0; id < node_->interfaces().size(); ++id)
        for (std::size_t i = 0; i < interface_id_.size(); ++i)
            if (node_->interfaces()[id] == interface_name(i) && !interface_id_[i]) {
                interface_id_[i] = id;
                link_pending_ = true;
            }
    if (link_pending_) follow_links();
    for (int g = 0; g < world_.groups(); ++g)
        if (!settings(g).present) {
            demotions_[static_cast<std::size_t>(g)] = 0;
            refused_[static_cast<std::size_t>(g)] = false;
        }
}

void Host::answer_requests() {
    for (std::size_t i = 0; i < requests_.size(); ++i) {
        const Request request = requests_[i];
        const VirtualHost* group = virtual_host(request.group);
        if (!group) continue;
        const GroupId id = group->id();
        if (request.is_demotion) demotions_[static_cast<std::size_t>(request.group)] = request.amount;
        pump_->input(local_now(), [&](Node& node, Actions& out) {
            if (request.is_demotion)
                node.handle_demotion(local_now(), id, kOperatorDemotion, request.amount, out);
            else
                node.handle_request(local_now(), id, request.state, out);
        });
    }
    requests_.clear();
}

void Host::rearm() {
    if (!inbox_.empty()) return arm(world_.now() + kMicrosecond);  // Pump stopped in a flood
    const Instant deadline = std::min(node_->next_deadline(), heartbeat_);
    if (deadline == deadline_ && armed()) return;
    deadline_ = deadline;
    if (deadline == kNever) return arm(kNoMoment);
    const Fault* late = world_.active(FaultKind::late_wake_ups, index);
    const std::int64_t lateness = world_.dice().between(0, late ? late->span : kTimerSlack);
    arm(std::max(clock_.when(deadline), world_.now()) + lateness);
}

void Host::committed(std::uint32_t takeover) {
    if (!node_) return;
    committed_.push_back(takeover);
    wake_soon();
}

void Host::copy_changed() {
    if (!node_) return;
    copy_pending_ = true;
    wake_soon();
}

void Host::lease_due(int group) {
    lease_event_[static_cast<std::size_t>(group)] = false;
    if (kernel_.installed(group) && kernel_.answers(group, local_now())) lease_changed(group);
    world_.update_ownership(index, group);
}

void Host::lease_changed(int group) {
    if (lease_event_[static_cast<std::size_t>(group)]) return;
    lease_event_[static_cast<std::size_t>(group)] = true;
    const Moment lapses = clock_.when(kernel_.lease_until(group));
    world_.schedule(std::max(lapses, world_.now()), EventKind::lease, index,
                    static_cast<std::uint32_t>(group));
}

// ---- how it is

const VirtualHost* Host::virtual_host(int group) const {
    if (!node_) return nullptr;
    const GroupId id = id_of_[static_cast<std::size_t>(group)];
    return id < node_->group_slots() && group_of(id) == group ? node_->group(id) : nullptr;
}

State Host::state(int group) const {
    const VirtualHost* found = virtual_host(group);
    return found ? found->state() : State::init;
}

bool Host::owns(int group) const {
    return kernel_.installed(group) && machine_runs() && connected(group) &&
           kernel_.answers(group, local_now());
}

int Host::demotion(int group) const {
    const int refused = refused_[static_cast<std::size_t>(group)] ? 240 : 0;
    int sum = demotions_[static_cast<std::size_t>(group)] + refused;
    for (const FailingTrack& check : world_.failing_checks(index))
        if (check.concerns(world_.plan().groups[static_cast<std::size_t>(group)].name)) sum += check.demote;
    // What a MASTER has is the truth; who has just become one despite its lack is that no more when the world
    // has settled.
    if (lacks_flows_ && node_ && node_->masters() == 0) sum += 240;
    return std::min(255, sum);
}

// ---- what it does for the core

std::span<const ReceivedPacket> Host::receive() {
    report_heard();
    batch_.clear();
    batch_begins_ = heard_.size();
    const std::size_t count = std::min(kBatch, inbox_.size());
    for (std::size_t i = 0; i < count; ++i) {
        const Packet& packet = world_.packets()[inbox_[i]];
        batch_.push_back({*interface_id_[interface_of(packet.group)], packet.view()});
        heard_.push_back({inbox_[i], false, DropReason::bad_interface});
    }
    inbox_.erase(inbox_.begin(), inbox_.begin() + static_cast<std::ptrdiff_t>(count));
    return batch_;
}

void Host::refused(const ReceivedPacket& packet, DropReason reason, const GroupId*) {
    Heard& heard = heard_[batch_begins_ + static_cast<std::size_t>(&packet - batch_.data())];
    heard.refused = true;
    heard.reason = reason;
}

// The core has judged the whole batch before any of its actions is performed.
void Host::report_heard() {
    for (; heard_reported_ < heard_.size(); ++heard_reported_) {
        const Heard& heard = heard_[heard_reported_];
        world_.record(index, heard.refused ? 2 : 3, world_.packets()[heard.packet].group);
        if (world_.packets()[heard.packet].flood_probe) continue;  // it says nothing to a group
        for (const auto& checker : world_.checkers()) checker->on_heard(index, heard);
    }
}

void Host::forget_heard() {
    report_heard();
    for (const Heard& heard : heard_) world_.packets().release(heard.packet);
    heard_.clear();
    batch_.clear();
    heard_reported_ = batch_begins_ = 0;
}

bool Host::can_send(int group, const std::optional<IpAddress>& destination) {
    if (!has_interface(group)) return false;
    const Fault* failing = world_.active(FaultKind::send_failures, index);
    if (!failing) return true;
    if (failing->some_copies && destination) {
        const HostPlan& peer = world_.plan().hosts[static_cast<std::size_t>(failing->peer)];
        const bool concerns = destination->is_multicast()
                                  ? destination->family() == failing->family
                                  : *destination == peer.own4 || *destination == peer.global6;
        if (!concerns) return true;
    }
    return !world_.dice().permille(failing->chance);
}

void Host::perform(std::span<SendAdvertisement> actions) {
    for (SendAdvertisement& action : actions) action.sent = send(action);
}

bool Host::send(const SendAdvertisement& action) {
    const int group = group_of(action.group);
    touch(group);
    const Bytes bytes = action.packet.bytes();
    const Bytes payload = bytes.last(kAdvertisementSize);
    const bool bow_out = payload[2] == 255 && payload[5] == 255;
    const bool sent = can_send(group, action.destination);
    for (const auto& checker : world_.checkers()) checker->on_said(index, group, bow_out, sent);
    if (!sent) {
        world_.tell(index, group, "cannot send");
        return false;
    }
    const PacketId id = packet_of(group, action.packet, action.destination);
    world_.transmit(id, action.destination);
    return true;
}

PacketId Host::packet_of(int group, const AdvertisementPacket& advertisement, const IpAddress& destination) {
    const Bytes bytes = advertisement.bytes();
    const PacketId id = world_.packets().add();
    Packet& packet = world_.packets()[id];
    std::copy(bytes.begin(), bytes.end(), packet.bytes.begin());
    packet.size = static_cast<std::uint8_t>(bytes.size());
    packet.origin = static_cast<std::uint8_t>(index);
    packet.life = life(group);
    packet.group = static_cast<std::uint16_t>(group);
    packet.secret = signing_secret(group);
    packet.genuine = true;
    packet.unicast = !destination.is_multicast();
    packet.family = destination.family();
    packet.read_standing();
    return id;
}

bool Host::perform(const SendProbe& action) {
    touch(group_of(action.group));
    return can_send(group_of(action.group));
}

// One takeover in four is never committed.
void Host::perform(std::span<const CommitFlows> actions) {
    ++takeover_;
    for (const CommitFlows& action : actions) {
        const int group = group_of(action.group);
        touch(group);
        takeovers_[static_cast<std::size_t>(group)] = takeover_;
        for (const auto& checker : world_.checkers()) checker->on_commit_wanted(index, group);
        world_.tell(index, group, "waits for its flows");
    }
    if (world_.dice().one_in(4)) return;
    const Moment after = world_.dice().scaled(kMicrosecond, 2 * plan().commit_wait);
    world_.schedule(world_.now() + after, EventKind::commit, index, takeover_);
}

void Host::perform(std::span<InstallAddresses> actions) {
    for (InstallAddresses& action : actions) action.installed = install(action);
}

bool Host::install(const InstallAddresses& action) {
    const int group = group_of(action.group);
    touch(group);
    for (const auto& checker : world_.checkers()) checker->on_install(index, group);
    const bool refuse = !has_interface(group) || world_.active(FaultKind::install_failures, index);
    refused_[static_cast<std::size_t>(group)] = refuse;
    if (refuse) {
        world_.tell(index, group, "cannot install the addresses");
        return false;
    }
    kernel_.install(group, action.lease_until);
    lease_changed(group);
    world_.update_ownership(index, group);
    return true;
}

void Host::perform(const RenewLease& action) {
    const int group = group_of(action.group);
    touch(group);
    kernel_.renew(group, action.until);
    if (!kernel_.installed(group)) return;
    lease_changed(group);
    world_.update_ownership(index, group);
}

void Host::perform(const WithdrawAddresses& action) {
    const int group = group_of(action.group);
    touch(group);
    kernel_.withdraw(group);
    world_.update_ownership(index, group);
}

void Host::perform(std::span<const AnnounceAddresses> actions) {
    for (const AnnounceAddresses& action : actions) {
        const int group = group_of(action.group);
        world_.record(index, 4, static_cast<std::uint64_t>(group));
        for (const auto& checker : world_.checkers()) checker->on_announced(index, group);
    }
}

void Host::perform(const ReportTransition& action) {
    report_heard();
    const int group = group_of(action.group);
    touch(group);
    world_.record(index, 5,
                  static_cast<std::uint64_t>(action.to) << 8 | static_cast<std::uint64_t>(action.cause));
    if (world_.witnessed()) {
        std::string text = fmt::format("{} -> {}: {}", to_upper_string(action.from),
                                       to_upper_string(action.to), to_string(action.cause));
        if (!action.together.empty()) text += ", together with " + action.together;
        if (action.rival) text += " (" + describe(*action.rival, action.ours) + ")";
        world_.tell(index, group, text);
    }
    const Change change{
        index, group, action.from, action.to, action.cause, action.ours, !action.together.empty(), heard_};
    for (const auto& checker : world_.checkers()) checker->on_change(change);
}

void Host::perform(const ReportRival& action) {
    world_.record(index, 6, static_cast<std::uint64_t>(action.cause));
    if (world_.witnessed())
        world_.tell(index, group_of(action.group), fmt::format("stays MASTER: {}", to_string(action.cause)));
}

void Host::perform(const ReportHeld& action) {
    world_.record(index, 8, static_cast<std::uint64_t>(action.cause));
    if (world_.witnessed())
        world_.tell(index, group_of(action.group),
                    fmt::format("held by {}: {}", action.member, to_string(action.cause)));
}

void Host::perform(const ReportDemotion& action) {
    world_.record(index, 7, action.value);
    if (action.name != kSendErrorDemotion && !action.name.starts_with(kTogetherDemotion))
        for (const auto& checker : world_.checkers()) checker->on_demoted(index, group_of(action.group));
    if (world_.witnessed())
        world_.tell(index, group_of(action.group),
                    fmt::format("demotion is now {} ({})", action.value, action.name));
}

void Host::perform(const ReportUncommitted& action) {
    world_.record(index, 9, static_cast<std::uint64_t>(action.waited.count()));
    world_.tell(index, group_of(action.group), "answers although its flows were not committed");
}

std::string Host::describe(const Rival& rival, const Standing& ours) {
    const auto standing = [](const Standing& s) {
        return fmt::format("{}/{}{}", s.advbase.seconds, s.advskew.value,
                           s.demote == 0 ? "" : fmt::format(" demoted by {}", s.demote));
    };
    return fmt::format("heard {} from {}, ours {}", standing(rival.standing), rival.source.to_string(),
                       standing(ours));
}

}  // namespace carpd::sim
