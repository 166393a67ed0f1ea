// The keys of one stream under one configured key (docs/protocol/sync.md §2): one for its hellos, and one
// for the data of each epoch, of which neighbouring three are kept. To derive them takes microseconds and
// memory; after that nothing is allocated until the epoch changes.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "crypto/aead.h"
#include "wire/sync_datagram.h"

namespace carpd {

// How many packet numbers one data key is used for.
inline constexpr PacketNumber kPacketsPerEpoch = PacketNumber{1} << 24;

class StreamKeys {
 public:
    StreamKeys(const Secret& configured, StreamId stream, const StreamNonce& nonce);

    const Aead& hello() const { return hello_; }
    const Aead& data(std::uint64_t epoch);

 private:
    struct Epoch {
        std::uint64_t number;
        Aead aead;
    };

    Secret secret_;
    Aead hello_;
    std::array<std::optional<Epoch>, 3> epochs_;  // by their number modulo 3
};

}  // namespace carpd
