// Two channels and what lies between them, under any sequence of inputs. The bytes choose what is sent, lost,
// doubled, held up, damaged, or opened, altered and sealed again, so that what it says gets past the tag.
// What must hold after every input is in Fuzz::check(); in the end the two must find each other again.
#include <algorithm>
#include <map>
#include <numeric>

#include "sync/test_channels.h"

namespace carpd {
namespace {

using namespace test_channels;
using std::chrono::milliseconds;

constexpr std::size_t kMaxInputs = 300, kMaxHeld = 16;
constexpr PacketNumber kEpoch = 16;

class Fuzz {
 public:
    explicit Fuzz(Bytes bytes) : bytes_(bytes) {
        for (const int i : {0, 1}) start(i);
    }

    void run() {
        for (std::size_t inputs = 0; !bytes_.empty() && inputs < kMaxInputs; ++inputs) {
            input();
            for (const int i : {0, 1}) check(i);
        }
        recover();
    }

 private:
    std::uint8_t byte() {
        if (bytes_.empty()) return 0;
        const std::uint8_t value = bytes_[0];
        bytes_ = bytes_.subspan(1);
        return value;
    }

    void start(int i) {
        ChannelConfig config = config_of(i ? "fw2" : "fw1");
        config.packets_per_epoch = kEpoch;
        channels_[i] =
            std::make_unique<Channel>(now_, config, SyncKeys{key_of(1), key_of(2)}, random_from(++starts_));
        given_[i] = 0;
        nonces_[channels_[i]->stream()] = decode_sync_header(hello_of(*channels_[i], now_))->nonce;
    }

    void input() {
        const std::uint8_t choice = byte();
        const int i = choice & 1;
        Channel& channel = *channels_[i];
        switch (choice >> 1 & 15) {
            case 0: pass(milliseconds(byte())); break;
            case 1: pass(std::chrono::hours(byte())); break;
            case 2: hold(hello_of(channel, now_)); break;
            case 3: hold(data_of(channel, static_cast<RegionKind>(byte() % 7), Buffer(byte()))); break;
            case 4: give(i, picked()); break;
            case 5: give(i, damaged(picked())); break;
            case 6:
            case 7: give(i, sealed_again(picked())); break;
            case 8: start(i); break;
            case 9: set_keys(i, byte()); break;
            case 10: channel.forget_peer(now_); break;
            case 11:
                if (channel.peer_stream()) check_ack(channel, channel.take_ack());
                break;
            default: talk(); break;
        }
    }

    void pass(Duration duration) {
        now_ += duration;
        for (const auto& channel : channels_) channel->on_timer(now_);
    }

    void set_keys(int i, std::uint8_t choice) {
        channels_[i]->set_keys(now_,
                               choice & 1 ? SyncKeys{key_of(1), key_of(2)} : SyncKeys{key_of(2), key_of(1)});
    }

    // What both do in 20 ms when nobody disturbs them.
    void talk() {
        for (int round = 0; round < 4; ++round, pass(milliseconds(5)))
            for (const int i : {0, 1}) {
                if (!channels_[i]->hello_due(now_)) continue;
                hold(hello_of(*channels_[i], now_));
                give(1 - i, held_.back());
            }
    }

    void hold(Buffer datagram) {
        if (held_.size() == kMaxHeld) held_.erase(held_.begin());
        held_.push_back(std::move(datagram));
    }
    Buffer picked() { return held_.empty() ? Buffer() : held_[held_.size() - 1 - byte() % held_.size()]; }

    Buffer damaged(Buffer datagram) {
        const std::size_t place = byte();
        if (place < datagram.size()) datagram[place] ^= byte();
        if (byte() % 4 == 0) datagram.resize(byte());
        return datagram;
    }

    // As a member could that knows the keys: anything in the header and in the body.
    Buffer sealed_again(Buffer datagram) {
        auto header = decode_sync_header(datagram);
        if (!header || !nonces_.contains(header->stream)) return datagram;
        const std::uint8_t seed = open(datagram, *header);
        if (!seed) return datagram;
        if (header->kind == SyncKind::hello && byte() % 2) answer(datagram, byte() % 2);
        const std::size_t body = datagram.size() - header->size() - Aead::kTagSize;
        for (int changes = byte() % 4; changes > 0; --changes) {
            const std::size_t place = byte();
            if (place < body) datagram[header->size() + place] = byte();
        }
        if (byte() % 2) header->number += std::uint64_t{byte()} << byte() % 57;
        if (byte() % 4 == 0) header->stream = channels_[byte() % 2]->stream();
        if (byte() % 8 == 0) header->stream = byte() % 4;
        encode(*header, datagram);
        with_keys(*header, seed, [&](const Aead& aead) {
            aead.seal(header->number, Bytes(datagram).first(header->size()),
                      std::span(datagram).subspan(header->size()));
        });
        return datagram;
    }
    // Puts a host's challenge where the answer stands.
    void answer(Buffer& datagram, int i) {
        Buffer hello = hello_of(*channels_[i], now_);
        if (!open(hello, *decode_sync_header(hello))) return;
        std::copy_n(hello.begin() + kHelloHeaderSize + 6, sizeof(Challenge),
                    datagram.begin() + kHelloHeaderSize + 22);
        for (std::size_t byte = 0; byte < 8; ++byte)
            datagram[kHelloHeaderSize + 38 + byte] =
                static_cast<std::uint8_t>(channels_[i]->stream() >> (56 - 8 * byte));
    }

