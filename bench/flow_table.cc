#include "bench/flow_table.h"

#include <linux/filter.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <tuple>

#include "bench/flow_generator.h"
#include "lab/error.h"
#include "linux/conntrack_dump.h"
#include "linux/conntrack_table.h"

namespace carpd::bench {

namespace {

struct Entry {
    FlowTuple original;
    std::uint8_t tcp_state;
    auto operator<=>(const Entry&) const = default;
};

template <class T>
T& value_of(Expected<T, SysError>& result) {
    if (!result) lab::fail("{}", result.error().to_string());
    return *result;
}

std::vector<Entry> read_table(const lab::Host& host) {
    std::vector<Entry> entries;
    host.space().inside([&] {
        auto dump = ConntrackDump::start();
        for (bool more = true; more;) {
            auto read = value_of(dump).read([&](const FlowEvent& event) {
                const auto* tcp = std::get_if<TcpState>(&event.flow.state.protocol);
                entries.push_back({event.flow.identity.original, tcp ? tcp->state : std::uint8_t{0}});
            });
            more = value_of(read);
        }
    });
    std::ranges::sort(entries);
    return entries;
}

lab::Span change(const lab::Host& host, FlowChange::Kind kind, std::uint32_t from, std::uint32_t to,
                 std::uint16_t port) {
    lab::Span duration{};
    host.space().inside([&] {
        auto table = ConntrackTable::open();
        std::vector<FlowChange> batch;
        const lab::Time start = lab::Clock::now();
        for (std::uint32_t number = from; number < to;) {
            for (batch.clear(); batch.size() < ConntrackTable::kBatch && number < to; ++number)
                batch.push_back({kind, connection(number, port)});
            if (!value_of(table).run(batch).empty()) lab::fail("{} refuses flows", host.name());
        }
        duration = lab::Clock::now() - start;
    });
    return duration;
}

}  // namespace

std::uint32_t count_flows(const lab::Host& host) {
    std::uint32_t count = 0;
    host.space().inside([&] {
        if (const auto limits = read_conntrack_limits()) count = limits->entries;
    });
    return count;
}

std::uint32_t count_missing(const lab::Host& first, const lab::Host& second) {
    const std::vector<Entry> here = read_table(first), there = read_table(second);
    std::vector<Entry> missing;
    std::ranges::set_difference(here, there, std::back_inserter(missing));
    return static_cast<std::uint32_t>(missing.size());
}

lab::Span create_connections(const lab::Host& host, std::uint32_t from, std::uint32_t to,
                             std::uint16_t port) {
    return change(host, FlowChange::Kind::create, from, to, port);
}
lab::Span remove_connections(const lab::Host& host, std::uint32_t from, std::uint32_t to,
                             std::uint16_t port) {
    return change(host, FlowChange::Kind::remove, from, to, port);
}

std::uint64_t count_lost_events(const lab::Host& host) {
    std::uint64_t lost = 0;
    host.space().inside([&] {
        std::ifstream file("/proc/thread-self/net/netlink");
        std::string line, word;
        std::getline(file, line);  // headers
        while (std::getline(file, line)) {
            std::istringstream words(line);
            int protocol = 0;
            std::uint64_t drops = 0;
            words >> word >> protocol;                  // sk, Eth
            for (int i = 0; i < 6; ++i) words >> word;  // Pid, Groups, Rmem, Wmem, Dump, Locks
            if (words >> drops && protocol == NETLINK_NETFILTER) lost += drops;
        }
    });
    return lost;
}

FlowWatch::FlowWatch(const lab::Host& host, std::uint16_t port)
    : socket_(host.space().socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_NETFILTER)) {
    // The original tuple comes first, all attributes of it in a fixed order: the destination port of an IPv4
    // flow is at the same place always. In the kernel, so that other flows cost next to nothing.
    constexpr std::uint32_t kDestinationPort = 68;
    sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, kDestinationPort),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, port, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffff),
    };
    const sock_fprog program{std::size(code), code};
    lab::check(setsockopt(socket_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program),
               "SO_ATTACH_FILTER");
    const sockaddr_nl groups{AF_NETLINK, 0, 0, NF_NETLINK_CONNTRACK_NEW};
    lab::check(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&groups), sizeof groups), "bind");
}

bool FlowWatch::wait(lab::Span patience) {
    pollfd ready{socket_.get(), POLLIN, 0};
    if (poll(&ready, 1, static_cast<int>(patience / std::chrono::milliseconds(1))) != 1) return false;
    char message[2048];
    return recv(socket_.get(), message, sizeof message, 0) > 0;
}

}  // namespace carpd::bench
