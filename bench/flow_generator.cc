#include "bench/flow_generator.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <thread>

#include "lab/error.h"
#include "wire/checksum.h"

namespace carpd::bench {

namespace {

using namespace std::chrono_literals;

constexpr lab::Span kBeat = 200us;
constexpr std::size_t kIp = ETH_HLEN, kTcp = kIp + 20, kTcpHeader = 20;
constexpr std::uint8_t kSyn = 2, kAck = 16;
constexpr std::uint32_t kSequence[] = {1000, 5000};  // of the client and the server
// Maximum segment size 1460, window scale 7, SACK permitted.
constexpr std::uint8_t kOptions[] = {2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2};

constexpr std::uint32_t kClients = 0x0a100000, kServer = 0x0a200001;  // 10.16.0.0/12, 10.32.0.1
constexpr std::uint32_t kManyClients = 1 << 16;
constexpr std::uint16_t kFirstPort = 10000;

std::uint32_t client_of(std::uint32_t number) {
    return kClients + number % kManyClients;
}
std::uint16_t port_of(std::uint32_t number) {
    return static_cast<std::uint16_t>(kFirstPort + number / kManyClients);
}

IpAddress address(std::uint32_t number) {
    std::array<std::uint8_t, 4> bytes{};
    ByteWriter(bytes).u32(number);
    return IpAddress::from_bytes(bytes);
}

UniqueFd open_socket(const lab::Host& host) {
    UniqueFd socket = host.space().socket(AF_PACKET, SOCK_RAW, 0);
    sockaddr_ll place{};
    place.sll_family = AF_PACKET;
    host.space().inside([&] { place.sll_ifindex = static_cast<int>(if_nametoindex("eth0")); });
    lab::check(bind(socket.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place), "bind");
    const int on = 1;
    lab::check(setsockopt(socket.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on), "QDISC_BYPASS");
    return socket;
}

void put_u16(std::span<std::uint8_t> frame, std::size_t offset, std::uint32_t value) {
    ByteWriter(frame.subspan(offset, 2)).u16(static_cast<std::uint16_t>(value));
}
void put_u32(std::span<std::uint8_t> frame, std::size_t offset, std::uint32_t value) {
    ByteWriter(frame.subspan(offset, 4)).u32(value);
}

// The ends of a connection, and the checksums. The checksum fields are zero before or hold those of the last
// one, whose sums are of no use.
void address_frame(std::span<std::uint8_t> frame, std::uint32_t source, std::uint16_t source_port,
                   std::uint32_t destination, std::uint16_t destination_port) {
    put_u32(frame, kIp + 12, source);
    put_u32(frame, kIp + 16, destination);
    put_u16(frame, kTcp, source_port);
    put_u16(frame, kTcp + 2, destination_port);
    put_u16(frame, kIp + 10, 0);
    put_u16(frame, kIp + 10, checksum(frame.subspan(kIp, 20)));
    put_u16(frame, kTcp + 16, 0);
    const auto segment = frame.subspan(kTcp);
    std::uint32_t sum = checksum_sum(frame.subspan(kIp + 12, 8));  // the pseudo header's addresses
    sum += static_cast<std::uint32_t>(IPPROTO_TCP + segment.size());
    put_u16(frame, kTcp + 16, checksum_fold(checksum_sum(segment, sum)));
}

// As packets from a card do, it comes before all programs. And a packet that it sends is handled on its
// processor before the next one is sent.
void become_a_card() {
    const sched_param low{1};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &low);
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    sched_setaffinity(0, sizeof set, &set);
}

}  // namespace

Flow connection(std::uint32_t number, std::uint16_t port) {
    Flow flow;
    flow.identity.original = {address(client_of(number)), address(kServer), IPPROTO_TCP, port_of(number),
                              port};
    flow.identity.reply = flow.identity.original.inverse();
    flow.state.status = 0x2 | 0x4 | 0x8;  // SEEN_REPLY, ASSURED, CONFIRMED
    flow.state.timeout = 432'000;
    flow.state.protocol = TcpState{3, {7, 7}, {0x03, 0x03}};  // ESTABLISHED; WINDOW_SCALE, SACK_PERM
    return flow;
}