    template <class Use>
    void with_keys(const SyncHeader& header, std::uint8_t seed, const Use& use) {
        StreamKeys keys(key_of(seed), header.stream,
                        header.kind == SyncKind::hello ? header.nonce : nonces_[header.stream]);
        use(header.kind == SyncKind::hello ? keys.hello() : keys.data((header.number - 1) / kEpoch));
    }
    // Of which key it is; 0: of none.
    std::uint8_t open(Buffer& datagram, const SyncHeader& header) {
        bool opened = false;
        for (const std::uint8_t seed : {std::uint8_t{1}, std::uint8_t{2}}) {
            with_keys(header, seed, [&](const Aead& aead) {
                opened = aead.open(header.number, Bytes(datagram).first(header.size()),
                                   std::span(datagram).subspan(header.size()));
            });
            if (opened) return seed;
        }
        return 0;
    }

    void give(int i, Buffer datagram) {
        Channel& channel = *channels_[i];
        channel.on_timer(now_);
        const View before = view(channel);
        ++given_[i];
        Buffer copy = datagram;
        const auto received = channel.receive(now_, datagram);
        if (received) {
            ++given_[i];
            CARPD_ASSERT(!channel.receive(now_, copy));  // twice
            CARPD_ASSERT(channel.heard_at() == now_ && channel.peer() != nullptr);
            Bytes body = received->body;
            while (next_region(body)) continue;
            CARPD_ASSERT(body.empty());
            return;
        }
        View after = view(channel);
        if (received.error() == SyncDrop::unanswered) after.deadline = before.deadline;  // a hello is due
        CARPD_ASSERT(after == before);
    }

    void check(int i) {
        const Channel& channel = *channels_[i];
        const ChannelCounters& counters = channel.counters();
        CARPD_ASSERT(std::accumulate(counters.dropped.begin(), counters.dropped.end(), std::uint64_t{0}) +
                         counters.hellos_received + counters.data_received ==
                     given_[i]);
        CARPD_ASSERT(channel.peer_stream() != channel.stream());
        CARPD_ASSERT(!channel.is_up() || (channel.peer() && channel.peer()->accepted == channel.stream()));
        if (channel.peer()) {
            CARPD_ASSERT(channel.peer()->name != HostName::from(i ? "fw2" : "fw1"));
            CARPD_ASSERT(now_ - channel.heard_at() < std::chrono::seconds(1));
        }
        CARPD_ASSERT(channel.since() <= now_ && channel.next_deadline() <= now_ + std::chrono::seconds(2));
    }
    static void check_ack(const Channel& channel, const SyncAck& ack) {
        CARPD_ASSERT(ack.stream == channel.peer_stream() && ack.highest > 0);
        std::uint8_t bytes[kLongestAck];
        CARPD_ASSERT(decode_ack(Bytes(bytes).first(encode(ack, bytes))) == ack);
        CARPD_ASSERT(!channel.has_ack() && channel.ack_deadline() == kNever);
    }

    // A member may have moved a window to the end of all numbers; that is over when the stream is.
    void recover() {
        pass(std::chrono::seconds(10));
        const auto both_up = [&] { return channels_[0]->is_up() && channels_[1]->is_up(); };
        for (int i = 0; i < 50 && !both_up(); ++i) talk();
        CARPD_ASSERT(both_up());
    }

    Bytes bytes_;
    Instant now_{std::chrono::hours(1)};
    std::unique_ptr<Channel> channels_[2];
    std::uint64_t given_[2] = {}, starts_ = 0;
    std::map<StreamId, StreamNonce> nonces_;
    std::vector<Buffer> held_;
};

}  // namespace
}  // namespace carpd

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    carpd::Fuzz(carpd::Bytes(data, size)).run();
    return 0;
}
