#include "linux/netlink_socket.h"

#include <arpa/inet.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "linux/netlink_attributes.h"

namespace carpd {

namespace {

// Sent at once: few enough that all answers fit into the socket's receive buffer, for the kernel drops what
// doesn't.
constexpr std::size_t kMaxChunk = 64;
constexpr std::size_t kMaxAlias = 255;  // IFALIASZ without its end
constexpr std::uint32_t kForever = 0xffffffff;

std::uint8_t kernel_family(Family family) {
    return family == Family::ipv4 ? AF_INET : AF_INET6;
}

void put_ip(nlmsghdr* header, std::uint16_t type, const IpAddress& address) {
    mnl_attr_put(header, type, address.bytes().size(), address.bytes().data());
}

std::optional<IpAddress> get_ip(const nlattr* attribute, std::uint8_t family) {
    const std::size_t size = family == AF_INET ? 4 : 16;
    if (attribute == nullptr || mnl_attr_get_payload_len(attribute) != size) return std::nullopt;
    return IpAddress::from_bytes(
        Bytes(static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)), size));
}

std::optional<Route> parse_route(const nlmsghdr& message) {
    const auto& body = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message));
    if (mnl_nlmsg_get_payload_len(&message) < sizeof body) return std::nullopt;
    if ((body.rtm_family != AF_INET && body.rtm_family != AF_INET6) || body.rtm_flags & RTM_F_CLONED)
        return std::nullopt;
    const auto found = attributes<RTA_MAX>(message, sizeof body);
    const Family family = body.rtm_family == AF_INET ? Family::ipv4 : Family::ipv6;
    Route route;
    route.destination = {get_ip(found[RTA_DST], body.rtm_family).value_or(IpAddress::any(family)),
                         body.rtm_dst_len};
    route.ifindex = static_cast<int>(get_u32(found[RTA_OIF]));
    route.table = get_u32(found[RTA_TABLE], body.rtm_table);
    route.metric = get_u32(found[RTA_PRIORITY]);
    route.protocol = body.rtm_protocol;
    route.gateway = get_ip(found[RTA_GATEWAY], body.rtm_family);
    route.preferred_source = get_ip(found[RTA_PREFSRC], body.rtm_family);
    route.local = body.rtm_type == RTN_LOCAL;
    return route;
}

std::optional<Rule> parse_rule(const nlmsghdr& message) {
    const auto& body = *static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(&message));
    if (mnl_nlmsg_get_payload_len(&message) < sizeof body) return std::nullopt;
    const auto found = attributes<FRA_MAX>(message, sizeof body);
    const auto source = get_ip(found[FRA_SRC], body.family);
    if (!source) return std::nullopt;
    Rule rule;
    rule.source = *source;
    rule.table = get_u32(found[FRA_TABLE], body.table);
    rule.priority = get_u32(found[FRA_PRIORITY]);
    if (found[FRA_PROTOCOL] != nullptr) rule.protocol = mnl_attr_get_u8(found[FRA_PROTOCOL]);
    return rule;
}

void put_route(nlmsghdr* header, const Route& route) {
    auto* body = put_body<rtmsg>(header);
    body->rtm_family = kernel_family(route.destination.address.family());
    body->rtm_dst_len = route.destination.prefix_length;
    body->rtm_table = RT_TABLE_UNSPEC;
    body->rtm_protocol = route.protocol;
    body->rtm_scope = route.local ? RT_SCOPE_HOST : route.gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
    body->rtm_type = route.local ? RTN_LOCAL : RTN_UNICAST;
    if (route.gateway) body->rtm_flags = RTNH_F_ONLINK;
    put_ip(header, RTA_DST, route.destination.address);
    mnl_attr_put_u32(header, RTA_OIF, static_cast<std::uint32_t>(route.ifindex));
    mnl_attr_put_u32(header, RTA_TABLE, route.table);
    if (route.metric != 0) mnl_attr_put_u32(header, RTA_PRIORITY, route.metric);
    if (route.gateway) put_ip(header, RTA_GATEWAY, *route.gateway);
    if (route.preferred_source) put_ip(header, RTA_PREFSRC, *route.preferred_source);
}

