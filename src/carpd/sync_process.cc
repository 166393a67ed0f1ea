#include "carpd/sync_process.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "carpd/keeper.h"
#include "carpd/web_process.h"
#include "control/request.h"
#include "linux/clock.h"
#include "linux/process.h"
#include "linux/sandbox.h"

namespace carpd {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Events that come closer after one another may gather for so long: reading one costs five times what one in
// a batch does. A datagram that isn't full waits as long (N6), so it costs nothing else.
constexpr Duration kGathering = milliseconds(1);
// Batches of datagrams in, and out to each peer, before others have their turn.
constexpr int kBatchesAtOnce = 4;
// A dump may keep packets waiting, and at a takeover somebody waits already. What it finds can wait, where
// peers told of the flows.
constexpr Duration kDumpsWait = seconds(10);
// Nor does the first one begin before it is known whether this host is MASTER: what it lists would be
// nobody's (W6), and peers would be told that all of it ended.
constexpr Duration kNewsWait = seconds(1);
constexpr mode_t kControlMode = 0660;
constexpr Duration kTellEvery = seconds(1), kTryAgain = seconds(1), kCheckLimitsEvery = seconds(10);

void fill_random(std::span<std::uint8_t> out) {
    // Up to 256 bytes come whole, once the kernel has gathered enough; before that it waits.
    CARPD_ASSERT(getrandom(out.data(), out.size(), 0) == static_cast<ssize_t>(out.size()));
}

SyncHostConfig host_config(const SyncConfig& config, const FlowFilter& filter) {
    SyncHostConfig result;
    result.channel.name = config.name;
    result.channel.dead_after = config.dead_after;
    result.max_flows = config.max_flows;
    result.commit_at_takeover = config.commit_at_takeover;
    result.finds_peers = config.peers.empty();
    result.table_key = {random_seed(), random_seed()};
    result.defers = !config.defer.empty();
    result.tells = [&filter](const Flow& flow) { return filter.tells(flow); };
    return result;
}

// IPv6 has none, nor has a subnet of two addresses.
std::optional<IpAddress> broadcast_of(const InterfaceAddress& a) {
    if (a.address.family() != Family::ipv4 || a.prefix_length > 30) return std::nullopt;
    std::array<std::uint8_t, 4> bytes;
    for (int i = 0; i < 4; ++i) {
        const int host_bits = std::clamp(8 * (i + 1) - a.prefix_length, 0, 8);
        bytes[i] = static_cast<std::uint8_t>(a.address.bytes()[i] | ((1 << host_bits) - 1));
    }
    return IpAddress::from_bytes(bytes);
}

}  // namespace

// ---- start

Expected<std::unique_ptr<SyncProcess>, SysError> SyncProcess::open(const Config& config,
                                                                   MessageSocket& engine, int signals) {
    const bool defers = !config.sync->defer.empty();
    auto kernel = SyncKernel::open(defers);
    if (!kernel) return Unexpected{kernel.error()};
    auto deferral = defers ? std::make_unique<SyncDeferral>(*config.sync) : nullptr;
    auto opened = Netlink::open();
    if (!opened) return Unexpected{opened.error()};
    auto netlink = std::make_unique<Netlink>(std::move(*opened));
    auto links = LinkMonitor::open(*netlink);
    if (!links) return Unexpected{links.error()};
    auto control = LineServer::open(sync_socket(config.control), kControlMode,
                                    error_line("the request is longer than 4096 bytes"));
    if (!control) return Unexpected{control.error()};
    control->leave_file();
    admit_web(*control);  // later it can't, and a reload may bring [metrics]
    return std::unique_ptr<SyncProcess>(
        new SyncProcess(sync_settings(config), engine, signals,
                        Opened{std::move(*kernel), std::move(netlink), std::move(*links), std::move(*control),
                               std::move(deferral)}));
}

