// New TCP connections through the first firewall, at any rate: packets made by hand, at both ends.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <vector>

#include "bench/firewalls.h"
#include "linux/unique_fd.h"
#include "wire/flow.h"

namespace carpd::bench {

// Connection `number` of those to this port, as the first firewall's kernel knows it once it is established.
Flow connection(std::uint32_t number, std::uint16_t port);

// A connection is SYN, SYN+ACK and ACK: three events of the kernel. Nothing follows, so it stays established.
class FlowGenerator {
 public:
    // What client and server wait before they answer.
    static constexpr lab::Span kDelay = std::chrono::milliseconds(2);

    // Connections to this port, numbered from 0.
    FlowGenerator(const Firewalls& firewalls, std::uint16_t port);

    // Makes `count` more, spread evenly; what is late is caught up with. Returns how many it made a second.
    // That is the work of a thread that stays on one processor, so that no packet overtakes another.
    double run(std::uint32_t count, int per_second);
    // Makes one more, now and without delay.
    void one();
    std::uint32_t made() const { return made_[ack]; }

 private:
    static constexpr std::size_t kAtOnce = 64;
    static constexpr std::size_t kLongest = 66;  // bytes of a frame: the SYN has options
    enum Step { syn, syn_ack, ack };
    static constexpr Step kSteps[] = {syn, syn_ack, ack};

    // One step of connections that are made at once.
    struct Frames {
        std::array<std::array<std::uint8_t, kLongest>, kAtOnce> bytes;
        std::array<iovec, kAtOnce> places;
        std::array<mmsghdr, kAtOnce> headers;
    };
    void prepare(Step step, const MacAddress& from, const MacAddress& to);
    void send(Step step, std::uint32_t until);

    std::uint16_t port_;
    UniqueFd client_, server_;
    std::vector<Frames> frames_;           // by Step
    std::array<std::uint32_t, 3> made_{};  // by Step
};

}  // namespace carpd::bench
