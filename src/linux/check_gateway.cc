// Does a neighbour answer? By ARP (RFC 826), neighbour discovery (RFC 4861), or ICMP echo. We ask in our own
// name, never in that of a shared address; and once we know its MAC we don't ask everybody.
#include <ifaddrs.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "linux/check.h"
#include "linux/process.h"
#include "linux/socket_address.h"
#include "wire/checksum.h"

namespace carpd {

namespace {

constexpr int kPacketsAtOnce = 64;
constexpr int kIcmpFilter = 1;  // ICMP_FILTER; <linux/icmp.h> and <net/if.h> exclude each other

// Where to ask, and in whose name.
struct Place {
    std::string device;
    int ifindex = 0;
    MacAddress mac;
    IpAddress source;  // unspecified: the device has none of its own
};

std::uint8_t prefix_length(const IpAddress& mask) {
    int bits = 0;
    for (std::uint8_t byte : mask.bytes()) bits += __builtin_popcount(byte);
    return static_cast<std::uint8_t>(bits);
}

MacAddress mac_of(const std::string& device) {
    MacAddress mac;
    ifreq request{};
    device.copy(request.ifr_name, IFNAMSIZ - 1);
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (ioctl(socket.get(), SIOCGIFHWADDR, &request) == 0)
        std::copy_n(request.ifr_hwaddr.sa_data, mac.bytes.size(), mac.bytes.begin());
    return mac;
}

// The interface in whose subnet `address` is, unless `device` names one; and the best of its own addresses:
// of that subnet, then link-local, then any.
std::optional<Place> find_place(const IpAddress& address, const std::string& device,
                                const SharedAddresses& shared) {
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return std::nullopt;
    const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
    std::optional<Place> best;
    int best_rank = -1;
    for (const ifaddrs* i = list; i != nullptr; i = i->ifa_next) {
        if (i->ifa_addr == nullptr || i->ifa_netmask == nullptr || (i->ifa_flags & IFF_LOOPBACK) != 0 ||
            i->ifa_addr->sa_family != domain_of(address.family()) ||
            (!device.empty() && device != i->ifa_name))
            continue;
        const IpAddress own = address_of(i->ifa_addr);
        const bool is_near = own.shares_prefix(address, prefix_length(address_of(i->ifa_netmask)));
        if (shared.contains(own) || (device.empty() && !is_near)) continue;
        const int rank = is_near ? 2 : own.is_link_local() ? 1 : 0;
        if (rank <= best_rank) continue;
        best_rank = rank;
        best = Place{i->ifa_name, 0, {}, own};
    }
    if (!best && !device.empty()) best = Place{device, 0, {}, IpAddress::any(address.family())};
    if (!best) return std::nullopt;
    best->ifindex = static_cast<int>(if_nametoindex(best->device.c_str()));
    best->mac = mac_of(best->device);
    return best;
}

// What the three have in common: a question, and a socket on which the answer comes.
class NeighborProbe : public Check {
 public:
    NeighborProbe(const GatewayCheck& config, const SharedAddresses& shared)
        : config_(config), shared_(shared), address_(config.address.to_string()) {}

    std::optional<CheckResult> start(Instant) override {
        if (needs_place()) {
            const auto place = find_place(config_.address, config_.device, shared_);
            if (!place) return CheckResult{false, "no interface's subnet has " + address_};
            if (place->ifindex == 0) return CheckResult{false, place->device + " does not exist"};
            place_ = *place;
        }
        if (!ask()) return end(cannot("ask " + where()));
        return std::nullopt;
    }

    Watch watch() const override { return {socket_.get()}; }

    News wake(Instant) override {
        std::array<std::uint8_t, 2048> buffer;
        for (int i = 0; i < kPacketsAtOnce; ++i) {
            sockaddr_storage from{};
            socklen_t from_size = sizeof from;
            const ssize_t size = recvfrom(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                          reinterpret_cast<sockaddr*>(&from), &from_size);
            if (size < 0 && errno == EAGAIN) return {};
            if (size < 0) return {end(cannot("hear " + address_))};
            if (is_answer(Bytes(buffer).first(static_cast<std::size_t>(size)), from))
                return {end({true, where() + " answers"})};
        }
        return {};
    }

    void cancel() override { socket_ = {}; }