SyncProcess::SyncProcess(SyncSettings settings, MessageSocket& engine, int signals, Opened opened)
    : config_(std::move(settings.config)),
      engine_(engine),
      signals_(signals),
      kernel_(std::move(opened)),
      virtual_(std::move(settings.virtual_addresses)),
      filter_(config_.ignored, config_.protocols, config_.zones, config_.tcp_states, !config_.defer.empty()),
      host_(host_now(), host_config(config_, filter_), config_.keys, config_.peers.size(), fill_random),
      now_(host_now()),
      started_(now_) {
    for (const IpAddress& address : config_.peers) peers_.push_back({{.address = address}});
    if (config_.peers.empty())
        finder_.emplace(now_, host_config(config_, filter_).channel, config_.keys, fill_random,
                        kMostSyncPeers);
    finding_.group = *IpAddress::parse(kSyncGroup);
    kernel_.kernel.hold_dumps(now_ + kNewsWait);
    read_own_addresses();  // before there is any flow to judge
    if (kernel_.deferral)
        kernel_.kernel.watch_events([this](const FlowEvent& event) { kernel_.deferral->on_event(event); });
    engine_.send(to_message(FromSync(SyncGreeting{getpid()})));
}

// ---- the loop

void SyncProcess::run() {
    while (!has_ended() && !is_outdated_) {
        wait();
        now_ = host_now();
        if (is_ready(kSignals)) handle_signals();
        if (is_ready(kEngine)) hear_engine();
        follow_links();
        if (kernel_.deferral) catch_packets();
        if (waiting_ || gathers_ || !has_heard_peers_ || is_ready(kPeersIpv4) || is_ready(kPeersIpv6))
            hear_peers();
        report_commit();  // before what takes longer: addresses wait for it
        if (host_.next_deadline() <= now_) host_.on_timer(now_);
        kernel_.kernel.work(now_, host_, events_at_ <= now_ || holds_packets());
        if (kernel_.kernel.heard_events()) events_at_ = now_ + kGathering;
        host_.set_hurry(holds_packets());
        transmit();
        if (kernel_.deferral) kernel_.deferral->release(now_, kernel_.kernel.heard_all_events(), host_);
        report_peers();
        report_commit();
        if (finder_) find_peers();
        tell_engine();
        if (is_ready(kControl))
            kernel_.control.wake([this](auto client, std::string_view line) { handle_line(client, line); });
        continue_answers();
    }
    if (kernel_.deferral) kernel_.deferral->stop(now_);
    if (is_outdated_)
        log(LogLevel::notice, "state synchronisation begins anew, for [sync] says something else");
}

void SyncProcess::wait() {
    const auto peers = socket_ ? socket_->fds() : std::array{-1, -1};
    gathers_ = events_at_ > host_now() && !holds_packets();
    const bool hears_peers = !gathers_ || does_any_peer_defer();
    const auto watch = [this](Source source, int fd) { sources_[source] = {fd, POLLIN, 0}; };
    watch(kSignals, signals_);
    watch(kEngine, engine_.is_closed() ? -1 : engine_.fd());  // once it is closed it would wake us for ever
    watch(kLinks, kernel_.links.fd());
    watch(kControl, kernel_.control.fd());
    watch(kPeersIpv4, hears_peers ? peers[0] : -1);
    watch(kPeersIpv6, hears_peers ? peers[1] : -1);
    watch(kKernel, gathers_ ? -1 : kernel_.kernel.events_fd());
    watch(kDeferred, kernel_.deferral ? kernel_.deferral->fd() : -1);
    const Instant until = next_deadline();
    const Duration left = std::max(until - host_now(), Duration(0));
    const auto whole = std::chrono::duration_cast<seconds>(left);
    const timespec timeout{whole.count(), (left - whole).count()};
    ppoll(sources_.data(), sources_.size(), &timeout, nullptr);
}

Instant SyncProcess::next_deadline() const {
    if (waiting_ || transmitting_ || kernel_.kernel.has_work(now_, host_) || can_continue_answers())
        return Instant{};
    Instant next = std::min({host_.next_deadline(), kernel_.kernel.next_deadline(host_), addresses_at_,
                             limits_at_, tell_at_, end_at_});
    if (!socket_) next = std::min(next, open_at_);
    if (finder_) next = std::min(next, finder_->next_deadline());
    if (events_at_ > now_) next = std::min(next, events_at_);
    if (const auto& deferral = kernel_.deferral)
        next = std::min({next, deferral->follow_deadline(), deferral->next_deadline()});
    return std::max(next, Instant{});
}

