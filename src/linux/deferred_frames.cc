#include "linux/deferred_frames.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "base/assert.h"
#include "linux/defer_maps.h"
#include "linux/sysctl.h"

// What clang made of bpf/defer.bpf.c.
asm(".pushsection .rodata\n"
    ".balign 8\n"
    ".global carpd_defer_object, carpd_defer_object_end\n"
    "carpd_defer_object:\n"
    ".incbin \"" CARPD_DEFER_OBJECT
    "\"\n"
    "carpd_defer_object_end:\n"
    ".popsection\n");
extern "C" {
extern const char carpd_defer_object[], carpd_defer_object_end[];
}

namespace carpd {

namespace {

constexpr const char* kTapName = "carpd-defer%d";
// Newer than the headers of Debian 12.
constexpr auto kTcxEgress = static_cast<bpf_attach_type>(47);
constexpr __u32 kBefore = 1 << 3;  // all others that stand there, such as the gate
// More than the program lets wait: who else writes to the device can't keep us here.
constexpr int kMostAtOnce = 2 * DEFER_MOST_UNREAD;
constexpr std::uint64_t kLostAfterNs = 1'000'000'000;
// All that may be held (sync/deferral.h), as it leaves at once; it takes twice its size.
constexpr int kSendBuffer = 4 << 20;

static_assert(DeferredFrames::kMostPlaces == DEFER_MAX_INTERFACES);

// The clock of bpf_ktime_get_ns().
std::uint64_t monotonic_ns() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
}

int print_nothing(libbpf_print_level, const char*, va_list) {
    return 0;
}

SysError failed(std::string operation, std::string object = {}) {
    return {std::move(operation), std::move(object), errno};
}

// The program diverts nothing else; what a daemon says on every device that it finds doesn't go on from here.
bool is_unicast(Bytes frame) {
    constexpr std::size_t kEthernet = 14;
    return frame.size() >= kEthernet && (frame[0] & 1) == 0;
}

}  // namespace

void DeferredFrames::Close::operator()(bpf_object* object) const {
    bpf_object__close(object);
}

void DeferredFrames::Unmap::operator()(defer_state* state) const {
    munmap(state, sizeof *state);
}

// ---- start

Expected<DeferredFrames, SysError> DeferredFrames::open(std::size_t places) {
    CARPD_ASSERT(places <= kMostPlaces);
    DeferredFrames frames;
    auto error = frames.load();
    if (!error) error = frames.open_socket();
    while (!error && frames.places_.size() < places) error = frames.add_place();
    if (error) return Unexpected{*error};
    return frames;
}

std::optional<SysError> DeferredFrames::load() {
    libbpf_set_print(print_nothing);
    const auto size = static_cast<std::size_t>(carpd_defer_object_end - carpd_defer_object);
    bpf_object_open_opts options{};
    options.sz = sizeof options;
    options.object_name = "carpd_defer";
    object_.reset(bpf_object__open_mem(carpd_defer_object, size, &options));
    if (object_ == nullptr || bpf_object__load(object_.get()) != 0)
        return failed("load the BPF program of deferral");
    void* const state = mmap(nullptr, sizeof(defer_state), PROT_READ | PROT_WRITE, MAP_SHARED,
                             bpf_object__find_map_fd_by_name(object_.get(), "state"), 0);
    if (state == MAP_FAILED) return failed("map the state of deferral");
    state_.reset(static_cast<defer_state*>(state));
    frame_ = std::make_unique<std::array<std::uint8_t, kLongest>>();
    return std::nullopt;
}

std::optional<SysError> DeferredFrames::open_socket() {
    socket_ = UniqueFd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket_) return failed("open a packet socket");
    setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof kSendBuffer);
    socklen_t length = sizeof state_->cookie;
    if (getsockopt(socket_.get(), SOL_SOCKET, SO_COOKIE, &state_->cookie, &length) != 0)
        return failed("ask for a socket's cookie");
    epoll_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
    return epoll_ ? std::nullopt : std::optional(failed("make an epoll instance"));
}