void put_rule(nlmsghdr* header, const Rule& rule) {
    auto* body = put_body<fib_rule_hdr>(header);
    body->family = kernel_family(rule.source.family());
    body->src_len = rule.source.bit_count();
    body->table = RT_TABLE_UNSPEC;
    body->action = FR_ACT_TO_TBL;
    put_ip(header, FRA_SRC, rule.source);
    mnl_attr_put_u32(header, FRA_TABLE, rule.table);
    mnl_attr_put_u32(header, FRA_PRIORITY, rule.priority);
    mnl_attr_put_u8(header, FRA_PROTOCOL, rule.protocol);
}

}  // namespace

std::string link_object(int ifindex) {
    char name[IF_NAMESIZE];
    return if_indextoname(static_cast<unsigned>(ifindex), name) != nullptr ? name
                                                                           : "no. " + std::to_string(ifindex);
}

std::optional<Link> parse_link(const nlmsghdr& message) {
    if (mnl_nlmsg_get_payload_len(&message) < sizeof(ifinfomsg)) return std::nullopt;
    const auto& body = *static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(&message));
    if (body.ifi_family != AF_UNSPEC) return std::nullopt;
    const auto found = attributes<IFLA_MAX>(message, sizeof body);
    Link link;
    link.ifindex = body.ifi_index;
    link.parent = static_cast<int>(get_u32(found[IFLA_LINK]));
    link.master = static_cast<int>(get_u32(found[IFLA_MASTER]));
    link.name = get_string(found[IFLA_IFNAME]);
    link.alias = get_string(found[IFLA_IFALIAS]);
    link.kind = get_nested_string(found[IFLA_LINKINFO], IFLA_INFO_KIND);
    if (found[IFLA_ADDRESS] != nullptr &&
        mnl_attr_get_payload_len(found[IFLA_ADDRESS]) == link.mac.bytes.size())
        std::memcpy(link.mac.bytes.data(), mnl_attr_get_payload(found[IFLA_ADDRESS]), link.mac.bytes.size());
    link.mtu = get_u32(found[IFLA_MTU]);
    link.up = (body.ifi_flags & IFF_UP) != 0;
    link.running = (body.ifi_flags & IFF_RUNNING) != 0;
    link.ethernet = body.ifi_type == ARPHRD_ETHER;
    return link;
}

std::optional<LinkAddress> parse_address(const nlmsghdr& message) {
    if (mnl_nlmsg_get_payload_len(&message) < sizeof(ifaddrmsg)) return std::nullopt;
    const auto& body = *static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(&message));
    if (body.ifa_family != AF_INET && body.ifa_family != AF_INET6) return std::nullopt;
    const auto found = attributes<IFA_MAX>(message, sizeof body);
    // On point-to-point links IFA_ADDRESS is the peer's; IFA_LOCAL is missing for most IPv6 addresses.
    const nlattr* own = found[IFA_LOCAL] != nullptr ? found[IFA_LOCAL] : found[IFA_ADDRESS];
    const auto ip = get_ip(own, body.ifa_family);
    if (!ip) return std::nullopt;
    LinkAddress address;
    address.ifindex = static_cast<int>(body.ifa_index);
    address.address = {*ip, body.ifa_prefixlen};
    address.flags = get_u32(found[IFA_FLAGS], body.ifa_flags);
    if (found[IFA_PROTO] != nullptr && mnl_attr_get_payload_len(found[IFA_PROTO]) > 0)
        address.protocol = mnl_attr_get_u8(found[IFA_PROTO]);
    return address;
}

nlmsghdr* NetlinkBatch::begin(std::uint16_t type, std::uint16_t flags) {
    std::memset(scratch_, 0, sizeof scratch_);
    nlmsghdr* header = mnl_nlmsg_put_header(scratch_);
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    return header;
}

void NetlinkBatch::end(const char* operation, std::string object) {
    const auto* header = reinterpret_cast<const nlmsghdr*>(scratch_);
    const std::size_t size = MNL_ALIGN(header->nlmsg_len);
    messages_.push_back({bytes_.size(), size, operation, std::move(object), owner_});
    bytes_.insert(bytes_.end(), scratch_, scratch_ + size);
}