void SyncProcess::handle_signals() {
    signalfd_siginfo info;
    while (read(signals_, &info, sizeof info) == sizeof info)
        if (info.ssi_signo == kEndSignal) begin_to_end();
}

void SyncProcess::configure(const SyncSettings& settings) {
    const SyncConfig& next = settings.config;
    virtual_ = settings.virtual_addresses;
    if (next.keys != config_.keys) {
        host_.set_keys(now_, next.keys);
        if (finder_) finder_->set_keys(now_, next.keys);
    }
    filter_ = FlowFilter(next.ignored, next.protocols, next.zones, next.tcp_states, !next.defer.empty());
    read_own_addresses();
    // All that can be taken over while sessions go on.
    config_.keys = next.keys;
    config_.commit_wait = next.commit_wait;
    config_.ignored = next.ignored;
    config_.protocols = next.protocols;
    config_.zones = next.zones;
    config_.tcp_states = next.tcp_states;
    is_outdated_ = next != config_;
}

// ---- the host's interfaces, and its limits

void SyncProcess::follow_links() {
    if ((is_ready(kLinks) || kernel_.links.is_stale()) && !kernel_.links.drain().empty()) {
        addresses_at_ = std::min(addresses_at_, now_ + kTryAgain);
        const Interface* const interface = kernel_.links.find(config_.interface);
        if (socket_ && (!interface || interface->ifindex() != socket_->ifindex()))
            close_socket(fmt::format("{} is gone", config_.interface));
        open_at_ = now_;
        if (kernel_.deferral) kernel_.deferral->follow(now_, kernel_.links);
    }
    if (!socket_ && open_at_ <= now_) open_socket();
    if (addresses_at_ <= now_) read_own_addresses();
    if (limits_at_ <= now_) check_limits();
}

void SyncProcess::open_socket() {
    open_at_ = now_ + kTryAgain;
    const Interface* const interface = kernel_.links.find(config_.interface);
    if (!interface) return close_socket(fmt::format("there is no interface {}", config_.interface));
    SyncSocket::Options options{
        config_.interface, interface->ifindex(), config_.port, config_.peer_routed, {}, {}};
    for (const Peer& peer : peers_)
        options.families[static_cast<std::size_t>(peer.figures.address.family())] = true;
    if (finder_) {
        options.group = finding_.group;
        options.families[static_cast<std::size_t>(Family::ipv6)] = true;
    }
    auto opened = SyncSocket::open(options, refused_);
    if (!opened) return close_socket(opened.error().to_string());
    socket_.emplace(std::move(*opened));
    if (!std::exchange(socket_trouble_, {}).empty())
        log(LogLevel::notice, fmt::format("state synchronisation: {} is there", config_.interface));
}

void SyncProcess::close_socket(const std::string& why) {
    socket_.reset();
    if (std::exchange(socket_trouble_, why) != why)
        log(LogLevel::warning, fmt::format("state synchronisation waits: {}", why));
}

void SyncProcess::read_own_addresses() {
    addresses_at_ = kNever;
    const auto addresses = kernel_.netlink->addresses();
    if (!addresses) {
        addresses_at_ = now_ + kTryAgain;
        return;
    }
    std::vector<IpAddress> own;
    for (const LinkAddress& a : *addresses) {
        if (std::binary_search(virtual_.begin(), virtual_.end(), a.address.address)) continue;
        own.push_back(a.address.address);
        if (const auto broadcast = broadcast_of(a.address)) own.push_back(*broadcast);
    }
    filter_.set_own(own);
}

void SyncProcess::check_limits() {
    limits_at_ = now_ + kCheckLimitsEvery;
    facts_.wall_clock_ms = wall_clock_ms();
    const bool was_tight = is_tight();
    limits_ = read_conntrack_limits();
    facts_.conntrack_max = limits_ ? limits_->max : 0;
    if (!was_tight && is_tight())
        log(LogLevel::warning,
            fmt::format(
                "the connection-tracking table has {} of {} entries: raise net.netfilter.nf_conntrack_max, "
                "for it must hold the flows of all hosts",
                limits_->entries, limits_->max));
}

