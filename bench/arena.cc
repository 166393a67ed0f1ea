#include "bench/arena.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "bench/lans.h"
#include "lab/error.h"

namespace carpd::bench {

namespace {

void set_feature(const lab::Namespace& space, const std::string& interface, std::uint32_t command, bool on) {
    ethtool_value value{command, on};
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_data = reinterpret_cast<char*>(&value);
    lab::check(ioctl(space.socket(AF_INET, SOCK_DGRAM, 0).get(), SIOCETHTOOL, &request), "SIOCETHTOOL");
}

int count_addresses(const lab::Host& host) {
    const std::string list = host.run({"ip", "-4", "-o", "address"}).output;
    return static_cast<int>(std::count(list.begin(), list.end(), '\n'));
}

}  // namespace

void deliver_by_kernel_thread(const lab::Namespace& space, const std::string& interface) {
    set_feature(space, interface, ETHTOOL_STSO, false);
    set_feature(space, interface, ETHTOOL_SGRO, true);
    const std::string command = fmt::format(
        "echo 1 >/sys/class/net/{0}/threaded && tc qdisc replace dev {0} root pfifo_fast", interface);
    lab::run_checked({{"ip", "netns", "exec", space.name(), "sh", "-c", command}});
}

Packets packets_of(const lab::Host& host) {
    Packets sum;
    host.space().inside([&] {
        std::ifstream file("/proc/thread-self/net/dev");
        for (std::string line; std::getline(file, line);) {
            std::istringstream words(line);
            std::string name;
            std::uint64_t n[10];  // received: bytes, packets and six more; sent: bytes, packets
            words >> name;
            for (std::uint64_t& number : n) words >> number;
            if (!words || name == "lo:") continue;
            sum.received += n[1];
            sum.sent += n[9];
        }
    });
    return sum;
}

Arena::Arena(int lans) {
    for (lab::Host* host : {&master, &backup}) attach_to_lans(*host, lans);
    own_addresses_ = count_addresses(master);
}

bool Arena::has_owners(int of_master, int of_backup) const {
    return count_addresses(master) == own_addresses_ + of_master &&
           count_addresses(backup) == own_addresses_ + of_backup;
}

}  // namespace carpd::bench