void NetlinkBatch::add_macvlan(std::string_view name, int parent, const MacAddress& mac) {
    nlmsghdr* header = begin(RTM_NEWLINK, kAdd);
    put_body<ifinfomsg>(header);
    put_string(header, IFLA_IFNAME, name);
    mnl_attr_put_u32(header, IFLA_LINK, static_cast<std::uint32_t>(parent));
    mnl_attr_put(header, IFLA_ADDRESS, mac.bytes.size(), mac.bytes.data());
    nlattr* info = mnl_attr_nest_start(header, IFLA_LINKINFO);
    put_string(header, IFLA_INFO_KIND, "macvlan");
    nlattr* data = mnl_attr_nest_start(header, IFLA_INFO_DATA);
    mnl_attr_put_u32(header, IFLA_MACVLAN_MODE, MACVLAN_MODE_VEPA);
    mnl_attr_nest_end(header, data);
    mnl_attr_nest_end(header, info);
    end("add the device", std::string(name));
}

void NetlinkBatch::set_alias(int ifindex, std::string_view alias) {
    nlmsghdr* header = begin(RTM_NEWLINK, 0);
    put_body<ifinfomsg>(header)->ifi_index = ifindex;
    put_string(header, IFLA_IFALIAS, alias.substr(0, kMaxAlias));
    end("name the device", link_object(ifindex));
}