// Nine tenths are in use.
bool SyncProcess::is_tight() const {
    return limits_ && limits_->entries / 9 >= limits_->max / 10;
}

// ---- deferral

void SyncProcess::catch_packets() {
    SyncDeferral& deferral = *kernel_.deferral;
    if (deferral.follow_deadline() <= now_) deferral.follow(now_, kernel_.links);
    deferral.set_active(end_at_ == kNever && host_.is_master() && is_any_peer_up());
    if (is_ready(kDeferred)) deferral.read(now_);
}

bool SyncProcess::is_any_peer_up() const {
    for (std::size_t i = 0; i < peers_.size(); ++i)
        if (host_.session(i).is_up()) return true;
    return false;
}

bool SyncProcess::does_any_peer_defer() const {
    for (std::size_t i = 0; i < peers_.size(); ++i)
        if (const auto& said = host_.session(i).said(); said && said->defers) return true;
    return false;
}

// ---- peers

void SyncProcess::hear_peers() {
    waiting_ = false;
    for (int i = 0; socket_ && i < kBatchesAtOnce; ++i) {
        const auto received = socket_->receive();
        waiting_ = !received.empty();
        if (!waiting_) break;
        for (const SyncSocket::Received& datagram : received) hear(datagram);
        if (host_.changes().size() >= SyncHost::kMostChanges) break;
    }
    has_heard_peers_ |= !waiting_;
}

// What a peer says to everybody concerns it while it isn't up: it may have started anew (P2).
void SyncProcess::hear(const SyncSocket::Received& datagram) {
    const auto peer = std::ranges::find(peers_, datagram.source, &Peer::address);
    const auto number = static_cast<std::size_t>(peer - peers_.begin());
    if (peer == peers_.end()) {
        if (finder_) return hear_stranger(datagram);
        ++strangers_;
        return;
    }
    if (datagram.to_group && host_.session(number).is_up()) return;
    ++peer->figures.datagrams_received;
    peer->figures.bytes_received += datagram.bytes.size();
    host_.receive(now_, number, datagram.bytes);
}

void SyncProcess::transmit() {
    transmitting_ = false;
    for (std::size_t peer = 0; socket_ && peer < peers_.size(); ++peer) transmitting_ |= transmit(peer);
}

// Whether there may be more.
bool SyncProcess::transmit(std::size_t peer) {
    static std::array<std::array<std::uint8_t, SyncSocket::kLongest>, SyncSocket::kAtOnce> room;
    std::array<Bytes, SyncSocket::kAtOnce> datagrams;
    for (int i = 0; i < kBatchesAtOnce; ++i) {
        std::size_t count = 0;
        for (; count < datagrams.size(); ++count) {
            const std::size_t size = host_.poll_transmit(now_, peer, facts_, room[count]);
            if (size == 0) break;
            datagrams[count] = Bytes(room[count].data(), size);
        }
        if (count > 0) send(peers_[peer].figures, std::span(datagrams).first(count));
        if (count < datagrams.size()) return false;
    }
    return true;
}

void SyncProcess::send(SyncPeerFigures& peer, std::span<const Bytes> datagrams) {
    const std::size_t sent = socket_->send(peer.address, datagrams);
    const int error = errno;
    for (const Bytes& datagram : datagrams.first(sent)) peer.bytes_sent += datagram.size();
    peer.datagrams_sent += sent;
    peer.send_errors += datagrams.size() - sent;
    peer.send_error = sent == 0 ? strerrordesc_np(error) : "";
}

void SyncProcess::report_peers() {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        const bool is_up = host_.session(i).is_up();
        if (std::exchange(peers_[i].was_up, is_up) == is_up) continue;
        const std::string name = name_of(i);
        const std::string address = peers_[i].figures.address.to_string();
        const auto why = why_down(host_.session(i).channel(), peers_[i].figures, config_, now_);
        log(is_up ? LogLevel::notice : LogLevel::warning,
            fmt::format("state synchronisation: {}{} is {}{}", name,
                        name == address ? "" : " (" + address + ")", is_up ? "up" : "down",
                        why ? ": " + *why : ""));
    }
}

