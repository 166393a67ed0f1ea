#include "bench/lans.h"

#include <fmt/format.h>

#include "bench/arena.h"
#include "bench/contender.h"

namespace carpd::bench {

void attach_to_lans(lab::Host& host, int lans) {
    // What IPv6 says of itself is no advertisement.
    for (const char* which : {"all", "default"})
        host.set(fmt::format("net/ipv6/conf/{}/disable_ipv6", which), "1");
    for (int lan = 0; lan < lans; ++lan) {
        const std::string interface = interface_of(lan);
        host.attach(interface, lan, {own_address(lan, host)});
        deliver_by_kernel_thread(host.space(), interface);
        deliver_by_kernel_thread(host.lab().switch_space(), host.port(interface).name());
    }
}

}  // namespace carpd::bench