void NetlinkBatch::stop_address_generation(int ifindex) {
    nlmsghdr* header = begin(RTM_NEWLINK, 0);
    put_body<ifinfomsg>(header)->ifi_index = ifindex;
    nlattr* families = mnl_attr_nest_start(header, IFLA_AF_SPEC);
    nlattr* ipv6 = mnl_attr_nest_start(header, AF_INET6);
    mnl_attr_put_u8(header, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
    mnl_attr_nest_end(header, ipv6);
    mnl_attr_nest_end(header, families);
    end("stop address generation on the device", link_object(ifindex));
}

void NetlinkBatch::delete_link(int ifindex) {
    nlmsghdr* header = begin(RTM_DELLINK, 0);
    put_body<ifinfomsg>(header)->ifi_index = ifindex;
    end("remove the device", link_object(ifindex));
}

void NetlinkBatch::set_up(int ifindex, bool up) {
    nlmsghdr* header = begin(RTM_NEWLINK, 0);
    auto* body = put_body<ifinfomsg>(header);
    body->ifi_index = ifindex;
    body->ifi_change = IFF_UP;
    body->ifi_flags = up ? IFF_UP : 0;
    end(up ? "bring up the device" : "bring down the device", link_object(ifindex));
}

void NetlinkBatch::set_mac(int ifindex, const MacAddress& mac) {
    nlmsghdr* header = begin(RTM_NEWLINK, 0);
    put_body<ifinfomsg>(header)->ifi_index = ifindex;
    mnl_attr_put(header, IFLA_ADDRESS, mac.bytes.size(), mac.bytes.data());
    end("set the MAC address", mac.to_string());
}

void NetlinkBatch::set_mtu(int ifindex, std::uint32_t mtu) {
    nlmsghdr* header = begin(RTM_NEWLINK, 0);
    put_body<ifinfomsg>(header)->ifi_index = ifindex;
    mnl_attr_put_u32(header, IFLA_MTU, mtu);
    end("set the MTU of the device", link_object(ifindex));
}

void NetlinkBatch::add_address(int ifindex, const IpAddress& address, std::uint8_t protocol) {
    nlmsghdr* header = begin(RTM_NEWADDR, kAdd);
    auto* body = put_body<ifaddrmsg>(header);
    body->ifa_family = kernel_family(address.family());
    body->ifa_prefixlen = address.bit_count();
    body->ifa_index = static_cast<std::uint32_t>(ifindex);
    body->ifa_scope = address.is_link_local() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    put_ip(header, IFA_LOCAL, address);
    put_ip(header, IFA_ADDRESS, address);
    mnl_attr_put_u8(header, IFA_PROTO, protocol);
    mnl_attr_put_u32(header, IFA_FLAGS,
                     IFA_F_NOPREFIXROUTE | (address.family() == Family::ipv6 ? IFA_F_NODAD : 0));
    if (address.family() == Family::ipv6) {
        const ifa_cacheinfo lifetimes{0, kForever, 0, 0};  // preferred, valid
        mnl_attr_put(header, IFA_CACHEINFO, sizeof lifetimes, &lifetimes);
    }
    end("add the address", address.to_string());
}

void NetlinkBatch::delete_address(const LinkAddress& address) {
    const IpAddress& ip = address.address.address;
    nlmsghdr* header = begin(RTM_DELADDR, 0);
    auto* body = put_body<ifaddrmsg>(header);
    body->ifa_family = kernel_family(ip.family());
    body->ifa_prefixlen = address.address.prefix_length;
    body->ifa_index = static_cast<std::uint32_t>(address.ifindex);
    put_ip(header, IFA_LOCAL, ip);
    end("remove the address", ip.to_string());
}

void NetlinkBatch::add_route(const Route& route) {
    put_route(begin(RTM_NEWROUTE, kAdd), route);
    end("add the route to", route.destination.to_string());
}

void NetlinkBatch::delete_route(const Route& route) {
    put_route(begin(RTM_DELROUTE, 0), route);
    end("remove the route to", route.destination.to_string());
}

void NetlinkBatch::add_rule(const Rule& rule) {
    put_rule(begin(RTM_NEWRULE, kAdd), rule);
    end("add the routing rule for", rule.source.to_string());
}

void NetlinkBatch::delete_rule(const Rule& rule) {
    put_rule(begin(RTM_DELRULE, 0), rule);
    end("remove the routing rule for", rule.source.to_string());
}

Expected<Netlink, SysError> Netlink::open() {
    UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    const sockaddr_nl any{AF_NETLINK, 0, 0, 0};
    if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0)
        return Unexpected{SysError{"open a netlink socket", "", errno}};
    // Errors without a copy of what caused them, and dumps that filter as asked. Older kernels do neither.
    const int on = 1;
    setsockopt(socket.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    setsockopt(socket.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    return Netlink(std::move(socket));
}

Netlink::Outcome Netlink::run(const NetlinkBatch& batch) {
    Outcome outcome;
    const auto& messages = batch.messages_;
    for (std::size_t first = 0; first < messages.size();) {
        const std::size_t last = std::min(first + kMaxChunk, messages.size());
        run_chunk(batch, first, last, outcome);
        first = last;
    }
    return outcome;
}

namespace {

// Whether a message asked for what is so already.
bool is_done_already(const nlmsghdr& message, int error) {
    if (message.nlmsg_type == RTM_NEWLINK) return error == EAFNOSUPPORT;  // no IPv6: generates no addresses
    if (message.nlmsg_flags & NLM_F_CREATE) return error == EEXIST;
    const auto type = message.nlmsg_type;
    if (type == RTM_DELTFILTER || type == RTM_DELQDISC)  // EINVAL: there is no qdisc of that kind
        return error == ENODEV || error == ENOENT || error == EINVAL;
    const bool deletes =
        type == RTM_DELLINK || type == RTM_DELADDR || type == RTM_DELROUTE || type == RTM_DELRULE;
    return deletes && (error == ENODEV || error == ESRCH || error == ENOENT || error == EADDRNOTAVAIL);
}

}  // namespace

void Netlink::run_chunk(const NetlinkBatch& batch, std::size_t first, std::size_t last, Outcome& outcome) {
    const std::size_t begin = batch.messages_[first].offset;
    const std::size_t end = batch.messages_[last - 1].offset + batch.messages_[last - 1].size;
    std::memcpy(buffer_.data(), batch.bytes_.data() + begin, end - begin);
    const auto message = [&](std::size_t i) {
        return reinterpret_cast<nlmsghdr*>(buffer_.data() + batch.messages_[i].offset - begin);
    };
    // The kernel reports every error, but a success only where asked: once, for the last.
    const std::uint32_t base = sequence_ + 1;
    for (std::size_t i = first; i < last; ++i) message(i)->nlmsg_seq = ++sequence_;
    message(last - 1)->nlmsg_flags |= NLM_F_ACK;
    outcome.changed += last - first;

    // The kernel has answered when send() returns, so nothing here ever waits.
    int error = ::send(socket_.get(), buffer_.data(), end - begin, 0) < 0 ? errno : 0;
    for (bool answered = false; error == 0 && !answered;) {
        char answer[512];
        const ssize_t size = ::recv(socket_.get(), answer, sizeof answer, MSG_DONTWAIT);
        if (size < 0) {
            if (errno != EINTR) error = errno;
            continue;
        }
        const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
        if (!mnl_nlmsg_ok(header, static_cast<int>(size)) || header->nlmsg_type != NLMSG_ERROR) continue;
        const std::uint32_t place = header->nlmsg_seq - base;
        if (place >= last - first) continue;  // an answer to something older
        answered = place == last - first - 1;
        const int refused = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header))->error;
        if (refused == 0) continue;
        --outcome.changed;
        const auto& cause = batch.messages_[first + place];
        const auto& sent = *reinterpret_cast<const nlmsghdr*>(batch.bytes_.data() + cause.offset);
        if (!is_done_already(sent, refused))
            outcome.failures.push_back({cause.owner, SysError{cause.operation, cause.object, refused}});
    }
    if (error == 0) return;
    for (std::size_t i = first; i < last; ++i)
        outcome.failures.push_back(
            {batch.messages_[i].owner, SysError{"talk to the kernel by netlink", "", error}});
}

