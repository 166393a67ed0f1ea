// An IpAddress as the socket calls take it.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>

#include "base/addresses.h"

namespace carpd {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    // `ifindex` is for link-local addresses.
    SocketAddress(const IpAddress& address, std::uint16_t port, int ifindex = 0) {
        if (address.family() == Family::ipv4) {
            sockaddr_in in{};
            in.sin_family = AF_INET;
            in.sin_port = htons(port);
            std::memcpy(&in.sin_addr, address.bytes().data(), 4);
            std::memcpy(&storage, &in, size = sizeof in);
        } else {
            sockaddr_in6 in{};
            in.sin6_family = AF_INET6;
            in.sin6_port = htons(port);
            in.sin6_scope_id = address.is_link_local() ? static_cast<std::uint32_t>(ifindex) : 0;
            std::memcpy(&in.sin6_addr, address.bytes().data(), 16);
            std::memcpy(&storage, &in, size = sizeof in);
        }
    }
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// The address in what a socket call gave, which is of one of the two families.
inline IpAddress address_of(const sockaddr* from) {
    if (from->sa_family == AF_INET) {
        const auto* in = reinterpret_cast<const sockaddr_in*>(from);
        return IpAddress::from_bytes(Bytes(reinterpret_cast<const std::uint8_t*>(&in->sin_addr), 4));
    }
    const auto* in = reinterpret_cast<const sockaddr_in6*>(from);
    return IpAddress::from_bytes(Bytes(reinterpret_cast<const std::uint8_t*>(&in->sin6_addr), 16));
}

constexpr int domain_of(Family family) {
    return family == Family::ipv4 ? AF_INET : AF_INET6;
}

}  // namespace carpd