 protected:
    // Whether it must be known where to ask; otherwise the routes say it.
    virtual bool needs_place() const { return true; }
    // Opens the socket and sends the question; false, with errno: it can't.
    virtual bool ask() = 0;
    virtual bool is_answer(Bytes packet, const sockaddr_storage& from) = 0;

    bool open_socket(int domain, int type, int protocol) {
        socket_ = UniqueFd(::socket(domain, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
        return static_cast<bool>(socket_);
    }
    bool bind_to_device() const {
        return setsockopt(socket_.get(), SOL_SOCKET, SO_BINDTODEVICE, place_.device.c_str(),
                          static_cast<socklen_t>(place_.device.size() + 1)) == 0;
    }
    bool send_to(Bytes packet, const void* to, socklen_t size) const {
        return sendto(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL,
                      static_cast<const sockaddr*>(to), size) == static_cast<ssize_t>(packet.size());
    }

    const GatewayCheck config_;
    Place place_;
    UniqueFd socket_;

 private:
    std::string where() const { return place_.device.empty() ? address_ : address_ + " on " + place_.device; }
    CheckResult end(CheckResult result) {
        socket_ = {};
        return result;
    }

    const SharedAddresses& shared_;
    const std::string address_;
};

class ArpProbe : public NeighborProbe {
 public:
    using NeighborProbe::NeighborProbe;

    void cancel() override {
        mac_.reset();  // perhaps it has another: ask everybody next time
        NeighborProbe::cancel();
    }

 private:
    static constexpr std::size_t kSize = 28;

    bool ask() override {
        if (!open_socket(AF_PACKET, SOCK_DGRAM, 0)) return false;
        sockaddr_ll place{};
        place.sll_family = AF_PACKET;
        place.sll_protocol = htons(ETH_P_ARP);
        place.sll_ifindex = place_.ifindex;
        if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&place), sizeof place) != 0) return false;
        const MacAddress to = mac_.value_or(MacAddress{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}});
        place.sll_halen = static_cast<unsigned char>(to.bytes.size());
        std::copy(to.bytes.begin(), to.bytes.end(), place.sll_addr);
        // Ethernet, IPv4, a request. Without an address of our own it is a probe (RFC 5227): nobody learns
        // anything from it.
        std::array<std::uint8_t, kSize> request = {0, 1, 8, 0, 6, 4, 0, 1};
        put(request, 8, place_.mac.bytes);
        put(request, 14, place_.source.bytes());
        put(request, 24, config_.address.bytes());
        return send_to(request, &place, sizeof place);
    }

    // A reply to us, from the address: not another's announcement, nor the answer of another host.
    bool is_answer(Bytes packet, const sockaddr_storage& from) override {
        if (packet.size() < kSize || read_u16(packet, 6) != 2) return false;
        const auto is = [&](std::size_t at, Bytes what) {
            return std::equal(what.begin(), what.end(), packet.begin() + static_cast<std::ptrdiff_t>(at));
        };
        if (!is(14, config_.address.bytes()) || !is(24, place_.source.bytes())) return false;
        MacAddress mac;
        std::copy_n(reinterpret_cast<const sockaddr_ll&>(from).sll_addr, mac.bytes.size(), mac.bytes.begin());
        mac_ = mac;
        return true;
    }

    static void put(std::array<std::uint8_t, kSize>& packet, std::size_t at, Bytes what) {
        std::copy(what.begin(), what.end(), packet.begin() + static_cast<std::ptrdiff_t>(at));
    }

    std::optional<MacAddress> mac_;  // who answered last
};

class NeighborDiscoveryProbe : public NeighborProbe {
 public:
    using NeighborProbe::NeighborProbe;