int Netlink::exchange(nlmsghdr* request, const std::function<void(const nlmsghdr&)>& take) {
    request->nlmsg_seq = ++sequence_;
    if (::send(socket_.get(), request, request->nlmsg_len, 0) < 0) return errno;
    bool interrupted = false;
    for (;;) {
        const ssize_t size = ::recv(socket_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return errno;
        int left = static_cast<int>(size);
        for (auto* header = reinterpret_cast<const nlmsghdr*>(buffer_.data()); mnl_nlmsg_ok(header, left);
             header = mnl_nlmsg_next(header, &left)) {
            if (header->nlmsg_seq != sequence_) continue;
            interrupted |= (header->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
            if (header->nlmsg_type == NLMSG_ERROR)
                return -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header))->error;
            if (header->nlmsg_type == NLMSG_DONE) return interrupted ? EINTR : 0;
            take(*header);
            if (!(header->nlmsg_flags & NLM_F_MULTI)) return 0;
        }
    }
}

Expected<std::vector<Link>, SysError> Netlink::links() {
    NetlinkRequest<ifinfomsg> request(RTM_GETLINK, NLM_F_DUMP);
    return dump<Link>(request.header, "read the network interfaces", parse_link);
}

Expected<std::optional<Link>, SysError> Netlink::link(int ifindex) {
    NetlinkRequest<ifinfomsg> request(RTM_GETLINK, 0);
    request.body->ifi_index = ifindex;
    std::optional<Link> link;
    const int error = exchange(request.header, [&](const nlmsghdr& message) { link = parse_link(message); });
    if (error != 0 && error != ENODEV)
        return Unexpected{SysError{"read the network interface", link_object(ifindex), error}};
    return link;
}

Expected<std::vector<LinkAddress>, SysError> Netlink::addresses() {
    NetlinkRequest<ifaddrmsg> request(RTM_GETADDR, NLM_F_DUMP);
    return dump<LinkAddress>(request.header, "read the addresses", parse_address);
}

Expected<std::vector<Route>, SysError> Netlink::routes(std::uint8_t protocol) {
    std::vector<Route> routes;
    for (const Family family : kFamilies) {
        NetlinkRequest<rtmsg> request(RTM_GETROUTE, NLM_F_DUMP);
        request.body->rtm_family = kernel_family(family);
        request.body->rtm_protocol = protocol;
        auto found = dump<Route>(request.header, "read the routes", [protocol](const nlmsghdr& message) {
            auto route = parse_route(message);
            return route && route->protocol == protocol ? route : std::nullopt;
        });
        if (!found) return found;
        routes.insert(routes.end(), found->begin(), found->end());
    }
    return routes;
}

Expected<std::vector<Rule>, SysError> Netlink::rules(std::uint8_t protocol) {
    std::vector<Rule> rules;
    for (const Family family : kFamilies) {
        NetlinkRequest<fib_rule_hdr> request(RTM_GETRULE, NLM_F_DUMP);
        request.body->family = kernel_family(family);
        auto found =
            dump<Rule>(request.header, "read the routing rules", [protocol](const nlmsghdr& message) {
                auto rule = parse_rule(message);
                return rule && rule->protocol == protocol ? rule : std::nullopt;
            });
        if (!found) return found;
        rules.insert(rules.end(), found->begin(), found->end());
    }
    return rules;
}

}  // namespace carpd
