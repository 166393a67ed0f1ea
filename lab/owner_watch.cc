#include "lab/owner_watch.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "lab/error.h"
#include "lab/lab.h"
#include "lab/probe.h"
#include "wire/checksum.h"

namespace carpd::lab {

namespace {

constexpr std::uint16_t kOurPort = 7008;
constexpr std::uint8_t kUdp = 17, kIcmpv6 = 58;
constexpr std::uint8_t kSolicitation = 135, kAdvertisement = 136;
// An ARP question's sender hardware address is this and the question's number, and comes back in the answer.
constexpr std::uint8_t kAskerPrefix[2] = {0x02, 0xa5};

constexpr MacAddress kBroadcast{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

// Checksum of `payload` with IPv6's pseudo header.
std::uint16_t ipv6_checksum(const IpAddress& from, const IpAddress& to, std::uint8_t protocol,
                            Bytes payload) {
    std::uint32_t sum = static_cast<std::uint32_t>(payload.size()) + protocol;
    return checksum_fold(checksum_sum(payload, checksum_sum(to.bytes(), checksum_sum(from.bytes(), sum))));
}

std::vector<std::uint8_t> ethernet(const MacAddress& to, const MacAddress& from, std::uint16_t type,
                                   Bytes payload) {
    std::vector<std::uint8_t> frame(14 + payload.size());
    ByteWriter writer(frame);
    writer.bytes(to.bytes);
    writer.bytes(from.bytes);
    writer.u16(type);
    writer.bytes(payload);
    return frame;
}

std::vector<std::uint8_t> ip_packet(const IpAddress& from, const IpAddress& to, std::uint8_t protocol,
                                    Bytes payload) {
    const bool ipv4 = to.family() == Family::ipv4;
    std::vector<std::uint8_t> packet((ipv4 ? 20 : 40) + payload.size());
    ByteWriter writer(packet);
    if (ipv4) {
        writer.u32(0x45000000 | static_cast<std::uint32_t>(packet.size()));
        writer.u32(0x00004000);  // don't fragment
        writer.u32(0xff000000 | static_cast<std::uint32_t>(protocol) << 16);
    } else {
        writer.u32(0x60000000);
        writer.u32(static_cast<std::uint32_t>(payload.size()) << 16 |
                   static_cast<std::uint32_t>(protocol) << 8 | 255);
    }
    writer.bytes(from.bytes());
    writer.bytes(to.bytes());
    writer.bytes(payload);
    if (ipv4) ByteWriter(std::span(packet).subspan(10, 2)).u16(checksum(Bytes(packet).first(20)));
    return packet;
}

// ff02::1:ffXX:XXXX and its Ethernet group.
IpAddress solicited_node(const IpAddress& address) {
    std::array<std::uint8_t, 16> group{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
    std::copy_n(address.bytes().begin() + 13, 3, group.begin() + 13);
    return IpAddress::from_bytes(group);
}

std::vector<std::uint8_t> arp_question(std::uint32_t number, const IpAddress& address) {
    std::vector<std::uint8_t> arp(28);
    ByteWriter writer(arp);
    writer.u32(0x00010800);  // Ethernet, IPv4
    writer.u32(0x06040001);  // request
    writer.bytes(kAskerPrefix);
    writer.u32(number);
    writer.u32(0);  // a probe (RFC 5227): nobody learns from it
    writer.u32(0);
    writer.u16(0);
    writer.bytes(address.bytes());
    return arp;
}

std::vector<std::uint8_t> solicitation(const IpAddress& from, const MacAddress& mac,
                                       const IpAddress& address) {
    std::vector<std::uint8_t> icmp(32);
    ByteWriter writer(icmp);
    writer.u32(std::uint32_t{kSolicitation} << 24);
    writer.u32(0);
    writer.bytes(address.bytes());
    writer.u16(0x0101);  // source link-layer address
    writer.bytes(mac.bytes);
    ByteWriter(std::span(icmp).subspan(2, 2))
        .u16(ipv6_checksum(from, solicited_node(address), kIcmpv6, icmp));
    return icmp;
}

// Where the IP payload of `frame` begins, if it is an IP packet of `protocol` from `address`; otherwise 0.
std::size_t payload_from(Bytes frame, const IpAddress& address, std::uint8_t protocol) {
    const bool ipv4 = address.family() == Family::ipv4;
    const std::size_t header = ipv4 ? 20 : 40, source = ipv4 ? 12 : 8;
    if (frame.size() < 14 + header || read_u16(frame, 12) != (ipv4 ? ETH_P_IP : ETH_P_IPV6)) return 0;
    const Bytes packet = frame.subspan(14);
    if (packet[ipv4 ? 9 : 6] != protocol) return 0;
    if (IpAddress::from_bytes(packet.subspan(source, address.bytes().size())) != address) return 0;
    return 14 + header;
}

}  // namespace

OwnerWatch::OwnerWatch(Host& client, const std::vector<Host*>& hosts, const std::string& address)
    : address_(*IpAddress::parse(address)), client_mac_(client.mac()) {
    const bool ipv4 = address_.family() == Family::ipv4;
    client_address_ = *IpAddress::parse(ipv4 ? "192.0.2.9" : "2001:db8::9");
    sender_ = client.space().socket(AF_PACKET, SOCK_RAW, 0);
    sockaddr_ll eth0{};
    eth0.sll_family = AF_PACKET;
    client.space().inside([&] { eth0.sll_ifindex = static_cast<int>(if_nametoindex("eth0")); });
    check(bind(sender_.get(), reinterpret_cast<const sockaddr*>(&eth0), sizeof eth0), "bind");
    // Takes the answers, so that the client's kernel doesn't complain of them; nobody reads it.
    sink_ = client.space().socket(AF_INET6, SOCK_DGRAM, 0);
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;
    any.sin6_port = htons(kOurPort + (ipv4 ? 0 : 1));
    check(bind(sink_.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any), "bind");

    const int on = 1, buffer = 16 << 20;
    ports_ = client.lab().switch_space().socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
    check(setsockopt(ports_.get(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on),
          "PACKET_IGNORE_OUTGOING");
    check(setsockopt(ports_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer), "SO_RCVBUFFORCE");
    sockaddr_ll everywhere{};
    everywhere.sll_family = AF_PACKET;
    everywhere.sll_protocol = htons(ETH_P_ALL);
    check(bind(ports_.get(), reinterpret_cast<const sockaddr*>(&everywhere), sizeof everywhere), "bind");
    for (Host* host : hosts) {
        host_macs_.push_back(host->mac());
        follow(*host);
    }
    questions_.reserve(1 << 16);
    thread_ = std::thread([this] { work(); });
}

OwnerWatch::~OwnerWatch() {
    stop_ = true;
    thread_.join();
}

void OwnerWatch::follow(Host& host) {
    const std::lock_guard lock(mutex_);
    host_of_port_[host.port().index()] = host.number();
}

void OwnerWatch::work() {
    // As the other probes: ahead of ordinary programs, behind carpd.
    sched_param low{1};
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &low);
    for (Time next = Clock::now(); !stop_; next = std::max(next + kInterval, Clock::now() - kInterval)) {
        ask();
        for (Span left; (left = next + kInterval - Clock::now()) > 0s;) {
            pollfd wait{ports_.get(), POLLIN, 0};
            const timespec pause{0, left.count()};
            if (ppoll(&wait, 1, &pause, nullptr) > 0) listen();
        }
    }
}

void OwnerWatch::ask() {
    std::uint64_t number;
    {
        const std::lock_guard lock(mutex_);
        number = questions_.size();
        questions_.push_back({Clock::now(), {}});
    }
    ask_for_mac(static_cast<std::uint32_t>(number));
    for (const MacAddress& mac : host_macs_) request(number, mac);
}

void OwnerWatch::ask_for_mac(std::uint32_t number) {
    std::vector<std::uint8_t> frame;
    if (address_.family() == Family::ipv4) {
        frame = ethernet(kBroadcast, client_mac_, ETH_P_ARP, arp_question(number, address_));
    } else {
        const IpAddress group = solicited_node(address_);
        const MacAddress to{{0x33, 0x33, 0xff, group.bytes()[13], group.bytes()[14], group.bytes()[15]}};
        frame = ethernet(
            to, client_mac_, ETH_P_IPV6,
            ip_packet(client_address_, group, kIcmpv6, solicitation(client_address_, client_mac_, address_)));
    }
    send(sender_.get(), frame.data(), frame.size(), 0);
}

// To the host's own MAC: the switch may have learned the virtual one at another port.
void OwnerWatch::request(std::uint64_t number, const MacAddress& to) {
    const bool ipv4 = address_.family() == Family::ipv4;
    std::vector<std::uint8_t> udp(16);
    ByteWriter writer(udp);
    writer.u16(kOurPort + (ipv4 ? 0 : 1));
    writer.u16(Responder::kPort);
    writer.u32(16u << 16);  // length; a checksum is optional in IPv4
    writer.bytes(Bytes(reinterpret_cast<const std::uint8_t*>(&number), sizeof number));
    if (!ipv4)
        ByteWriter(std::span(udp).subspan(6, 2)).u16(ipv6_checksum(client_address_, address_, kUdp, udp));
    const auto frame = ethernet(to, client_mac_, ipv4 ? ETH_P_IP : ETH_P_IPV6,
                                ip_packet(client_address_, address_, kUdp, udp));
    send(sender_.get(), frame.data(), frame.size(), 0);
}

void OwnerWatch::listen() {
    std::uint8_t bytes[2048];
    while (true) {
        sockaddr_ll from{};
        socklen_t length = sizeof from;
        const ssize_t size =
            recvfrom(ports_.get(), bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &length);
        if (size < 0) return;
        const std::lock_guard lock(mutex_);
        const auto host = host_of_port_.find(from.sll_ifindex);
        if (host != host_of_port_.end()) heard(host->second, Bytes(bytes, static_cast<std::size_t>(size)));
    }
}

void OwnerWatch::heard(std::uint8_t host, Bytes frame) {
    if (frame.size() >= 42 && read_u16(frame, 12) == ETH_P_ARP) {
        // A reply from the address to one of our questions; announcements are none.
        if (read_u16(frame, 20) != 2 || IpAddress::from_bytes(frame.subspan(28, 4)) != address_) return;
        if (!std::equal(std::begin(kAskerPrefix), std::end(kAskerPrefix), frame.begin() + 32)) return;
        answered(static_cast<std::uint64_t>(read_u16(frame, 34)) << 16 | read_u16(frame, 36), {host, true});
    } else if (const std::size_t udp = payload_from(frame, address_, kUdp)) {
        if (frame.size() < udp + 16 || read_u16(frame, udp) != Responder::kPort) return;
        std::uint64_t number;
        std::memcpy(&number, &frame[udp + 8], sizeof number);
        answered(number, {host, false});
    } else if (const std::size_t icmp = payload_from(frame, address_, kIcmpv6)) {
        // It doesn't say which question it answers; kernels answer at once.
        const bool solicited = frame.size() >= icmp + 24 && (frame[icmp + 4] & 0x40) != 0;
        if (frame[icmp] == kAdvertisement && solicited) answered(questions_.size() - 1, {host, true});
    }
}

void OwnerWatch::answered(std::uint64_t number, Answer answer) {
    if (number < questions_.size()) questions_[number].answers.push_back(answer);
}

// A hand-over is one host's answers and then the other's, and none of them to the same frame.
bool OwnerWatch::Question::shows_two_owners() const {
    int changes = 0, to_all = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        changes += i > 0 && answers[i].host != answers[i - 1].host;
        to_all += answers[i].to_all;
    }
    return changes > 1 || (changes == 1 && to_all > 1);
}

OwnerWatch::Verdict OwnerWatch::verdict(Time from, Time until) const {
    Verdict verdict;
    const std::lock_guard lock(mutex_);
    for (const Question& question : questions_) {
        if (question.asked < from || question.asked >= until) continue;
        ++verdict.asked;
        verdict.unanswered += question.answers.empty();
        verdict.two_owners += question.shows_two_owners();
        for (const Answer& answer : question.answers)
            if (verdict.owners.empty() || verdict.owners.back() != answer.host)
                verdict.owners.push_back(answer.host);
    }
    return verdict;
}

bool OwnerWatch::wait_owner(const Host& host, Span patience) const {
    const Time from = Clock::now();
    const auto is_its = [&](const Answer& answer) { return answer.host == host.number(); };
    return wait_until(
        [&] {
            const std::lock_guard lock(mutex_);
            return std::any_of(questions_.rbegin(), questions_.rend(), [&](const Question& q) {
                return q.asked >= from && !q.answers.empty() &&
                       std::all_of(q.answers.begin(), q.answers.end(), is_its);
            });
        },
        patience, 2ms);
}

std::string OwnerWatch::Verdict::text() const {
    return fmt::format("{} ms: owners {}, nobody for {} ms, two hosts for {} ms", asked,
                       fmt::join(owners, " "), unanswered, two_owners);
}

}  // namespace carpd::lab