 private:
    bool ask() override {
        if (!open_socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)) return false;
        icmp6_filter filter;
        ICMP6_FILTER_SETBLOCKALL(&filter);
        ICMP6_FILTER_SETPASS(ND_NEIGHBOR_ADVERT, &filter);
        setsockopt(socket_.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
        const int hops = 255, index = place_.ifindex;
        setsockopt(socket_.get(), IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops);
        setsockopt(socket_.get(), IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
        const SocketAddress source(place_.source, 0, index);
        if (!bind_to_device() || bind(socket_.get(), source.get(), source.size) != 0) return false;
        // To ff02::1:ffXX:XXXX, with our MAC as the option (RFC 4861 §4.3).
        std::array<std::uint8_t, 16> group = {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
        const Bytes target = config_.address.bytes();
        std::copy(target.begin() + 13, target.end(), group.begin() + 13);
        std::array<std::uint8_t, 32> solicitation = {ND_NEIGHBOR_SOLICIT};
        std::copy(target.begin(), target.end(), solicitation.begin() + 8);
        solicitation[24] = ND_OPT_SOURCE_LINKADDR;
        solicitation[25] = 1;
        std::copy(place_.mac.bytes.begin(), place_.mac.bytes.end(), solicitation.begin() + 26);
        const SocketAddress to(IpAddress::from_bytes(group), 0);
        return send_to(solicitation, to.get(), to.size);
    }

    bool is_answer(Bytes packet, const sockaddr_storage&) override {
        const Bytes target = config_.address.bytes();
        return packet.size() >= 24 && packet[0] == ND_NEIGHBOR_ADVERT &&
               std::equal(target.begin(), target.end(), packet.begin() + 8);
    }
};

class EchoProbe : public NeighborProbe {
 public:
    using NeighborProbe::NeighborProbe;

 private:
    bool is_ipv4() const { return config_.address.family() == Family::ipv4; }
    bool needs_place() const override { return !config_.device.empty(); }

    bool ask() override {
        if (!open_socket(domain_of(config_.address.family()), SOCK_RAW,
                         is_ipv4() ? static_cast<int>(IPPROTO_ICMP) : static_cast<int>(IPPROTO_ICMPV6)))
            return false;
        if (is_ipv4()) {
            const std::uint32_t filtered = ~(1u << ICMP_ECHOREPLY);
            setsockopt(socket_.get(), SOL_RAW, kIcmpFilter, &filtered, sizeof filtered);
        } else {
            icmp6_filter filter;
            ICMP6_FILTER_SETBLOCKALL(&filter);
            ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
            setsockopt(socket_.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
        }
        const SocketAddress source(place_.source, 0, place_.ifindex);
        const SocketAddress to(config_.address, 0, place_.ifindex);
        if (place_.ifindex != 0 && (!bind_to_device() || bind(socket_.get(), source.get(), source.size) != 0))
            return false;
        // Connected, it hears this address only.
        if (connect(socket_.get(), to.get(), to.size) != 0) return false;
        const std::uint8_t type = is_ipv4() ? std::uint8_t{ICMP_ECHO} : std::uint8_t{ICMP6_ECHO_REQUEST};
        std::array<std::uint8_t, 16> request = echo(type, id_, ++sequence_, 0);
        if (is_ipv4())  // of IPv6 the kernel does it
            request = echo(type, id_, sequence_, checksum(request));
        return send(socket_.get(), request.data(), request.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(request.size());
    }

    bool is_answer(Bytes packet, const sockaddr_storage&) override {
        if (is_ipv4()) {  // the IP header comes with it
            const std::size_t header = packet.empty() ? 0 : (packet[0] & 0x0fu) * 4;
            if (header > packet.size()) return false;
            packet = packet.subspan(header);
        }
        return packet.size() >= 8 && packet[0] == (is_ipv4() ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY) &&
               read_u16(packet, 4) == id_ && read_u16(packet, 6) == sequence_;
    }

    static std::array<std::uint8_t, 16> echo(std::uint8_t type, std::uint16_t id, std::uint16_t sequence,
                                             std::uint16_t sum) {
        std::array<std::uint8_t, 16> packet{};
        ByteWriter out(packet);
        out.u8(type), out.u8(0), out.u16(sum), out.u16(id), out.u16(sequence);
        return packet;
    }

    const std::uint16_t id_ = static_cast<std::uint16_t>(random_seed());
    std::uint16_t sequence_ = 0;
};

}  // namespace

std::unique_ptr<Check> make_check(const GatewayCheck& config, const SharedAddresses& shared) {
    if (config.icmp) return std::make_unique<EchoProbe>(config, shared);
    if (config.address.family() == Family::ipv4) return std::make_unique<ArpProbe>(config, shared);
    return std::make_unique<NeighborDiscoveryProbe>(config, shared);
}

}  // namespace carpd
