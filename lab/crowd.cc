#include "lab/crowd.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "lab/error.h"
#include "linux/socket_address.h"

namespace carpd::lab {

namespace {

// The kernel's parameters of every interface to come, and of what holds for all.
void set_for_all(Host& host, const char* family, const char* parameter, const char* value) {
    for (const char* which : {"all", "default"})
        host.set(fmt::format("net/{}/conf/{}/{}", family, which, parameter), value);
}

std::string interface_of(int client) {
    return fmt::format("client{}", client);
}

MacAddress mac_of(int client) {
    return {{0x02, 0, 0, 1, static_cast<std::uint8_t>(client >> 8), static_cast<std::uint8_t>(client)}};
}

Host& build_beyond_router(Lab& lab) {
    Host& host = lab.add_host("crowd", {"10.1.0.9/16", "2001:db8::9/64"});
    host.ip("route add local 10.50.0.0/16 dev lo\nroute add local 2001:db8:50::/64 dev lo");
    return host;
}

// All on one cable: the hosts behind it are macvlans.
Host& build_on_the_lan(Lab& lab, int clients) {
    Host& host = lab.add_host("crowd");
    set_for_all(host, "ipv4", "arp_ignore", "1");
    set_for_all(host, "ipv4", "rp_filter", "0");
    host.attach("eth0", 0, {});
    std::string commands;
    for (int client = 0; client < clients; ++client) {
        const std::string interface = interface_of(client);
        commands += fmt::format(
            "link add link eth0 {0} address {1} type macvlan mode private\n"
            "address add 10.1.1.{2}/16 dev {0}\naddress add 2001:db8::1:{2:x}/64 dev {0} nodad\n"
            "link set {0} up\n",
            interface, mac_of(client).to_string(), client + 1);
    }
    host.ip(commands);
    return host;
}

void set_option(int socket, int level, int option, int value) {
    check(setsockopt(socket, level, option, &value, sizeof value), "setsockopt");
}

}  // namespace

Crowd::Crowd(Lab& lab, int clients, Place place)
    : size_(clients),
      place_(place),
      host_(place == Place::beyond_router ? build_beyond_router(lab) : build_on_the_lan(lab, clients)) {
    if (place == Place::on_the_lan && clients > 250) fail("{} clients are too many for the LAN", clients);
    host_.set("net/ipv4/ping_group_range", "0 0");  // root may open sockets for ping
    // Each connection that a client closed is remembered for a minute.
    host_.set("net/ipv4/tcp_max_tw_buckets", "1000000");
}

IpAddress Crowd::address(int client, Family family) const {
    const int number = client + 1;
    const std::string text =
        place_ == Place::on_the_lan
            ? (family == Family::ipv4 ? fmt::format("10.1.1.{}", number)
                                      : fmt::format("2001:db8::1:{:x}", number))
            : (family == Family::ipv4 ? fmt::format("10.50.{}.{}", number / 256, number % 256)
                                      : fmt::format("2001:db8:50::{:x}", number));
    return IpAddress::parse(text).value();
}

MacAddress Crowd::mac(int client) const {
    return mac_of(client);
}

UniqueFd Crowd::socket(int client, Family family, int type, int protocol) const {
    const bool is_v4 = family == Family::ipv4;
    UniqueFd socket(check(::socket(domain_of(family), type | SOCK_CLOEXEC, protocol), "socket"));
    if (place_ == Place::on_the_lan) {
        const std::string interface = interface_of(client);
        check(setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                         static_cast<socklen_t>(interface.size())),
              "SO_BINDTODEVICE");
    } else if (is_v4) {
        set_option(socket.get(), IPPROTO_IP, IP_FREEBIND, 1);
    } else {
        set_option(socket.get(), IPPROTO_IPV6, IPV6_FREEBIND, 1);
    }
    // The port is chosen when it connects, so that each pair of addresses has all of them.
    if ((type & SOCK_STREAM) != 0) set_option(socket.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    const SocketAddress own(address(client, family), 0);
    check(bind(socket.get(), own.get(), own.size), "bind");
    return socket;
}

void Crowd::add_routes(Host& server) {
    server.ip("route add 10.50.0.0/16 via 10.1.0.9\nroute add 2001:db8:50::/64 via 2001:db8::9");
}

}  // namespace carpd::lab
