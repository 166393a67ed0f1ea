#include "sync/channel.h"

#include <algorithm>
#include <utility>

namespace carpd {

namespace {

using std::chrono::milliseconds;

constexpr Duration kHelloInterval = milliseconds(200);  // of a channel that isn't up
constexpr Duration kAckDelay = milliseconds(5);
constexpr int kMostUnacknowledged = 8;
constexpr int kHellosAtOnce = 10;
constexpr Duration kHelloSpacing = milliseconds(100);
// A hello of an unknown stream takes some 3 us with two keys.
constexpr int kTriesAtOnce = 100;
constexpr Duration kTrySpacing = milliseconds(1);

// What is sealed, and its tag.
std::span<std::uint8_t> sealed(const SyncHeader& header, std::span<std::uint8_t> datagram) {
    return datagram.subspan(header.size());
}
Bytes clear(const SyncHeader& header, Bytes datagram) {
    return datagram.first(header.size());
}
Bytes body(const SyncHeader& header, Bytes datagram) {
    return datagram.subspan(header.size(), datagram.size() - header.size() - Aead::kTagSize);
}

bool open_by(const Aead& aead, const SyncHeader& header, std::span<std::uint8_t> datagram) {
    return aead.open(header.number, clear(header, datagram), sealed(header, datagram));
}

// Whether there are FLOWS among the regions; nothing if the body doesn't consist of regions.
std::optional<bool> holds_flows(Bytes body) {
    bool found = false;
    while (!body.empty()) {
        const auto region = next_region(body);
        if (!region) return std::nullopt;
        found |= region->kind == RegionKind::flows;
    }
    return found;
}

}  // namespace

Channel::Channel(Instant now, const ChannelConfig& config, const SyncKeys& keys, FillRandom fill_random)
    : config_(config),
      keys_(keys),
      fill_random_(std::move(fill_random)),
      since_(now),
      hello_at_(now),
      hello_limit_(kHellosAtOnce, kHelloSpacing),
      try_limit_(kTriesAtOnce, kTrySpacing) {
    CARPD_ASSERT(config_.name != HostName() && config_.dead_after > Duration::zero() &&
                 config_.packets_per_epoch > 0);
    std::uint8_t drawn[sizeof stream_ + sizeof nonce_];
    do {
        fill_random_(drawn);
        stream_ = read_u64(drawn, 0);
    } while (stream_ == 0);
    std::copy(drawn + sizeof stream_, std::end(drawn), nonce_.begin());
    own_keys_ = derive(0, stream_, nonce_);
    draw_challenge(now);
}

// ---- receiving

Expected<Channel::Received, SyncDrop> Channel::receive(Instant now, std::span<std::uint8_t> datagram) {
    expire(now);
    Judged judged = judge(now, datagram);
    if (!judged) {
        ++counters_.dropped[static_cast<std::size_t>(judged.error())];
        refusal_ = {judged.error(), now};
    }
    return judged;
}

Channel::Judged Channel::judge(Instant now, std::span<std::uint8_t> datagram) {
    const auto header = decode_sync_header(datagram);
    if (!header) return Unexpected{header.error()};
    if (header->stream == stream_) return Unexpected{SyncDrop::own_datagram};
    if (header->kind == SyncKind::data) return judge_data(now, *header, datagram);
    return peer_ && header->stream == peer_->stream ? judge_peer_hello(now, *header, datagram)
                                                    : judge_other_hello(now, *header, datagram);
}

// K6, K7
Channel::Judged Channel::judge_data(Instant now, const SyncHeader& header, std::span<std::uint8_t> datagram) {
    if (!peer_ || header.stream != peer_->stream) return Unexpected{SyncDrop::unknown_stream};
    if (!peer_->window.is_new(header.number)) return Unexpected{SyncDrop::replayed};
    const std::uint64_t epoch = epoch_of(header.number), current = epoch_of(peer_->window.highest());
    if (std::max(epoch, current) - std::min(epoch, current) > 1) return Unexpected{SyncDrop::bad_epoch};
    if (!opens(header, datagram)) return Unexpected{SyncDrop::bad_seal};
    const Received received{SyncKind::data, header.number, body(header, datagram)};
    const auto flows = holds_flows(received.body);
    if (!flows) return Unexpected{SyncDrop::bad_body};
    note_data(now, header.number, *flows);
    return received;
}

Channel::Judged Channel::judge_peer_hello(Instant now, const SyncHeader& header,
                                          std::span<std::uint8_t> datagram) {
    if (!peer_->window.is_new(header.number)) return Unexpected{SyncDrop::replayed};
    if (!opens(header, datagram)) return Unexpected{SyncDrop::bad_seal};
    const auto hello = read_hello(body(header, datagram));
    if (!hello) return Unexpected{hello.error()};
    peer_->window.add(header.number);
    heard_at_ = now;
    ++counters_.hellos_received;
    if (header.number > peer_->hello_number) {  // not one that was overtaken
        peer_->hello_number = header.number;
        note_hello(now, *hello);
    }
    return Received{SyncKind::hello, header.number, {}};
}

// K3, K4
Channel::Judged Channel::judge_other_hello(Instant now, const SyncHeader& header,
                                           std::span<std::uint8_t> datagram) {
    if (header.stream == 0) return Unexpected{SyncDrop::unknown_stream};
    const bool known = stranger_ && stranger_->stream == header.stream && stranger_->nonce == header.nonce &&
                       open_by(stranger_->keys->hello(), header, datagram);
    std::optional<Stranger> met;
    if (!known) {
        if (!try_limit_.take(now)) return Unexpected{SyncDrop::hello_flood};
        met = meet(header, datagram);
        if (!met) return Unexpected{SyncDrop::bad_seal};
    }
    const auto hello = read_hello(body(header, datagram));
    if (!hello) return Unexpected{hello.error()};
    if (met) stranger_ = std::move(met);
    stranger_->number = header.number;
    stranger_->challenge = hello->challenge;
    if (answers(*hello)) {
        accept(now, std::move(*stranger_), *hello);
        return Received{SyncKind::hello, header.number, {}};
    }
    stranger_waits_ = true;
    hello_at_ = std::min(hello_at_, now);
    return Unexpected{SyncDrop::unanswered};
}

// By the key that the peer used last, or the other.
bool Channel::opens(const SyncHeader& header, std::span<std::uint8_t> datagram) {
    for (const std::size_t key : {peer_->key, 1 - peer_->key}) {
        if (!peer_->keys[key]) continue;
        StreamKeys& keys = *peer_->keys[key];
        const Aead& aead = header.kind == SyncKind::hello ? keys.hello() : keys.data(epoch_of(header.number));
        if (!open_by(aead, header, datagram)) continue;
        peer_->key = key;
        return true;
    }
    return false;
}

std::optional<Channel::Stranger> Channel::meet(const SyncHeader& header,
                                               std::span<std::uint8_t> datagram) const {
    for (const std::size_t key : {0u, 1u}) {
        auto keys = derive(key, header.stream, header.nonce);
        if (keys && open_by(keys->hello(), header, datagram))
            return Stranger{header.stream, header.nonce, std::move(keys), key, header.number, {}};
    }
    return std::nullopt;
}

Expected<SyncHello, SyncDrop> Channel::read_hello(Bytes bytes) {
    const auto hello = decode_hello(bytes);
    if (!hello) return Unexpected{SyncDrop::bad_body};
    std::optional<SyncDrop> drop;
    if (hello->version_min > kSyncVersion || hello->version_max < kSyncVersion)
        drop = SyncDrop::bad_version;  // K5
    else if (hello->name == config_.name)
        drop = SyncDrop::same_name;  // K9
    else if (peer_ && hello->name != peer_->hello.name)
        drop = SyncDrop::other_name;
    if (!drop) return *hello;
    misfit_ = *hello;
    return Unexpected{*drop};
}

bool Channel::answers(const SyncHello& hello) const {
    return hello.answer == challenge_ || hello.answer == challenge_before_;
}

void Channel::accept(Instant now, Stranger stranger, const SyncHello& hello) {
    const bool another = stranger.stream != peer_stream();
    BothKeys keys;
    keys[1 - stranger.key] = derive(1 - stranger.key, stranger.stream, stranger.nonce);
    keys[stranger.key] = std::move(stranger.keys);
    peer_waits_ = false;
    peer_.emplace(Peer{stranger.stream, stranger.nonce, std::move(keys), stranger.key,
                       ReplayWindow(stranger.number), stranger.number, hello});
    stranger_.reset();
    stranger_waits_ = false;
    heard_at_ = now;
    unacknowledged_ = false;
    flows_unacknowledged_ = 0;
    ack_at_ = kNever;
    ++counters_.hellos_received;
    ++counters_.streams_accepted;
    draw_challenge(now);
    note_hello(now, hello);  // whose answer is old by now, so that a hello tells the peer
    if (another) since_ = now;
}

void Channel::note_hello(Instant now, const SyncHello& hello) {
    peer_->hello = hello;
    peer_accepts_ = hello.accepted == stream_;
    update_up(now);
    if (!peer_accepts_ || !answers(hello)) hello_at_ = now;
}

// N8
void Channel::note_data(Instant now, PacketNumber number, bool holds_flows) {
    const bool in_order = number == peer_->window.highest() + 1;
    peer_->window.add(number);
    heard_at_ = now;
    ++counters_.data_received;
    unacknowledged_ = true;
    if (holds_flows) ++flows_unacknowledged_;
    if (!in_order || flows_unacknowledged_ >= kMostUnacknowledged)
        ack_at_ = std::min(ack_at_, now);
    else if (holds_flows)
        ack_at_ = std::min(ack_at_, now + (peer_waits_ ? Duration(0) : kAckDelay));
}

// ---- time

void Channel::on_timer(Instant now) {
    expire(now);
}

Instant Channel::next_deadline() const {
    const Instant hello = hello_at_ == kNever ? kNever : std::max(hello_at_, hello_limit_.free_at());
    return std::min({hello, ack_deadline(), (peer_ ? heard_at_ : challenge_at_) + config_.dead_after});
}

void Channel::expire(Instant now) {
    if (peer_) {
        if (now - heard_at_ >= config_.dead_after) lose_peer(now);  // K8
        return;
    }
    // An answer may be on its way; one that was held up for longer is worth nothing (K1).
    const Duration age = now - challenge_at_;
    if (age < config_.dead_after) return;
    const Challenge before = challenge_;
    draw_challenge(now);
    if (age < 2 * config_.dead_after) challenge_before_ = before;
}

void Channel::lose_peer(Instant now) {
    peer_.reset();
    peer_accepts_ = false;
    unacknowledged_ = false;
    flows_unacknowledged_ = 0;
    ack_at_ = kNever;
    draw_challenge(now);
    update_up(now);
    hello_at_ = now;
}

void Channel::forget_peer(Instant now) {
    if (peer_) lose_peer(now);
}

void Channel::update_up(Instant now) {
    const bool up = peer_ && peer_accepts_;
    if (up == up_) return;
    up_ = up;
    since_ = now;
    if (up)
        hello_at_ = stranger_waits_ ? now : kNever;
    else
        ++counters_.downs;
}

void Channel::draw_challenge(Instant now) {
    fill_random_(challenge_);
    challenge_before_.reset();
    challenge_at_ = now;
}

// ---- sending

bool Channel::hello_due(Instant now) const {
    return hello_at_ <= now && hello_limit_.free_at() <= now;
}

// Every second one at least is for the peer whose stream we accept, however many strangers there are.
Challenge Channel::next_answer() {
    answered_stranger_ = stranger_waits_ && !(peer_ && answered_stranger_);
    if (answered_stranger_) stranger_waits_ = false;
    if (peer_ && !answered_stranger_) return peer_->hello.challenge;
    return stranger_ ? stranger_->challenge : Challenge{};
}

std::size_t Channel::write_hello(Instant now, const HostFacts& facts, std::span<std::uint8_t> out) {
    hello_limit_.take(now);
    const SyncHeader header{SyncKind::hello, stream_, next_number_++, nonce_};
    const SyncHello hello{.challenge = challenge_,
                          .answer = next_answer(),
                          .accepted = peer_stream(),
                          .name = config_.name,
                          .conntrack_max = facts.conntrack_max,
                          .wall_clock_ms = facts.wall_clock_ms};
    const std::size_t head = encode(header, out);
    const std::size_t size = head + encode(hello, out.subspan(head)) + Aead::kTagSize;
    own_keys_->hello().seal(header.number, out.first(head), out.subspan(head, size - head));
    ++counters_.hellos_sent;
    hello_at_ = stranger_waits_ ? now : up_ ? kNever : now + kHelloInterval;
    return size;
}

std::span<std::uint8_t> Channel::body_of(std::span<std::uint8_t> datagram) {
    CARPD_ASSERT(datagram.size() >= kDataOverhead);
    return datagram.subspan(kDataHeaderSize, datagram.size() - kDataOverhead);
}

std::size_t Channel::seal_data(std::span<std::uint8_t> datagram, std::size_t body_size) {
    CARPD_ASSERT(body_size <= body_of(datagram).size());
    const SyncHeader header{SyncKind::data, stream_, next_number_++, {}};
    const std::size_t head = encode(header, datagram);
    own_keys_->data(epoch_of(header.number))
        .seal(header.number, datagram.first(head), datagram.subspan(head, body_size + Aead::kTagSize));
    ++counters_.data_sent;
    return kDataOverhead + body_size;
}

SyncAck Channel::take_ack() {
    CARPD_ASSERT(peer_);
    const PacketNumber highest = peer_->window.highest();
    SyncAck ack{.stream = peer_->stream, .highest = highest};
    for (std::size_t i = 0; i < SyncAck::kMaxWords && highest > 64 * i + 1; ++i) {
        ack.words[i] = peer_->window.received_from(highest - 1 - 64 * i);
        if (ack.words[i]) ack.word_count = static_cast<std::uint8_t>(i + 1);
    }
    unacknowledged_ = false;
    flows_unacknowledged_ = 0;
    ack_at_ = kNever;
    return ack;
}

// ---- keys

const Secret* Channel::configured(std::size_t key) const {
    if (key == 0) return &keys_.first;
    return keys_.second ? &*keys_.second : nullptr;
}

std::unique_ptr<StreamKeys> Channel::derive(std::size_t key, StreamId stream,
                                            const StreamNonce& nonce) const {
    const Secret* const secret = configured(key);
    return secret ? std::make_unique<StreamKeys>(*secret, stream, nonce) : nullptr;
}

void Channel::set_keys(Instant now, const SyncKeys& keys) {
    const std::optional<Secret> used = peer_ ? std::optional(*configured(peer_->key)) : std::nullopt;
    keys_ = keys;
    own_keys_ = derive(0, stream_, nonce_);
    stranger_.reset();
    stranger_waits_ = false;
    if (!peer_) return;
    if (used != keys_.first && used != keys_.second) return lose_peer(now);
    peer_->key = used == keys_.first ? 0 : 1;
    for (const std::size_t key : {0u, 1u}) peer_->keys[key] = derive(key, peer_->stream, peer_->nonce);
}

}  // namespace carpd
