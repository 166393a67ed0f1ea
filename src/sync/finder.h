// How hosts of one link find each other where no peers are configured (docs/protocol/sync.md §2.6, rules P1
// to P5): hellos to everybody, which stranger is given a place among the peers of a SyncHost, and which peer
// loses its place. Who drives it knows addresses; here peers are numbers, as SyncHost has them.
//
// A stranger gets a place when its hello is authentic and answers a challenge that this host has said since:
// so neither made-up nor recorded datagrams take places, or memory, whatever addresses they come from.
//
// One name has one place: a host that comes back with another address gets its old one.
//
// The driver calls hear() with each datagram from an address that is no peer's, and forget() and transmit()
// at next_deadline() and after each other call. Nobody else adds or removes peers of that SyncHost.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sync/host.h"

namespace carpd {

class PeerFinder {
 public:
    // A peer that was found has so long to be up (P4); one that was up is remembered for so long (P5).
    static constexpr Duration kTrial = std::chrono::seconds(2), kMemory = std::chrono::minutes(10);

    // At most `places` peers are found.
    PeerFinder(Instant now, const ChannelConfig& config, const SyncKeys& keys,
               Channel::FillRandom fill_random, std::size_t places);

    enum class Verdict : std::uint8_t {
        refused,   // `refusal` says why
        waits,     // a host that has the key: the next hello to everybody asks it whether it lives (P2)
        no_place,  // such a host, but there are as many peers as there may be
        known,     // it lives, but `peer`, at another address, has its name and is heard (P3)
        found,     // it is `peer` now, a new one or one that was known at another address
    };
    struct Heard {
        Verdict verdict;
        SyncDrop refusal{};
        std::size_t peer = 0;
        HostName name{};  // if it lives
    };
    // A stranger's datagram, opened where it lies.
    Heard hear(Instant now, std::span<std::uint8_t> datagram, SyncHost& host);

    // The next hello to everybody, if it is due, or 0. `out` has room for kLongestHelloDatagram.
    std::size_t transmit(Instant now, const SyncHost& host, const HostFacts& facts,
                         std::span<std::uint8_t> out);
    // Removes a peer whose time is over, if there is one, and says which one it was.
    std::optional<std::size_t> forget(Instant now, SyncHost& host);
    // Of both; forget() needn't be exact.
    Instant next_deadline() const;

    void set_keys(Instant now, const SyncKeys& keys) { channel_.set_keys(now, keys); }

    struct Counters {
        std::uint64_t found = 0, known = 0, no_place = 0, forgotten = 0;
    };
    const Counters& counters() const { return counters_; }
    // That says hello to everybody. What strangers sent is refused as on any other, and counted there.
    const Channel& channel() const { return channel_; }

 private:
    std::size_t place_of(const HostName& name, const SyncHost& host);
    Heard no_place(const HostName& name);

    Channel channel_;
    const std::size_t places_;
    std::vector<HostName> names_;  // of peers, as they are numbered
    Instant hello_at_;
    std::vector<std::uint8_t> sealed_;  // the datagram as it came
    Counters counters_;
};

}  // namespace carpd
