#include "carp/virtual_host.h"

#include <algorithm>
#include <utility>

#include "balance/shares.h"
#include "carp/together.h"

namespace carpd {

namespace {

// Linux neighbours ignore a second ARP update within a second of the last (locktime), so announcements are
// further apart than that (rule A1).
constexpr Duration kAnnouncementGap = std::chrono::milliseconds(1100);
constexpr std::uint8_t kRepeatedAnnouncements = 2;
constexpr int kSendErrorLimit = 3;   // rule S1: this many failures in a row demote, as many successes clear
constexpr int kFaultDemotion = 240;  // of a host that can't send, or can't install its addresses
constexpr int kNewDemotion = 128;    // of a host that has just started, as OpenBSD's rc has it
constexpr std::uint8_t kDemotedAdvSkew = 240;  // rule M2
constexpr AdvSkew kSlowestAdvSkew{254};        // of all that can be configured

bool passed(Instant deadline, Instant now) {
    return deadline <= now;
}

std::unique_ptr<const Authenticator> alternate_of(const GroupConfig& config) {
    if (!config.accepts_another()) return nullptr;
    return std::make_unique<const Authenticator>(
        config.accept_key.value_or(config.key), config.vhid,
        config.accept_addresses.empty() ? config.addresses : config.accept_addresses);
}

}  // namespace

VirtualHost::VirtualHost(GroupId id, const GroupConfig& config, std::uint64_t first_counter, Instant now,
                         HostTally& tally)
    : id_(id),
      config_(&config),
      authenticator_(config_->key, config_->vhid, config_->addresses),
      alternate_(alternate_of(config)),
      sent_counters_(first_counter),
      tally_(tally),
      since_(now) {}

// ---- inputs

void VirtualHost::start(Instant now, const LinkStatus& link, Actions& out) {
    link_ = &link;
    cause_ = fault();
    if (cause_ == Cause::none) enter(now, State::backup, Cause::started, std::nullopt, out);
}

void VirtualHost::stop(Instant now, Cause cause, Actions& out) {
    enter(now, State::init, cause, std::nullopt, out);
}

void VirtualHost::on_link(Instant now, const LinkStatus& link, Actions& out) {
    expire_lease(now, out);
    link_ = &link;
    link_is_known_ = true;
    follow_fault(now, Cause::link_up, out);
}

// What keeps it in INIT came or went; `recovered` is why it leaves INIT then.
void VirtualHost::follow_fault(Instant now, Cause recovered, Actions& out) {
    const Cause now_wrong = fault();
    if (now_wrong == Cause::none) {
        const Cause cause = counters_.transitions_to_backup == 0 ? Cause::started : recovered;
        if (state_ == State::init) enter(now, State::backup, cause, std::nullopt, out);
    } else if (state_ != State::init) {
        enter(now, State::init, now_wrong, std::nullopt, out);
    } else {
        cause_ = now_wrong;
    }
}

// Without a link it could not be heard whatever the checks say.
Cause VirtualHost::fault() const {
    const Cause link = link_fault();
    return link == Cause::none && !withdrawn_by_.empty() ? Cause::check_failed : link;
}

Cause VirtualHost::link_fault() const {
    if (!link_->present) return Cause::interface_missing;
    if (!link_->up) return Cause::interface_down;
    if (!link_->running) return Cause::link_down;
    return Cause::none;
}

bool VirtualHost::is_alternate(const Advertisement& advertisement) const {
    return alternate_ && alternate_->verify(advertisement.counter, advertisement.digest);
}

std::optional<DropReason> VirtualHost::refuse(const IpPacket& packet,
                                              const Advertisement& advertisement) const {
    const bool routed = config_->peer_routed && !packet.destination.is_multicast();
    if (packet.hop_limit != kHopLimit && !routed) return DropReason::bad_ttl;  // R4
    if (state_ == State::init) return DropReason::not_running;                 // R8
    return refuse_as_strange(packet, advertisement);
}

std::optional<DropReason> VirtualHost::refuse_as_strange(const IpPacket& packet,
                                                         const Advertisement& advertisement) const {
    if (!config_->has(packet.source.family())) return DropReason::bad_family;  // R9
    const auto& peers = config_->peers;
    if (!peers.empty() && std::find(peers.begin(), peers.end(), packet.source) == peers.end())
        return DropReason::unknown_peer;  // R10
    if (!authenticator_.verify(advertisement.counter, advertisement.digest) && !is_alternate(advertisement))
        return DropReason::bad_digest;                                                 // R11
    if (sent_counters_.is_ours(advertisement.counter)) return DropReason::own_advert;  // R12
    return std::nullopt;
}

std::optional<DropReason> VirtualHost::on_advertisement(Instant now, const IpPacket& packet,
                                                        const Advertisement& advertisement, Actions& out) {
    if (auto reason = refuse(packet, advertisement)) {
        count_drop(now, packet.source, *reason, advertisement);
        return reason;
    }
    expire_lease(now, out);
    const Family family = packet.source.family();
    const Rival rival{packet.source, Standing::of(advertisement)};
    const Tie tie = tie_with(packet, advertisement);
    ++(family == Family::ipv4 ? counters_.advertisements_received_ipv4
                              : counters_.advertisements_received_ipv6);
    if (advertisement.is_bow_out()) ++counters_.bow_outs_received;
    if (alternate_ && !authenticator_.verify(advertisement.counter, advertisement.digest))
        ++counters_.alternate_accepted;
    sent_counters_.heard(advertisement.counter);
    if (!advertisement.is_bow_out()) tell_beat(now, packet.source);
    last_heard_ = rival;
    last_heard_at_ = now;

    Decision decision = judge(state_, standing(), rival.standing, preempts(now), tie);
    const bool would_take_over = decision.verdict == Verdict::take_over && can_take_over(now, decision.cause);
    const bool is_held =
        would_take_over && !advertisement.is_bow_out() && hold(now, decision.cause, true, out);
    if (!is_held) let_go();
    if (decision.verdict == Verdict::take_over && (is_held || !would_take_over))
        decision.verdict = Verdict::hold;
    if (state_ == State::master && !advertisement.is_bow_out()) ++counters_.rivals_heard;
    switch (decision.verdict) {
        case Verdict::take_over: enter(now, State::master, decision.cause, rival, out); break;
        case Verdict::yield: enter(now, State::backup, decision.cause, rival, out); break;
        case Verdict::reassert: reassert(now, decision.cause, rival, out); break;
        case Verdict::hold:
            if (state_ == State::backup) hear_master(now, family, rival, out);
            break;
    }
    return std::nullopt;
}

// A host sends in both families at once.
void VirtualHost::tell_beat(Instant now, const IpAddress& source) {
    if (source.family() == Family::ipv6 && config_->has(Family::ipv4)) return;
    if (source == beat_of_ && beat_at_ >= since_) tally_.advert_interval.count(now - beat_at_);
    beat_of_ = source;
    beat_at_ = now;
}

// Trying at every advertisement what has just failed would make the master yield and return each time, as
// fast as the network is (rule O2).
bool VirtualHost::has_just_failed(Instant now) const {
    const bool has_failed = cause_ == Cause::cannot_advertise || cause_ == Cause::addresses_refused;
    return has_failed && now < since_ + interval();
}

std::optional<Obstacle> VirtualHost::obstacle(Instant now) const {
    if (state_ != State::backup) return std::nullopt;
    if (held() != Cause::none) return Obstacle::held;
    if (!has_heard_master()) return Obstacle::no_master_heard;
    if (has_just_failed(now)) return Obstacle::just_failed;
    const Obstacle rule =
        carpd::obstacle(standing(), last_heard_->standing, config_->preempt, now >= preempts_at());
    const bool has_no_addresses = demotion_.amount(kAddressesDemotion) != 0;
    return rule == Obstacle::none && has_no_addresses ? Obstacle::no_addresses : rule;
}

// In our first interval it may not have heard us yet; and who was heard once may have given up.
bool VirtualHost::hears_rival(Instant now) const {
    if (state_ != State::master || !last_heard_ || last_heard_at_ < since_ + interval()) return false;
    const Standing& theirs = last_heard_->standing;
    return theirs.advbase.seconds != 255 &&
           now < last_heard_at_ + master_down_interval(theirs.advbase, theirs.advskew);
}

void VirtualHost::count_drop(Instant now, const IpAddress& source, DropReason reason,
                             const std::optional<Advertisement>& advertisement) {
    counters_.dropped.count(reason);
    // A beacon that is refused for the same reason tells less (Refusal::advertisement).
    const bool knows_more = !advertisement && last_refused_ && last_refused_->advertisement &&
                            last_refused_->reason == reason && last_refused_->source == source;
    last_refused_ = Refusal{reason, source, now, knows_more ? last_refused_->advertisement : advertisement};
}

bool VirtualHost::can_take_over(Instant now, Cause cause) const {
    if (has_just_failed(now)) return false;
    return cause == Cause::master_bowed_out || demotion_.amount(kAddressesDemotion) == 0;
}

void VirtualHost::on_timer(Instant now, Actions& out) {
    // A fixed order: first who we are, then what we say.
    expire_lease(now, out);
    if (passed(commit_until_, now)) {
        ++counters_.commits_missed;
        out.emplace_back(ReportUncommitted{id_, now - since_});
        install(out);
    }
    if (passed(master_down_at(), now)) time_out(now, out);
    if (passed(advertise_at_, now)) {
        if (state_ == State::master) {
            advertise(now, out);
        } else {
            send(now, SendProbe{id_}, out);
            arm_probe(now);
        }
    }
    if (passed(announce_at_, now)) announce(now, out);
    if (passed(hold_down_ends_, now)) {
        hold_down_ends_ = kNever;
        on_demotion(now, kHoldDownDemotion, 0, out);
    }
    if (membership_ && passed(membership_->look_again, now)) {
        membership_->look_again = kNever;
        membership_->told.reset();
    }
}

void VirtualHost::time_out(Instant now, Actions& out) {
    const VirtualHost* holder = hold(now, Cause::master_timed_out, false, out);
    if (!holder) return enter(now, State::master, Cause::master_timed_out, std::nullopt, out);
    for (Instant& due : master_down_)
        if (due != kNever) due = holder->gone_at();
}

void VirtualHost::on_send_result(Instant now, bool sent, Duration commit_wait, Actions& out) {
    sends_succeeded_ = sends_succeeded_ && sent;
    if (--sends_pending_ == 0) send_ended(now, commit_wait, out);
    if (!sent) {
        ++counters_.send_errors;
        consecutive_sends_ = 0;
        if (consecutive_send_errors_ < kSendErrorLimit && ++consecutive_send_errors_ == kSendErrorLimit)
            on_demotion(now, kSendErrorDemotion, kFaultDemotion, out);
    } else {
        consecutive_send_errors_ = 0;
        if (consecutive_sends_ < kSendErrorLimit && ++consecutive_sends_ == kSendErrorLimit)
            on_demotion(now, kSendErrorDemotion, 0, out);
    }
}

// Every copy was tried. A BSD's backup wants to hear both families, and each peer listens for itself: only if
// all of them were sent is nobody entitled to take over (rule F1).
void VirtualHost::send_ended(Instant now, Duration commit_wait, Actions& out) {
    if (state_ != State::master) return;
    if (!sends_succeeded_) {
        if (lease_until_ == kNever) enter(now, State::backup, Cause::cannot_advertise, std::nullopt, out);
        return;
    }
    lease_until_ = sends_began_ + lease_length(config_->advbase, config_->advskew);
    if (owns_) {
        out.emplace_back(RenewLease{id_, lease_until_});
    } else if (commit_wait == Duration(0)) {
        install(out);
    } else if (!waits_for_flows()) {
        commit_until_ = now + commit_wait;
        out.emplace_back(CommitFlows{id_});
    }
}

void VirtualHost::on_committed(Instant now, Actions& out) {
    expire_lease(now, out);
    if (waits_for_flows()) install(out);
}

void VirtualHost::install(Actions& out) {
    commit_until_ = kNever;
    owns_ = true;
    out.emplace_back(InstallAddresses{id_, lease_until_});
}

// A MASTER whose lease has lapsed may have a successor already, heard or not: it withdraws before it does
// anything else, and joins the election anew (rule F4).
void VirtualHost::expire_lease(Instant now, Actions& out) {
    if (passed(lease_until_, now)) enter(now, State::backup, Cause::lease_lapsed, std::nullopt, out);
}

void VirtualHost::on_install_result(Instant now, bool installed, Actions& out) {
    on_demotion(now, kAddressesDemotion, installed ? 0 : kFaultDemotion, out);
    if (state_ != State::master) return;
    if (installed) {
        if (succeeds_at_ != kNever) tally_.failover.count(now - succeeds_at_);
        succeeds_at_ = kNever;
        if (!announces()) return;
        announcements_left_ = kRepeatedAnnouncements;
        announce(now, out);
    } else {
        // Without its addresses a master is a black hole: let another host try, and try again when nobody
        // does.
        enter(now, State::backup, Cause::addresses_refused, std::nullopt, out);
    }
}

void VirtualHost::on_demotion(Instant now, std::string_view name, int amount, Actions& out) {
    expire_lease(now, out);
    const bool changed = demotion_.set(name, amount);
    if (changed) out.emplace_back(ReportDemotion{id_, std::string(name), demotion_.value()});
    // What a send brought to light is said with the next advertisement: of one sent at once some copies may
    // fail and others not, which would bring to light the opposite, and so on without end.
    if (changed && state_ == State::master && name != kSendErrorDemotion) advertise(now, out);  // rule M3
    if (state_ == State::backup) arm_probe(now);
}

void VirtualHost::on_failing_tracks(Instant now, const std::vector<FailingTrack>& failing, Actions& out) {
    Few<std::string> withdrawn_by;
    std::vector<std::string> past;
    for (const DemotionCounter::Contribution& c : demotion_.contributions())
        if (c.name.starts_with(kTrackDemotion)) past.push_back(c.name);
    // What is new is added before what is past is taken away, so that nobody hears of a moment between.
    for (const FailingTrack& track : failing) {
        if (!track.concerns(config_->name)) continue;
        if (track.withdraw) {
            withdrawn_by.push_back(track.name);
            continue;
        }
        const std::string name = std::string(kTrackDemotion) + track.name;
        std::erase(past, name);
        if (demotion_.amount(name) != track.demote) on_demotion(now, name, track.demote, out);
    }
    expire_lease(now, out);
    if (withdrawn_by != withdrawn_by_) {
        withdrawn_by_ = std::move(withdrawn_by);
        if (link_ != nullptr) follow_fault(now, Cause::check_passed, out);  // otherwise start() does
    }
    for (const std::string& name : past) on_demotion(now, name, 0, out);
}

// A BACKUP says nothing, so one that was demoted because it could not send would never find out that it can
// again: it tries with frames that nobody answers (rule S3).
void VirtualHost::arm_probe(Instant now) {
    advertise_at_ = demotion_.amount(kSendErrorDemotion) != 0 ? now + interval() : kNever;
}

void VirtualHost::hold_down(Instant now, Instant until, Actions& out) {
    hold_down_ends_ = until;
    on_demotion(now, kHoldDownDemotion, kNewDemotion, out);
}

bool VirtualHost::on_request(Instant now, State state, Actions& out, std::string_view together) {
    CARPD_ASSERT(state != State::init);
    expire_lease(now, out);
    if (state_ == State::init) return false;
    enter(now, state, Cause::operator_request, std::nullopt, out, together);
    return true;
}

void VirtualHost::reconfigure(Instant now, const GroupConfig& config, Actions& out) {
    CARPD_ASSERT(config.vhid == config_->vhid && config.interface == config_->interface);
    expire_lease(now, out);
    const bool addresses_changed = config.addresses != config_->addresses || config.mac != config_->mac;
    config_ = &config;
    if (!announces()) announce_at_ = kNever;  // it has become a carpnode
    authenticator_ = Authenticator(config_->key, config_->vhid, config_->addresses);
    alternate_ = alternate_of(config);
    if (state_ == State::backup)
        for (Family family : kFamilies)
            restart_master_down(now, family, last_heard_at_ >= since_ ? last_heard_ : std::nullopt);
    if (state_ != State::master) return;
    advertise(now, out);
    if (addresses_changed && owns_) out.emplace_back(InstallAddresses{id_, lease_until_});
}

// ---- the state machine

void VirtualHost::enter(Instant now, State state, Cause cause, const std::optional<Rival>& rival,
                        Actions& out, std::string_view together) {
    if (state == state_) return;
    const State from = state_;
    const Duration previous = now - since_;
    let_go();
    if (membership_) membership_->followed = together;
    succeeds_at_ = state == State::master && has_heard_master() ? last_heard_at_ : kNever;
    tally_.transitions.count(state, cause);
    state_ = state;
    cause_ = cause;
    since_ = now;
    disarm_all();
    if (from == State::master) leave_master(now, cause, rival, out);
    if (from == State::init) joined_at_ = now;
    switch (state) {
        case State::init: ++counters_.transitions_to_init; break;
        case State::backup:
            ++counters_.transitions_to_backup;
            for (Family family : kFamilies) restart_master_down(now, family, rival);
            arm_probe(now);
            break;
        case State::master:
            ++counters_.transitions_to_master;
            // Our first advertisement goes out before anything else: it silences the other backups, and its
            // source address turns the switches towards us. When it is sent, the addresses follow.
            advertise_at_ = now;
            advertise(now, out);
            break;
    }
    ReportTransition report{id_, from, state, cause, standing(), rival, now, previous, std::string(together)};
    if (cause == Cause::check_failed) report.check = withdrawn_by_.front();
    out.emplace_back(std::move(report));
}

// Until when this host goes on serving what another takes over. Where hosts share an address all of them get
// its packets, also those that came to the other one too early (rule N7 of balance.md).
Instant VirtualHost::hand_over_until(Instant now, bool to_another) const {
    if (!to_another || !config_->balance || !config_->balance->by_ip()) return Instant::min();
    return std::min(lease_until_, now + kHandOver);
}

// The addresses go first, so that no successor answers while we still do; then, in an orderly leave, the
// bow-out that makes a backup take over at once (rule B1). Without a link it could not be sent.
void VirtualHost::leave_master(Instant now, Cause cause, const std::optional<Rival>& rival, Actions& out) {
    const bool to_another = rival || cause == Cause::operator_request;
    if (owns_) out.emplace_back(WithdrawAddresses{id_, hand_over_until(now, to_another)});
    owns_ = false;
    lease_until_ = kNever;
    const bool orderly = cause == Cause::stopped || cause == Cause::removed ||
                         cause == Cause::operator_request || cause == Cause::addresses_refused ||
                         cause == Cause::check_failed ||
                         cause == Cause::cannot_advertise;  // of its copies some may have been sent
    if (!orderly) return;
    ++counters_.bow_outs_sent;
    const bool ends_connections = config_->balance && (cause == Cause::stopped || cause == Cause::removed);
    send_advertisements(now, out, ends_connections ? Saying::sign_off : Saying::bow_out);
}

// We stay MASTER although another one advertises: it must hear us, and so must everybody who learned
// addresses or switch ports from it (rule A4).
void VirtualHost::reassert(Instant now, Cause cause, const Rival& rival, Actions& out) {
    advertise_at_ = std::min(advertise_at_, std::max(now, advertised_at_ + interval() / 4));
    if (passed(advertise_at_, now)) advertise(now, out);
    if (owns_ && announces()) {
        announcements_left_ = kRepeatedAnnouncements;
        if (now >= announced_at_ + kAnnouncementGap)
            announce(now, out);
        else
            announce_at_ = std::min(announce_at_, announced_at_ + kAnnouncementGap);
    }
    // In our first interval it may not have heard us yet.
    if (now < since_ + interval() || now < rival_report_due_) return;
    rival_report_due_ = now + kReportGap;
    out.emplace_back(ReportRival{id_, cause, rival});
}

// With advbase 0 all timers follow from an advskew: a better host must not time out a slower master between
// two of its advertisements, nor before its lease is over (rule T5). Who has just joined first waits for one
// of the slowest master that there can be. A demoted master doesn't say its advskew.
Duration VirtualHost::master_down_wait(const std::optional<Rival>& master) const {
    const AdvBase base = config_->advbase;
    Duration wait = master_down_interval(base, config_->advskew);
    const bool joins = cause_ == Cause::started || cause_ == Cause::link_up || cause_ == Cause::check_passed;
    if (base.seconds == 0 && !master && joins)
        wait += advertisement_interval(base, kSlowestAdvSkew);
    else if (base.seconds == 0 && master && master->standing.advbase.seconds == 0 &&
             master->standing.demote == 0)
        wait = std::max(wait, master_down_interval(base, master->standing.advskew));
    return wait;
}

void VirtualHost::restart_master_down(Instant now, Family family, const std::optional<Rival>& master) {
    master_down(family) = config_->has(family) ? now + master_down_wait(master) : kNever;
}

// In one family only the master is alive, too: whoever took over would yield to it at once, and again and
// again. What keeps the other family back is for people to find (rule T3).
void VirtualHost::hear_master(Instant now, Family family, const Rival& master, Actions& out) {
    const Family other = family == Family::ipv4 ? Family::ipv6 : Family::ipv4;
    if (unheard_family() == family) {
        out.emplace_back(ReportPeer{id_, PeerNews::both_families, {}, master.source});
    } else if (passed(master_down(other), now)) {
        master_down(other) = kNever;
        const PeerNews news = family == Family::ipv4 ? PeerNews::ipv4_only : PeerNews::ipv6_only;
        out.emplace_back(ReportPeer{id_, news, {}, master.source});
    }
    restart_master_down(now, family, master);
}

std::optional<Family> VirtualHost::unheard_family() const {
    if (state_ != State::backup) return std::nullopt;
    for (Family family : kFamilies)
        if (config_->has(family) && master_down_[static_cast<std::size_t>(family)] == kNever) return family;
    return std::nullopt;
}

void VirtualHost::disarm_all() {
    advertise_at_ = announce_at_ = commit_until_ = kNever;
    if (membership_) membership_->look_again = kNever;
    for (Family family : kFamilies) master_down(family) = kNever;
}

Instant VirtualHost::next_deadline() const {
    const Instant look_again = membership_ ? membership_->look_again : kNever;
    return std::min({advertise_at_, announce_at_, hold_down_ends_, look_again, master_down_at(), lease_until_,
                     commit_until_});
}

// ---- what we say

Standing VirtualHost::standing() const {
    const std::uint8_t demote = demotion_.value();
    const AdvSkew skew =
        demote > 0 ? AdvSkew{std::max(config_->advskew.value, kDemotedAdvSkew)} : config_->advskew;
    return {config_->advbase, skew, demote};
}

// The beat is kept when one comes late, unless a whole interval was missed.
void VirtualHost::advertise(Instant now, Actions& out) {
    send_advertisements(now, out);
    advertised_at_ = now;
    advertised_advskew_ = standing().advskew;
    const Instant on_beat = advertise_at_ <= now ? advertise_at_ + interval() : now + interval();
    advertise_at_ = on_beat > now ? on_beat : now + interval();
}

void VirtualHost::send_advertisements(Instant now, Actions& out, Saying saying) {
    for (Family family : kFamilies) {
        if (!config_->has(family)) continue;
        if (config_->peers.empty()) send_copy(now, family, carp_multicast_group(family), saying, out);
        for (const IpAddress& peer : config_->peers)
            if (peer.family() == family) send_copy(now, family, peer, saying, out);
    }
}

void VirtualHost::send_copy(Instant now, Family family, const IpAddress& destination, Saying saying,
                            Actions& out) {
    ++(family == Family::ipv4 ? counters_.advertisements_sent_ipv4 : counters_.advertisements_sent_ipv6);
    send(now, SendAdvertisement{id_, destination, sign(source(destination), destination, saying)}, out);
}

AdvertisementPacket VirtualHost::sign(const IpAddress& from, const IpAddress& destination, Saying saying) {
    constexpr std::uint8_t kLeaves = 255;
    const bool bow_out = saying != Saying::advertisement;
    const Standing ours = standing();
    Advertisement advertisement;
    advertisement.vhid = config_->vhid.value;
    advertisement.advskew = bow_out ? kLeaves : ours.advskew.value;
    advertisement.advbase = bow_out ? kLeaves : ours.advbase.seconds;
    advertisement.demote = saying == Saying::sign_off ? kLeaves : ours.demote;
    // In a pool nothing but a sign-off says so (rule N9).
    if (config_->balance && saying == Saying::bow_out)
        advertisement.demote = std::min<std::uint8_t>(advertisement.demote, kLeaves - 1);
    advertisement.counter = sent_counters_.take();
    advertisement.digest = authenticator_.sign(advertisement.counter);
    const std::uint16_t mark = config_->balance ? fingerprint_of(*config_->balance) : std::uint16_t{0};
    return AdvertisementPacket(from, destination, encode(advertisement), mark);
}

void VirtualHost::announce(Instant now, Actions& out) {
    out.emplace_back(AnnounceAddresses{id_});
    ++counters_.announcements;
    announced_at_ = now;
    announce_at_ = announcements_left_ > 0 ? now + std::max(kAnnouncementGap, interval()) : kNever;
    if (announcements_left_ > 0) --announcements_left_;
}

// A parent without an address of its own sends from the first shared one, as the BSDs do (rule W7).
IpAddress VirtualHost::source(const IpAddress& destination) const {
    const Family family = destination.family();
    if (!link_->source_for(destination).is_unspecified()) return link_->source_for(destination);
    for (const InterfaceAddress& a : config_->addresses)
        if (a.address.family() == family) return a.address;
    return IpAddress::any(family);
}

Tie VirtualHost::tie_with(const IpPacket& packet, const Advertisement& advertisement) const {
    const Family family = packet.source.family();
    if (family == Family::ipv6 && config_->has(Family::ipv4)) return Tie::elsewhere;
    const IpAddress destination = config_->peers.empty() ? carp_multicast_group(family) : packet.source;
    const auto ours = std::pair(source(destination), sent_counters_.last());
    const auto theirs = std::pair(packet.source, advertisement.counter);
    return ours < theirs ? Tie::ours : Tie::theirs;
}

}  // namespace carpd
