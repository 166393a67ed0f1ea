#include "lab/lab.h"

#include <libmnl/libmnl.h>
#include <linux/if_bridge.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "lab/error.h"
#include "lab/probe.h"

namespace carpd::lab {

namespace {

// Sends one request and takes the kernel's answer; throws if it refused.
void transact(int netlink, nlmsghdr* request) {
    request->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    check(static_cast<int>(send(netlink, request, request->nlmsg_len, 0)), "sending to rtnetlink");
    char answer[512];
    check(static_cast<int>(recv(netlink, answer, sizeof answer, 0)), "rtnetlink");
    const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
    const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header));
    if (header->nlmsg_type != NLMSG_ERROR || error->error != 0)
        fail("rtnetlink refused: {}", std::strerror(-error->error));
}

int index_of(const Namespace& space, const std::string& interface) {
    int index = 0;
    space.inside([&] { index = static_cast<int>(if_nametoindex(interface.c_str())); });
    if (index == 0) fail("no interface {} in {}", interface, space.name());
    return index;
}

std::string new_folder() {
    std::string path =
        fmt::format("{}/cpd{}-XXXXXX", std::filesystem::temp_directory_path().string(), getpid());
    if (mkdtemp(path.data()) == nullptr) fail("cannot make {}", path);
    return path;
}

}  // namespace

std::string why_no_lab() {
    if (geteuid() != 0) return "it needs root (try sudo), because it builds a network of namespaces";
    try {
        remove_leftovers();
        Namespace probe("try");
        probe.ip("link add br0 type bridge\nlink add veth0 type veth peer name veth1");
        return {};
    } catch (const std::exception& error) {
        return fmt::format("network namespaces don't work here: {}", error.what());
    }
}

// ---- SwitchPort

SwitchPort::SwitchPort(const Namespace& space, std::string name)
    : netlink_(space.socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)),
      name_(std::move(name)),
      index_(index_of(space, name_)) {}

void SwitchPort::set_plugged(bool plugged) {
    char buffer[128];
    nlmsghdr* request = mnl_nlmsg_put_header(buffer);
    request->nlmsg_type = RTM_NEWLINK;
    auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg)));
    link->ifi_index = index_;
    link->ifi_change = IFF_UP;
    link->ifi_flags = plugged ? IFF_UP : 0;
    transact(netlink_.get(), request);
}

void SwitchPort::set_forwarding(bool forwarding) {
    char buffer[128];
    nlmsghdr* request = mnl_nlmsg_put_header(buffer);
    request->nlmsg_type = RTM_SETLINK;
    auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(request, sizeof(ifinfomsg)));
    link->ifi_family = AF_BRIDGE;
    link->ifi_index = index_;
    nlattr* port = mnl_attr_nest_start(request, IFLA_PROTINFO);
    mnl_attr_put_u8(request, IFLA_BRPORT_STATE, forwarding ? BR_STATE_FORWARDING : BR_STATE_DISABLED);
    mnl_attr_nest_end(request, port);
    transact(netlink_.get(), request);
}

// ---- Host

Host::Host(Lab& lab, const std::string& name, std::uint8_t number)
    : lab_(lab), name_(name), number_(number), space_(name) {
    // Addresses must work at once, not after duplicate address detection.
    for (const char* which : {"all", "default"}) set(fmt::format("net/ipv6/conf/{}/accept_dad", which), "0");
}

Host::~Host() = default;

