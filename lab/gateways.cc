#include "lab/gateways.h"

#include <fmt/format.h>

#include <fstream>
#include <sstream>

#include "lab/error.h"

namespace carpd::lab {

namespace {

constexpr int kInside = 0, kOutside = 1, kSync = 2;  // segments
constexpr const char* kServer4 = "198.51.100.9";

constexpr const char* kRules = R"(
flush ruleset
table inet firewall {
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state invalid drop
        ct state established,related accept
        iifname "eth0" oifname "eth1" ct state new accept
    }
}
)";

Host& add_server(Lab& lab) {
    Host& server = lab.add_host("server");
    server.attach("eth0", kOutside, {fmt::format("{}/24", kServer4), "2001:db8:2::9/64"});
    server.ip("route add 10.50.0.0/16 via 198.51.100.100\nroute add 2001:db8:50::/64 via 2001:db8:2::100");
    server.serve();
    return server;
}

}  // namespace

Gateways::Gateways(Lab& lab, int clients, bool sync)
    : sync_(sync), crowd_(lab, clients, Crowd::Place::beyond_router), server_(add_server(lab)) {
    for (const int number : {1, 2}) hosts_.push_back(&add_gateway(lab, number));
    crowd_.host().ip("route add 198.51.100.0/24 via 10.1.0.100\nroute add 2001:db8:2::/64 via 2001:db8::100");
}

Host& Gateways::add_gateway(Lab& lab, int number) {
    Host& host = lab.add_host(fmt::format("gw{}", number));
    host.attach("eth0", kInside,
                {fmt::format("10.1.0.{}/16", number), fmt::format("2001:db8::{}/64", number)});
    host.attach("eth1", kOutside,
                {fmt::format("198.51.100.{}/24", number), fmt::format("2001:db8:2::{}/64", number)});
    host.attach("eth2", kSync, {fmt::format("10.9.0.{}/24", number)});
    Crowd::add_routes(host);
    run_checked({{"nft", "-f", "-"}, &host.space(), kRules});
    // A packet out of nowhere starts no flow: one that wasn't told is a connection lost.
    host.set("net/netfilter/nf_conntrack_tcp_loose", "0");
    for (const char* family : {"ipv4/ip_forward", "ipv6/conf/all/forwarding"})
        host.set(fmt::format("net/{}", family), "1");
    return host;
}

std::string Gateways::config(int number) const {
    std::string text;
    for (const auto& [name, interface, addresses] :
         {std::tuple("lan", "eth0", R"("10.1.0.100/16", "2001:db8::100/64")"),
          std::tuple("wan", "eth1", R"("198.51.100.100/24", "2001:db8:2::100/64")")})
        text += fmt::format(
            "[[group]]\nname = \"{}\"\ninterface = \"{}\"\naddresses = [{}]\ncarpnodes = [\"1:{}\", "
            "\"2:{}\"]\n"
            "password = \"gateway\"\nadvbase = 0\npreempt = true\n\n",
            name, interface, addresses, number == 1 ? 10 : 20, number == 2 ? 10 : 20);
    text += "[[together]]\nname = \"gateway\"\ngroups = [\"lan\", \"wan\"]\n\n";
    if (sync_)
        text += fmt::format(
            "[sync]\nname = \"gw{}\"\ninterface = \"eth2\"\npeers = [\"10.9.0.{}\"]\nkey-hex = \"{:0>64}\"\n",
            number, 3 - number, "5ec4e7");
    return text;
}

void Gateways::start() {
    for (const int number : {1, 2}) daemons_.emplace_back(host(number - 1), config(number));
    const auto is_home = [&](int number) {
        for (const char* pool : {"lan", "wan"})
            for (const int vhid : {1, 2})
                if (carpd(number - 1).state(fmt::format("{}:{}", pool, vhid)) !=
                    (vhid == number ? "master" : "backup"))
                    return false;
        return true;
    };
    if (!wait_until([&] { return is_home(1) && is_home(2); }, 15s, 20ms))
        fail("the gateways don't come to be at home:\n{}{}", carpd(0).log(), carpd(1).log());
}

std::uint64_t Gateways::forwarded(int index) const {
    std::uint64_t sum = 0;
    hosts_.at(static_cast<std::size_t>(index))->space().inside([&] {
        std::string word;
        std::ifstream ipv6("/proc/thread-self/net/snmp6");
        for (std::uint64_t value; ipv6 >> word >> value;)
            if (word == "Ip6OutForwDatagrams") sum += value;
        std::ifstream ipv4("/proc/thread-self/net/snmp");
        std::string line;
        std::getline(ipv4, line);  // names: ForwDatagrams is the sixth
        std::getline(ipv4, line);
        std::istringstream values(line);
        for (int i = 0; i < 6; ++i) values >> word;
        sum += std::stoull((values >> word, word));
    });
    return sum;
}

}  // namespace carpd::lab
