// Catches the first packets of flows as they leave some interfaces, and sends them on later: the kernel's
// side of deferral (docs/protocol/sync.md, section 10; what becomes of them is decided in sync/deferral.h).
//
// At each interface a BPF program (bpf/defer.bpf.c) diverts them to a TAP device of its own, "carpd-defer0"
// and so on, which nobody but this process uses. Program and devices are tied to descriptors, so they vanish
// with the process; while it doesn't read, nothing is diverted. What is sent on passes the gate of shared
// addresses, which stands behind the program, tc filters and the qdisc as if it came from the IP layer.
//
// Interfaces are numbered by the caller: places, from 0. All that takes rights is done by open(), which needs
// Linux 6.6 (tcx links), /dev/net/tun, CAP_BPF, CAP_NET_RAW and CAP_NET_ADMIN. Later attach() needs
// CAP_NET_ADMIN and bpf(BPF_LINK_CREATE), which the sandbox leaves (linux/sandbox.h).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/expected.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

struct bpf_object;
struct defer_state;

namespace carpd {

class DeferredFrames {
 public:
    static constexpr std::size_t kMostPlaces = 16;

    // Makes a TAP device for each of so many places.
    static Expected<DeferredFrames, SysError> open(std::size_t places);

    // Readable when frames wait. Level-triggered.
    int fd() const { return epoll_.get(); }

    // The place's TAP device. While it is gone or down a place must not be attached: packets would be lost.
    struct Tap {
        std::string name;
        int ifindex = 0;
    };
    const Tap& tap(std::size_t place) const { return places_[place].tap; }

    // Packets that leave an Ethernet interface are looked at from now on.
    std::optional<SysError> attach(std::size_t place, int ifindex, const std::string& name);
    // Also when the interface is gone. What was caught there can still be sent.
    void detach(std::size_t place);

    // Whether any are diverted, at all places; at first none are. Takes no system call.
    void set_active(bool active);

    using Use = std::function<void(std::size_t place, Bytes frame)>;
    // Passes on all frames that wait. The bytes are good during the call only.
    void read(const Use& use);
    // After read(): what was diverted a second ago and isn't there was lost on its way to us. Until then
    // nothing more is diverted.
    void give_up_lost();
    // Out of the place's interface; one that can't be sent is counted, and lost.
    void send(std::size_t place, Bytes frame);

    // First packets that weren't diverted because this process didn't come to reading.
    std::uint64_t passed() const;
    std::uint64_t lost() const { return lost_; }
    std::uint64_t send_errors() const { return send_errors_; }

 private:
    static constexpr std::size_t kLongest = 65536 + 64;
    struct Close {
        void operator()(bpf_object* object) const;
    };
    struct Unmap {
        void operator()(defer_state* state) const;
    };
    struct Place {
        UniqueFd device;
        Tap tap{};
        int ifindex = 0;  // of the interface that it was attached to last
        UniqueFd link{};
    };
    DeferredFrames() = default;
    std::optional<SysError> load();
    std::optional<SysError> open_socket();
    std::optional<SysError> add_place();

    std::unique_ptr<bpf_object, Close> object_;
    std::unique_ptr<defer_state, Unmap> state_;
    UniqueFd epoll_, socket_;
    std::vector<Place> places_;
    std::unique_ptr<std::array<std::uint8_t, kLongest>> frame_;
    std::uint64_t lost_ = 0, send_errors_ = 0;
};

}  // namespace carpd
