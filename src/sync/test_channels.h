// Two hosts' channels and a network between them in virtual time, for the tests. Each host does what a driver
// does: hellos when they are due, a STATUS every 100 ms, an ACK when it is due.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "sync/channel.h"

namespace carpd::test_channels {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using Buffer = std::vector<std::uint8_t>;

inline Secret key_of(std::uint8_t seed) {
    Secret key;
    key.fill(seed);
    return key;
}

inline Channel::FillRandom random_from(std::uint64_t seed) {
    return [random = Random(seed)](std::span<std::uint8_t> out) mutable {
        for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random.next() >> 32);
    };
}

inline ChannelConfig config_of(std::string_view name) {
    return {.name = HostName::from(name).value()};
}

inline Buffer hello_of(Channel& channel, Instant now) {
    Buffer datagram(kLongestHelloDatagram);
    datagram.resize(channel.write_hello(now, {65536, 1700000000000}, datagram));
    return datagram;
}

// With one region.
inline Buffer data_of(Channel& channel, RegionKind kind, const Buffer& contents) {
    Buffer datagram(kDataOverhead + kRegionHeaderSize + contents.size());
    RegionWriter regions(Channel::body_of(datagram));
    std::copy(contents.begin(), contents.end(), regions.room().begin());
    regions.add(kind, contents.size());
    datagram.resize(channel.seal_data(datagram, regions.size()));
    return datagram;
}

// All of a channel that a refused datagram may not change.
struct View {
    bool up;
    Instant since, heard_at, deadline, ack_deadline;
    StreamId stream, peer_stream;
    PacketNumber next_number;
    ChannelCounters counters;
    bool has_ack;
    bool operator==(const View&) const = default;
};
inline View view(const Channel& c) {
    ChannelCounters counters = c.counters();
    counters.dropped = {};
    return {c.is_up(),  c.since(),       c.heard_at(),    c.next_deadline(), c.ack_deadline(),
            c.stream(), c.peer_stream(), c.next_number(), counters,          c.has_ack()};
}

struct Host {
    std::unique_ptr<Channel> channel;
    Instant status_at{};
    std::vector<std::pair<PacketNumber, Buffer>> flows;  // numbers and contents of what was received
    std::vector<SyncAck> acks;
    int downs = 0;  // seen by looking after each event
    bool was_up = false;
};

struct Datagram {
    Instant at;
    int to;
    Buffer bytes;
};

class Network {
 public:
    Instant now{std::chrono::hours(1)};
    Duration delay = microseconds(200);
    Host hosts[2];
    std::vector<Datagram> recorded;  // all that was ever sent
    std::function<bool(int, const Buffer&)> passes = [](int, const Buffer&) { return true; };

    Channel& operator[](int i) { return *hosts[i].channel; }

    // Starts it, or starts it anew.
    void start(int i, std::uint64_t seed, ChannelConfig config, SyncKeys keys = {key_of(1), {}}) {
        hosts[i] =
            Host{std::make_unique<Channel>(now, config, keys, random_from(seed)), now, {}, {}, 0, false};
    }
    void start_both() {
        start(0, 1, config_of("fw1"));
        start(1, 2, config_of("fw2"));
    }
    bool both_up() { return hosts[0].channel->is_up() && hosts[1].channel->is_up(); }

    void send(int from, Buffer datagram) {
        recorded.push_back({now, 1 - from, datagram});
        if (passes(1 - from, datagram)) wire_.push_back({now + delay, 1 - from, std::move(datagram)});
    }
    void send_flows(int from, const Buffer& contents) {
        send(from, data_of((*this)[from], RegionKind::flows, contents));
    }

    void run(Duration duration) {
        const Instant end = now + duration;
        while (true) {
            Instant next = wire_.empty() ? kNever : wire_.front().at;
            for (const Host& host : hosts)
                if (host.channel) next = std::min({next, host.channel->next_deadline(), host.status_at});
            if (next > end) break;
            now = std::max(now, next);
            while (!wire_.empty() && wire_.front().at <= now) {
                Datagram datagram = std::move(wire_.front());
                wire_.pop_front();
                deliver(datagram.to, std::move(datagram.bytes));
            }
            for (const int i : {0, 1})
                if (hosts[i].channel) drive(i);
        }
        now = end;
    }

    std::optional<SyncDrop> deliver(int to, Buffer bytes) {
        Host& host = hosts[to];
        if (!host.channel) return std::nullopt;
        const auto received = host.channel->receive(now, bytes);
        look(host);
        if (!received) return received.error();
        Bytes body = received->body;
        while (const auto region = next_region(body)) {
            if (region->kind == RegionKind::flows)
                host.flows.emplace_back(received->number,
                                        Buffer(region->contents.begin(), region->contents.end()));
            if (region->kind == RegionKind::ack) host.acks.push_back(decode_ack(region->contents).value());
        }
        return std::nullopt;
    }

 private:
    void drive(int i) {
        Channel& channel = (*this)[i];
        channel.on_timer(now);
        look(hosts[i]);
        if (channel.hello_due(now)) send(i, hello_of(channel, now));
        if (channel.ack_deadline() <= now) {
            Buffer ack(kLongestAck);
            ack.resize(encode(channel.take_ack(), ack));
            send(i, data_of(channel, RegionKind::ack, ack));
        }
        if (hosts[i].status_at > now) return;
        hosts[i].status_at = now + milliseconds(100);
        Buffer status(kStatusSize);
        encode(SyncStatus{}, status);
        if (channel.is_up()) send(i, data_of(channel, RegionKind::status, status));
    }

    static void look(Host& host) {
        if (host.was_up && !host.channel->is_up()) ++host.downs;
        host.was_up = host.channel->is_up();
    }

    std::deque<Datagram> wire_;
};

}  // namespace carpd::test_channels
