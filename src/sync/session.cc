#include "sync/session.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace carpd {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kStatusInterval = milliseconds(100);
constexpr Duration kStatusHurry = seconds(1);
constexpr Duration kDigestInterval = seconds(10);
constexpr Duration kDigestsAfterAsk = seconds(1);
constexpr Duration kAskAllAgain = seconds(1);
// So that neither leaves no room for the other, nor both none for a status and an acknowledgement.
constexpr std::size_t kMostAsks = 64, kMostDigests = 96;
static_assert(kDataOverhead + 5 * kRegionHeaderSize + kStatusSize + kLongestAck + 2 * kMostAsks + 2 +
                  8 * kMostDigests <=
              SyncSession::kLeastDatagram);

}  // namespace

SyncSession::SyncSession(Instant now, const ChannelConfig& config, const SyncKeys& keys,
                         Channel::FillRandom fill_random, FlowTable& own, const SipKey& table_key)
    : own_(own),
      channel_(now, config, keys, std::move(fill_random)),
      outbox_(own),
      inbox_(own.max_slots(), table_key) {}

// ---- what comes

bool SyncSession::watch(Instant now) {
    const Mark mark{channel_.counters().streams_accepted, channel_.counters().downs};
    const bool ended = mark != mark_;
    if (ended) {
        mark_ = mark;
        outbox_.stop();
        if (std::exchange(inbox_used_, false)) inbox_.restart();
        said_.reset();
        said_in_ = term_since_ = 0;
        told_all_ = false;
        status_at_ = digests_at_ = ask_all_at_ = kNever;
        next_bucket_ = kBuckets;
        to_ask_.reset();
        differs_.reset();
    }
    if (channel_.is_up() && !outbox_.is_running()) {
        outbox_.restart();
        hurry_status(now);
        digests_at_ = now + kDigestInterval;
    }
    return ended;
}

void SyncSession::on_ack(Instant now, const SyncAck& ack) {
    if (ack.stream != channel_.stream() || !outbox_.is_running()) return;
    if (asked_all_in_ > 0 && ack.covers(asked_all_in_)) ask_all_at_ = kNever;
    outbox_.acknowledged(now, {ack.highest, {ack.words.data(), ack.word_count}});
    if (told_all_ || !outbox_.is_complete()) return;
    told_all_ = true;
    hurry_status(now);
    digests_at_ = now;
}

void SyncSession::on_digests(PacketNumber number, const SyncDigests& digests) {
    for (std::size_t i = 0; i < digests.size() && digests.first + i < kBuckets; ++i) {
        const std::size_t bucket = digests.first + i;
        const auto differs = inbox_.differs(number, bucket, digests[i]);
        if (!differs) continue;
        differs_.set(bucket, *differs);
        if (*differs) to_ask_.set(bucket);
    }
}

void SyncSession::on_ask(Instant now, const SyncAsk& ask) {
    if (ask.all())
        for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) outbox_.ask(now, bucket);
    for (std::size_t i = 0; i < ask.size(); ++i) outbox_.ask(now, ask[i]);
    digests_at_ = std::min(digests_at_, now + kDigestsAfterAsk);
}

bool SyncSession::on_status(PacketNumber number, const SyncStatus& status) {
    if (number < said_in_) {
        if (status.term == said_->term) term_since_ = std::min(term_since_, number);
        return false;
    }
    if (!said_ || said_->term != status.term) term_since_ = number;
    said_ = status;
    said_in_ = number;
    channel_.set_peer_waits(status.defers);
    return true;
}

Change SyncSession::on_record(PacketNumber number, const Record& record) {
    inbox_used_ = true;
    return inbox_.apply(number, record);
}

// ---- what leaves

void SyncSession::hurry_status(Instant now) {
    status_at_ = now;
    status_until_ = now + kStatusHurry;
}

