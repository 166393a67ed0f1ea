// `carpctl explain --client`: who serves a client, and why. The engine decides; what it can't know, the MAC
// of a client that is named by its address, stands in the kernel's neighbour table.
#include <fmt/format.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "carpctl/commands.h"
#include "carpctl/render_pools.h"

namespace carpd {

namespace {

// Lines of /proc/net/arp begin with address, hardware type, flags (2: complete) and MAC.
std::optional<MacAddress> neighbour(const IpAddress& address) {
    constexpr unsigned kComplete = 2;
    std::ifstream table("/proc/net/arp");
    for (std::string line; std::getline(table, line);) {
        std::istringstream fields(line);
        std::string ip, type, mac;
        unsigned flags = 0;
        if (!(fields >> ip >> type >> std::hex >> flags >> mac) || (flags & kComplete) == 0) continue;
        if (IpAddress::parse(ip) == address) return MacAddress::parse(mac);
    }
    return std::nullopt;
}

// How to find a MAC that ARP balancing needs.
std::string advice(const IpAddress& client) {
    const std::string ip = client.to_string();
    return fmt::format(
        "This host's neighbour table has no MAC of {}. If the client is on the LAN, {}; if it is behind a "
        "router, that router's counts. Give it as `--client MAC`.\n",
        ip,
        client.family() == Family::ipv4 ? fmt::format("`arping -I INTERFACE {}` finds it", ip)
                                        : fmt::format("`ping {0}; ip neigh show {0}` find it", ip));
}

bool lacks_mac(const nlohmann::ordered_json& answer) {
    for (const auto& pool : answer.at("pools"))
        if (pool.at("needs") == "mac") return true;
    return false;
}

}  // namespace

ExitCode client_command(const Options& options, const std::string& client, const std::string& pool) {
    Request request{.command = Command::client, .group = pool};
    request.address = IpAddress::parse(client);
    request.mac = request.address ? neighbour(*request.address) : MacAddress::parse(client);
    if (!request.address && !request.mac)
        return report(
            {kUsage, fmt::format("'{}' is neither an IP address nor a MAC like 52:54:00:12:34:56", client)});
    auto connection = Client::connect(options.socket);
    if (!connection) return report(connection.error());
    const auto answer = ask(*connection, to_line(request));
    if (!answer) return report(answer.error());
    if (options.json) {
        fmt::print("{}\n", answer->line);
        return kOk;
    }
    fmt::print("{}", render_client(answer->json, Paint(wants_colour())));
    if (request.address && lacks_mac(answer->json)) fmt::print("{}", advice(*request.address));
    return kOk;
}

}  // namespace carpd