std::string SyncProcess::name_of(std::size_t peer) const {
    return sync_peer_name(host_.session(peer).channel(), peers_[peer].address());
}

// ---- the engine

void SyncProcess::hear_engine() {
    while (const auto message = engine_.receive()) handle_message(*message);
    if (engine_.is_closed()) begin_to_end();
}

void SyncProcess::handle_message(std::string_view text) {
    const auto message = parse_to_sync(text);
    if (!message) {
        log(LogLevel::error,
            fmt::format("the engine sent what state synchronisation can't read: {}", message.error()));
        return;
    }
    if (const auto* const settings = std::get_if<SyncSettings>(&*message)) return configure(*settings);
    const auto* const news = std::get_if<Mastership>(&*message);
    if (news && !std::exchange(knows_news_, true)) kernel_.kernel.allow_dumps();
    const Mastership next = news ? *news : Mastership{};
    if (next.master != mastership_.master) {
        kernel_.kernel.set_master(now_, next.master);
        host_.set_master(now_, next.master);
    }
    if (next.takeover > mastership_.takeover) {
        if (next.master && mastership_.master) host_.take_over(now_);
        has_heard_peers_ = false;
        ++takeovers_;
        takeover_at_ = now_;
        if (holds_flows()) kernel_.kernel.hold_dumps(now_ + kDumpsWait);
    }
    if (!news) committed_ = 0;  // the next one begins anew
    mastership_ = next;
    if (news == nullptr) engine_.send(to_message(FromSync(SyncGreeting{getpid()})));
}

// Of peers.
bool SyncProcess::holds_flows() const {
    for (std::size_t i = 0; i < peers_.size(); ++i) {
        const Inbox& inbox = host_.session(i).inbox();
        if (inbox.table().size() > 0 || inbox.previous()) return true;
    }
    return false;
}

void SyncProcess::report_commit() {
    if (mastership_.takeover <= committed_ || !has_heard_peers_ || !host_.is_committed()) return;
    if (!engine_.send(to_message(FromSync(SyncCommitted{mastership_.takeover})))) return;
    committed_ = mastership_.takeover;
    last_commit_ = now_ - takeover_at_;
    bound_exceeded_ += *last_commit_ > config_.commit_wait ? 1 : 0;
}

// A message that isn't taken is said again a second later.
void SyncProcess::tell_engine() {
    SyncCopy copy{host_.incomplete(now_), static_cast<int>(peers_.size()), 0};
    for (std::size_t i = 0; i < peers_.size(); ++i) copy.peers_up += host_.session(i).is_up() ? 1 : 0;
    if (copy == told_ && now_ < tell_at_) return;
    told_ = copy;
    tell_at_ = now_ + kTellEvery;
    engine_.send(to_message(FromSync(copy)));
}

// ---- the end

void SyncProcess::begin_to_end() {
    if (end_at_ != kNever) return;
    end_at_ = now_ + kMostToDrain;
    host_.stop(now_);
}

bool SyncProcess::has_ended() const {
    return end_at_ <= now_ || (end_at_ != kNever && host_.is_drained());
}

int run_sync(const Config& config, MessageSocket engine) {
    const auto signals = open_signals({SIGHUP, SIGTERM, SIGINT, kEndSignal});
    auto process = signals ? SyncProcess::open(config, engine, signals->get()) : Unexpected{signals.error()};
    if (!process) {
        log(LogLevel::error, "state synchronisation can't work: " + process.error().to_string());
        return 1;
    }
    const Sandbox sandbox =
        enter_sandbox(config.sync->defer.empty() ? SandboxFor::sync : SandboxFor::deferring_sync);
    for (const SysError& warning : sandbox.warnings) log(LogLevel::warning, warning.to_string());
    log(LogLevel::debug, fmt::format("state synchronisation runs as the user {}",
                                     sandbox.user.empty() ? "that carpd runs as" : sandbox.user));
    (*process)->run();
    return 0;
}

}  // namespace carpd