std::size_t SyncSession::transmit(Instant now, SyncStatus says, const HostFacts& facts,
                                  std::span<std::uint8_t> out) {
    CARPD_ASSERT(out.size() >= kLeastDatagram);
    if (channel_.hello_due(now)) return channel_.write_hello(now, facts, out);
    if (!channel_.is_up()) return 0;
    if (digests_at_ <= now) {
        next_bucket_ = 0;
        digests_at_ = now + kDigestInterval;
    }
    if (!data_is_due(now)) return 0;
    RegionWriter regions(Channel::body_of(out));
    if (status_at_ <= now || now < status_until_) put_status(now, says, regions);
    if (channel_.has_ack()) put_ack(regions);
    if (to_ask_.any() || ask_all_at_ <= now) put_asks(now, regions);
    if (digests_wait()) put_digests(regions);
    put_flows(now, regions);
    return regions.size() > 0 ? channel_.seal_data(out, regions.size()) : 0;
}

bool SyncSession::data_is_due(Instant now) const {
    return std::min({status_at_, channel_.ack_deadline(), ask_all_at_, outbox_.next_send()}) <= now ||
           to_ask_.any() || digests_wait();
}

void SyncSession::put_status(Instant now, SyncStatus says, RegionWriter& regions) {
    says.complete = has_all(says.complete);
    says.waiting = outbox_.waiting();
    regions.add(RegionKind::status, encode(says, regions.room()));
    status_at_ = now + kStatusInterval;
}

void SyncSession::put_ack(RegionWriter& regions) {
    regions.add(RegionKind::ack, encode(channel_.take_ack(), regions.room()));
}

void SyncSession::ask_all(Instant now, bool missing) {
    if (missing) differs_.set();
    ask_all_at_ = now;
    asked_all_in_ = 0;
}

void SyncSession::put_asks(Instant now, RegionWriter& regions) {
    if (ask_all_at_ <= now) {
        regions.add(RegionKind::ask, encode_ask({}, regions.room()));
        ask_all_at_ = now + kAskAllAgain;
        asked_all_in_ = channel_.next_number();
        to_ask_.reset();
        return;
    }
    std::uint16_t buckets[kMostAsks];
    std::size_t count = 0;
    for (std::size_t bucket = 0; bucket < kBuckets && count < kMostAsks; ++bucket) {
        if (!to_ask_.test(bucket)) continue;
        to_ask_.reset(bucket);
        buckets[count++] = static_cast<std::uint16_t>(bucket);
    }
    regions.add(RegionKind::ask, encode_ask({buckets, count}, regions.room()));
}

// D2: those of a run of quiet buckets. A bucket that isn't quiet has its turn the next time.
void SyncSession::put_digests(RegionWriter& regions) {
    while (digests_wait() && !outbox_.is_quiet(next_bucket_)) ++next_bucket_;
    const std::size_t first = next_bucket_;
    std::uint64_t digests[kMostDigests];
    std::size_t count = 0;
    for (; digests_wait() && count < kMostDigests && outbox_.is_quiet(next_bucket_); ++next_bucket_)
        digests[count++] = own_.digest(next_bucket_);
    if (count == 0) return;
    regions.add(RegionKind::digests,
                encode_digests(static_cast<std::uint16_t>(first), {digests, count}, regions.room()));
}

void SyncSession::put_flows(Instant now, RegionWriter& regions) {
    if (outbox_.next_send() > now || regions.room().size() < Outbox::kLongestRecord) return;
    const std::size_t size = outbox_.fill(channel_.next_number(), now, regions.room());
    if (size > 0) regions.add(RegionKind::flows, size);
}

void SyncSession::on_timer(Instant now) {
    channel_.on_timer(now);
    outbox_.check(now);
}

Instant SyncSession::next_deadline() const {
    const Instant channel = channel_.next_deadline();
    if (!channel_.is_up()) return channel;
    if (to_ask_.any() || digests_wait()) return Instant::min();
    return std::min(
        {channel, status_at_, digests_at_, ask_all_at_, outbox_.next_send(), outbox_.next_deadline()});
}

}  // namespace carpd
