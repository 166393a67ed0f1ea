// rtnetlink: links, addresses, routes and policy rules, as values. Knows nothing of CARP.
// (Not named netlink.h: that would hide the kernel's <linux/netlink.h> from everybody.)
#pragma once

#include <libmnl/libmnl.h>

#include <cerrno>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/addresses.h"
#include "base/expected.h"
#include "linux/sys_error.h"
#include "linux/unique_fd.h"

namespace carpd {

// The index of lo, in every network namespace.
inline constexpr int kLoopback = 1;

struct Link {
    int ifindex = 0;
    int parent = 0;  // of a macvlan, a VLAN, ...; 0: none
    int master = 0;  // the bridge, bond, ... whose port it is; 0: none
    std::string name, alias, kind;
    MacAddress mac;
    std::uint32_t mtu = 0;
    bool up = false;       // administratively
    bool running = false;  // has a carrier
    bool ethernet = false;
    bool operator==(const Link&) const = default;
};

struct LinkAddress {
    int ifindex = 0;
    InterfaceAddress address;
    std::uint32_t flags = 0;    // IFA_F_*
    std::uint8_t protocol = 0;  // IFA_PROTO: who added it; 0 on kernels before 5.18
    bool operator==(const LinkAddress&) const = default;
};

struct Route {
    InterfaceAddress destination;  // a prefix; length 0 is the default route
    int ifindex = 0;
    std::uint32_t table = 254;  // main
    std::uint32_t metric = 0;
    std::uint8_t protocol = 0;
    std::optional<IpAddress> gateway;
    std::optional<IpAddress> preferred_source;
    bool local = false;  // to this host itself; the table is 255 then
    bool operator==(const Route&) const = default;
};

// Packets from `source` are routed by `table`.
struct Rule {
    IpAddress source;
    std::uint32_t table = 0;
    std::uint32_t priority = 0;
    std::uint8_t protocol = 0;
    bool operator==(const Rule&) const = default;
};

// A BPF program that sees all packets of an interface, as a filter of its qdisc clsact.
enum class Direction : std::uint8_t { ingress, egress };
struct Filter {
    int ifindex = 0;
    Direction direction = Direction::ingress;
    std::uint16_t priority = 0;
    std::uint32_t handle = 0;
    std::string name;
    bool operator==(const Filter&) const = default;
};

// Changes to be made in one go and in order. Adding an address, route or rule that is there is no error, nor
// is deleting anything that isn't (or whose device is gone).
class NetlinkBatch {
 public:
    // Down, in VEPA mode: it hears its parent's network, not its siblings.
    void add_macvlan(std::string_view name, int parent, const MacAddress& mac);
    void set_alias(int ifindex, std::string_view alias);
    // No IPv6 address comes by itself, not even a link-local one.
    void stop_address_generation(int ifindex);
    void delete_link(int ifindex);
    void set_up(int ifindex, bool up);
    void set_mac(int ifindex, const MacAddress& mac);
    void set_mtu(int ifindex, std::uint32_t mtu);
    // As /32 or /128, at once usable (no duplicate address detection), without a prefix route. An IPv6 one is
    // deprecated, so that the host doesn't choose it as a source by itself.
    void add_address(int ifindex, const IpAddress& address, std::uint8_t protocol);
    void delete_address(const LinkAddress& address);
    void add_route(const Route& route);
    void delete_route(const Route& route);
    void add_rule(const Rule& rule);
    void delete_rule(const Rule& rule);
    // The qdisc that filters of both directions hang on. Deleting it deletes them.
    void add_clsact(int ifindex);
    void delete_clsact(int ifindex);
    // In the place of a filter of the same handle, if there is one.
    void put_program(const Filter& filter, int program);
    void delete_filter(const Filter& filter);

    // Whose the following changes are: a number that Outcome::failures repeats.
    void set_owner(std::size_t owner) { owner_ = owner; }

    bool empty() const { return messages_.empty(); }

 private:
    friend class Netlink;
    struct Message {
        std::size_t offset, size;  // in bytes_
        const char* operation;     // for SysError
        std::string object;
        std::size_t owner;
    };
    nlmsghdr* begin(std::uint16_t type, std::uint16_t flags);
    void end(const char* operation, std::string object);

    alignas(nlmsghdr) char scratch_[1024];
    std::vector<char> bytes_;
    std::vector<Message> messages_;
    std::size_t owner_ = 0;
};

// How an error names an interface.
std::string link_object(int ifindex);

// The values in an RTM_NEWLINK/DELLINK or RTM_NEWADDR/DELADDR message; nothing if it is about something else
// (a bridge port, another address family).
std::optional<Link> parse_link(const nlmsghdr& message);
std::optional<LinkAddress> parse_address(const nlmsghdr& message);

// A synchronous rtnetlink socket. All calls return when the kernel has done what was asked.
class Netlink {
 public:
    static Expected<Netlink, SysError> open();

    struct Outcome {
        struct Failure {
            std::size_t owner;  // NetlinkBatch::set_owner
            SysError error;
        };
        std::size_t changed = 0;        // messages that changed something: added or deleted it
        std::vector<Failure> failures;  // the messages after them were tried all the same
        std::optional<SysError> error() const {
            return failures.empty() ? std::nullopt : std::optional(failures.front().error);
        }
    };
    Outcome run(const NetlinkBatch& batch);

    Expected<std::vector<Link>, SysError> links();
    // Nothing if there is no such link.
    Expected<std::optional<Link>, SysError> link(int ifindex);
    Expected<std::vector<LinkAddress>, SysError> addresses();
    // Those with this protocol number, of all tables and both families.
    Expected<std::vector<Route>, SysError> routes(std::uint8_t protocol);
    Expected<std::vector<Rule>, SysError> rules(std::uint8_t protocol);
    // The older qdisc "ingress" takes its place, and its handle, but hasn't both directions.
    bool has_clsact(int ifindex);
    // Of both directions; none where there is no clsact.
    Expected<std::vector<Filter>, SysError> filters(int ifindex);

 private:
    explicit Netlink(UniqueFd socket) : socket_(std::move(socket)), buffer_(kBufferSize) {}
    // Sends the messages [first, last) and collects what the kernel says of them.
    void run_chunk(const NetlinkBatch& batch, std::size_t first, std::size_t last, Outcome& outcome);
    // The answer's messages as values; read again if the kernel's tables changed meanwhile.
    template <class T>
    Expected<std::vector<T>, SysError> dump(nlmsghdr* request, const char* operation,
                                            const std::function<std::optional<T>(const nlmsghdr&)>& parse);
    // Sends the request and passes on what comes back. Returns the kernel's error, EINTR for an inconsistent
    // dump.
    int exchange(nlmsghdr* request, const std::function<void(const nlmsghdr&)>& take);

    static constexpr int kDumpAttempts = 100;
    static constexpr std::size_t kBufferSize = 64 * 1024;
    UniqueFd socket_;
    std::vector<char> buffer_;
    std::uint32_t sequence_ = 0;
};

template <class T>
Expected<std::vector<T>, SysError> Netlink::dump(
    nlmsghdr* request, const char* operation, const std::function<std::optional<T>(const nlmsghdr&)>& parse) {
    std::vector<T> values;
    int error = EINTR;
    for (int attempt = 0; error == EINTR && attempt < kDumpAttempts; ++attempt) {
        values.clear();
        error = exchange(request, [&](const nlmsghdr& message) {
            if (auto value = parse(message)) values.push_back(std::move(*value));
        });
    }
    if (error != 0) return Unexpected{SysError{operation, "", error}};
    return values;
}

}  // namespace carpd