// A device that is up, says nothing by itself, and vanishes with the descriptor.
std::optional<SysError> DeferredFrames::add_place() {
    Place place{UniqueFd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK))};
    if (!place.device) return failed("open", "/dev/net/tun");
    ifreq request{};
    std::strcpy(request.ifr_name, kTapName);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (ioctl(place.device.get(), TUNSETIFF, &request) != 0) return failed("make a TAP device");
    place.tap.name = request.ifr_name;
    write_sysctl(ipv6_setting(place.tap.name, "disable_ipv6"), 1);
    request.ifr_flags = IFF_UP | IFF_NOARP;
    if (ioctl(socket_.get(), SIOCSIFFLAGS, &request) != 0 ||
        ioctl(socket_.get(), SIOCGIFINDEX, &request) != 0)
        return failed("set up", place.tap.name);
    place.tap.ifindex = request.ifr_ifindex;
    epoll_event event{EPOLLIN, {}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, place.device.get(), &event) != 0)
        return failed("watch a TAP device");
    places_.push_back(std::move(place));
    return std::nullopt;
}

// ---- interfaces

std::optional<SysError> DeferredFrames::attach(std::size_t number, int ifindex, const std::string& name) {
    const bpf_program* const program = bpf_object__find_program_by_name(object_.get(), DEFER_PROGRAM);
    CARPD_ASSERT(program != nullptr);
    Place& place = places_[number];
    bpf_link_create_opts options{};
    options.sz = sizeof options;
    options.flags = kBefore;
    UniqueFd link(bpf_link_create(bpf_program__fd(program), ifindex, kTcxEgress, &options));
    if (!link) return failed("attach the BPF program of deferral (which takes Linux 6.6) to", name);
    place.link = std::move(link);
    place.ifindex = ifindex;
    defer_place& seen = state_->places[number];
    std::atomic_ref(seen.tap).store(static_cast<__u32>(place.tap.ifindex));
    std::atomic_ref(seen.ifindex).store(static_cast<__u32>(ifindex));
    return std::nullopt;
}

void DeferredFrames::detach(std::size_t number) {
    std::atomic_ref(state_->places[number].ifindex).store(0);
    places_[number].link = UniqueFd();
}

void DeferredFrames::set_active(bool active) {
    std::atomic_ref(state_->active).store(active, std::memory_order_relaxed);
}

// ---- frames

// Of a long datagram that the kernel cuts on the way there are several frames, which were counted as one.
void DeferredFrames::read(const Use& use) {
    int left = kMostAtOnce;
    for (std::size_t i = 0; i < places_.size(); ++i)
        for (; left > 0; --left) {
            Place& place = places_[i];
            const ssize_t size = ::read(place.device.get(), frame_->data(), frame_->size());
            if (size < 0 && errno == EBADFD) {  // somebody removed the device: it would be readable for ever
                detach(i);
                epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, place.device.get(), nullptr);
            }
            if (size <= 0) break;
            const Bytes frame(frame_->data(), static_cast<std::size_t>(size));
            if (is_unicast(frame)) use(i, frame);
        }
    if (left == kMostAtOnce) return;
    std::atomic_ref(state_->waiting_since).store(monotonic_ns());
    std::atomic_ref(state_->read)
        .store(std::min(state_->read + static_cast<std::uint64_t>(kMostAtOnce - left),
                        std::atomic_ref(state_->diverted).load()));
}

void DeferredFrames::give_up_lost() {
    const std::uint64_t diverted = std::atomic_ref(state_->diverted).load();
    const std::uint64_t unread = diverted - std::atomic_ref(state_->read).load();
    if (unread == 0 || monotonic_ns() - std::atomic_ref(state_->waiting_since).load() < kLostAfterNs) return;
    lost_ += unread;
    std::atomic_ref(state_->read).store(diverted);
}

void DeferredFrames::send(std::size_t place, Bytes frame) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(read_u16(frame, 12));
    address.sll_ifindex = places_[place].ifindex;
    if (sendto(socket_.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&address),
               sizeof address) < 0)
        ++send_errors_;
}

std::uint64_t DeferredFrames::passed() const {
    return std::atomic_ref(state_->passed).load(std::memory_order_relaxed);
}

}  // namespace carpd