FlowGenerator::FlowGenerator(const Firewalls& firewalls, std::uint16_t port)
    : port_(port),
      client_(open_socket(firewalls.client)),
      server_(open_socket(firewalls.server)),
      frames_(std::size(kSteps)) {
    const MacAddress lan = firewalls.first.mac("lan"), wan = firewalls.first.mac("wan");
    prepare(syn, firewalls.client.mac(), lan);
    prepare(syn_ack, firewalls.server.mac(), wan);
    prepare(ack, firewalls.client.mac(), lan);
}

void FlowGenerator::prepare(Step step, const MacAddress& from, const MacAddress& to) {
    Frames& frames = frames_[step];
    const std::size_t options = step == ack ? 0 : sizeof kOptions, size = kTcp + kTcpHeader + options;
    const bool by_server = step == syn_ack;
    for (std::size_t i = 0; i < kAtOnce; ++i) {
        auto& bytes = frames.bytes[i];
        bytes.fill(0);
        ByteWriter out(bytes);
        out.bytes(to.bytes);
        out.bytes(from.bytes);
        out.u16(ETH_P_IP);
        out.u16(0x4500);
        out.u16(static_cast<std::uint16_t>(size - kIp));
        out.u32(0x4000);  // no fragment
        out.u8(64);
        out.u8(IPPROTO_TCP);
        out.u16(0);
        out.u64(0);  // addresses
        out.u32(0);  // ports
        out.u32(kSequence[by_server] + (step == ack));
        out.u32(step == syn ? 0 : kSequence[!by_server] + 1);
        out.u8(static_cast<std::uint8_t>((kTcpHeader + options) / 4 << 4));
        out.u8(step == syn ? kSyn : by_server ? kSyn | kAck : kAck);
        out.u16(65535);  // window
        out.u32(0);      // checksum, urgent pointer
        out.bytes(Bytes(kOptions).first(options));
        frames.places[i] = {bytes.data(), size};
        frames.headers[i] = {};
        frames.headers[i].msg_hdr.msg_iov = &frames.places[i];
        frames.headers[i].msg_hdr.msg_iovlen = 1;
    }
}

// This step of all connections before number `until`.
void FlowGenerator::send(Step step, std::uint32_t until) {
    Frames& frames = frames_[step];
    const int socket = step == syn_ack ? server_.get() : client_.get();
    while (made_[step] < until) {
        const unsigned count = std::min<unsigned>(until - made_[step], kAtOnce);
        for (unsigned i = 0; i < count; ++i) {
            const auto frame = std::span(frames.bytes[i]).first(frames.places[i].iov_len);
            const std::uint32_t number = made_[step] + i;
            if (step == syn_ack)
                address_frame(frame, kServer, port_, client_of(number), port_of(number));
            else
                address_frame(frame, client_of(number), port_of(number), kServer, port_);
        }
        const int sent = lab::check(sendmmsg(socket, frames.headers.data(), count, 0), "sending frames");
        if (sent != static_cast<int>(count)) lab::fail("only {} of {} frames were sent", sent, count);
        made_[step] += count;
    }
}

void FlowGenerator::one() {
    for (const Step step : kSteps) send(step, made_[step] + 1);
}

double FlowGenerator::run(std::uint32_t count, int per_second) {
    double rate = 0;
    std::thread([&] {
        become_a_card();
        const std::uint32_t begin = made_[ack];
        const lab::Time start = lab::Clock::now();
        for (lab::Time next = start; made_[ack] < begin + count;) {
            std::this_thread::sleep_until(next += kBeat);
            const lab::Span passed = lab::Clock::now() - start;
            std::uint32_t most = begin + count;
            for (const Step step : kSteps) {
                const double due = std::max(0.0, lab::to_seconds(passed - step * kDelay) * per_second);
                send(step, most = std::min(most, begin + static_cast<std::uint32_t>(due)));
            }
        }
        rate = count / lab::to_seconds(lab::Clock::now() - start);
    }).join();
    return rate;
}

}  // namespace carpd::bench