void Host::attach(const std::string& interface, int segment, const std::vector<std::string>& addresses) {
    const std::string bridge = lab_.segment(segment);
    const std::string& inside = lab_.switch_space().name();
    const std::string port = fmt::format("{}-{}", name_, interface);
    const MacAddress mac{
        {0x02, 0, 0, 0, static_cast<std::uint8_t>(segment), static_cast<std::uint8_t>(number_ + 1)}};
    std::string commands =
        fmt::format("link add {} address {} type veth peer name {} netns {}\nlink set {} up\n", interface,
                    mac.to_string(), port, inside, interface);
    for (const std::string& address : addresses)
        commands += fmt::format("address add {} dev {}{}\n", address, interface,
                                address.find(':') == std::string::npos ? "" : " nodad");
    ip(commands);
    lab_.switch_space().ip(fmt::format("link set {} master {} up", port, bridge));
    ports_.emplace_back(interface, SwitchPort(lab_.switch_space(), port));
    // The carrier and the bridge port come up a moment later.
    const std::string state =
        fmt::format("bridge -n {} link show dev {} | grep -q 'state forwarding'", inside, port);
    if (!wait_until([&] { return lab::run({{"sh", "-c", state}}).exit_code == 0; }, 5s))
        fail("{} does not come up", port);
}

void Host::detach(const std::string& interface) {
    ip("link del " + interface);
    std::erase_if(ports_, [&](const auto& port) { return port.first == interface; });
}

SwitchPort& Host::port(const std::string& interface) {
    for (auto& [name, port] : ports_)
        if (name == interface) return port;
    fail("{} has no interface {}", name_, interface);
}

MacAddress Host::mac(const std::string& interface) const {
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    const UniqueFd socket = space_.socket(AF_INET, SOCK_DGRAM, 0);
    check(ioctl(socket.get(), SIOCGIFHWADDR, &request), "SIOCGIFHWADDR");
    MacAddress mac;
    std::memcpy(mac.bytes.data(), request.ifr_hwaddr.sa_data, 6);
    return mac;
}

void Host::serve() {
    if (!responder_) responder_ = std::make_unique<Responder>(space_, number_);
}

void Host::power_off() {
    for (auto& [name, port] : ports_) port.set_forwarding(false);
    space_.kill_all();
}

void Host::power_on() {
    for (auto& [name, port] : ports_) port.set_forwarding(true);
}

// ---- Lab

Lab::Lab() : folder_(new_folder()), switch_("switch") {
    setenv("STATE_DIRECTORY", state_folder().c_str(), 1);
    segment(0);
}

Lab::~Lab() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
    unsetenv("STATE_DIRECTORY");
}

std::string Lab::segment(int number) {
    const std::string bridge = fmt::format("br{}", number);
    if (std::find(segments_.begin(), segments_.end(), number) != segments_.end()) return bridge;
    // A switch that is silent and quick: no spanning tree, no snooping, no addresses of its own.
    switch_.set("net/ipv6/conf/default/disable_ipv6", "1");
    // A switch forwards frames and minds no IP header, whatever the kernel's bridge filter thinks of them.
    for (const char* filter : {"arptables", "iptables", "ip6tables"})
        if (const std::string name = fmt::format("net/bridge/bridge-nf-call-{}", filter); switch_.has(name))
            switch_.set(name, "0");
    switch_.ip(
        fmt::format("link add {0} type bridge forward_delay 0 stp_state 0 mcast_snooping 0\n"
                    "link set {0} up",
                    bridge));
    segments_.push_back(number);
    return bridge;
}

void Lab::make_hub() {
    switch_.ip(fmt::format("link set {} type bridge ageing_time 0", segment(0)));
}

void Lab::make_snooping() {
    const std::string bridge = segment(0);
    switch_.set(fmt::format("net/ipv6/conf/{}/disable_ipv6", bridge), "0");  // to ask, it needs an address
    // In hundredths of a second; it begins when its first question has been answered.
    switch_.ip(fmt::format(
        "link set {} type bridge mcast_query_response_interval 50 "
        "mcast_startup_query_interval 50 mcast_query_interval 200 mcast_querier 1 mcast_snooping 1",
        bridge));
}

Host& Lab::add_host(const std::string& name) {
    return hosts_.emplace_back(*this, name, static_cast<std::uint8_t>(hosts_.size()));
}

Host& Lab::add_host(const std::string& name, const std::vector<std::string>& addresses) {
    Host& host = add_host(name);
    host.attach("eth0", 0, addresses);
    return host;
}

}  // namespace carpd::lab
