#include "bench/acceptance.h"

#include <fmt/format.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <array>
#include <cstring>
#include <deque>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>

#include "lab/error.h"
#include "lab/injector.h"
#include "lab/server_pool.h"
#include "linux/socket_address.h"

namespace carpd::bench {

namespace {

using namespace std::chrono_literals;

constexpr int kClients = 1000;
constexpr std::size_t kBatch = 50;
constexpr std::uint16_t kPort = 9;
constexpr std::size_t kFrameSize = 14 + 20 + 8 + 18;  // the smallest that Ethernet has
using SmallFrame = std::array<std::uint8_t, kFrameSize>;

double cpu_of_this_thread() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

SmallFrame frame_of(int client) {
    constexpr std::uint8_t kMacs[12] = {0x01, 0, 0x5e, 0, 0x01, 0x01, 0x02, 0, 0, 0, 0, 0x99};
    SmallFrame frame{};
    std::memcpy(frame.data(), kMacs, sizeof kMacs);
    ByteWriter(std::span(frame).subspan(12)).u16(ETH_P_IP);
    const std::span<std::uint8_t> ip = std::span(frame).subspan(14);
    ip[0] = 0x45;
    ip[3] = kFrameSize - 14;
    ip[8] = 64;
    ip[9] = IPPROTO_UDP;
    const std::uint8_t addresses[8] = {
        10, 50, static_cast<std::uint8_t>(client >> 8), static_cast<std::uint8_t>(client), 10, 1, 0, 100};
    std::memcpy(&ip[12], addresses, sizeof addresses);
    ByteWriter udp(ip.subspan(20));
    udp.u16(40000);
    udp.u16(kPort);
    udp.u16(kFrameSize - 34);
    lab::fix_ip_checksum(ip);
    return frame;
}

// Packets that come out of the cable of a host, in the time of the thread that sends them.
class Flood {
 public:
    explicit Flood(lab::Host& host) : socket_(host.lab().switch_space().socket(AF_PACKET, SOCK_RAW, 0)) {
        const int on = 1;
        lab::check(setsockopt(socket_.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on),
                   "PACKET_QDISC_BYPASS");
        sockaddr_ll to{};
        to.sll_family = AF_PACKET;
        to.sll_ifindex = host.port().index();
        lab::check(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), "bind");
        for (int client = 0; client < kClients; ++client) frames_.push_back(frame_of(client));
        data_.resize(frames_.size());
        messages_.resize(frames_.size());
        for (std::size_t i = 0; i < frames_.size(); ++i) {
            data_[i] = {frames_[i].data(), frames_[i].size()};
            messages_[i].msg_hdr.msg_iov = &data_[i];
            messages_[i].msg_hdr.msg_iovlen = 1;
        }
    }

    // Returns ns of this thread for each.
    double send(int packets) {
        const double before = cpu_of_this_thread();
        for (int sent = 0; sent < packets; sent += static_cast<int>(kBatch)) {
            if (sendmmsg(socket_.get(), &messages_[next_], kBatch, 0) != static_cast<int>(kBatch))
                lab::fail("the flood can't be sent: {}", std::strerror(errno));
            next_ = (next_ + kBatch) % messages_.size();
        }
        return (cpu_of_this_thread() - before) / packets;
    }

 private:
    UniqueFd socket_;
    std::vector<SmallFrame> frames_;
    std::vector<iovec> data_;
    std::vector<mmsghdr> messages_;
    std::size_t next_ = 0;
};

// The program for which the packets are. It gets all up to its socket, and nothing more.
class Sink {
 public:
    explicit Sink(const lab::Host& host) : host_(host), socket_(host.space().socket(AF_INET, SOCK_DGRAM, 0)) {
        sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
        const sock_fprog program{1, &nothing};
        lab::check(setsockopt(socket_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program),
                   "SO_ATTACH_FILTER");
        const SocketAddress any(IpAddress::any(Family::ipv4), kPort);
        lab::check(bind(socket_.get(), any.get(), any.size), "bind");
    }
    // So far.
    std::uint64_t received() const {
        std::uint64_t result = 0;
        host_.space().inside([&] {
            std::ifstream file("/proc/thread-self/net/snmp");
            for (std::string line; std::getline(file, line);) {
                std::istringstream words(line);
                std::string name;
                std::uint64_t received = 0, no_ports = 0, errors = 0;
                if (words >> name >> received >> no_ports >> errors && name == "Udp:") result = errors;
            }
        });
        return result;
    }

 private:
    const lab::Host& host_;
    UniqueFd socket_;
};

// A host that gets the packets behind one of the filters.
class Candidate {
 public:
    Candidate(std::string filter, lab::Host& host) : filter_(std::move(filter)), sink_(host), flood_(host) {}

    const std::string& filter() const { return filter_; }
    void begin(Ownership owned) { cost_ = {filter_, owned, {}, 0}, before_ = sink_.received(), sent_ = 0; }
    void round(int packets) {
        cost_.ns_per_packet.push_back(flood_.send(packets));
        sent_ += packets;
    }
    AcceptanceCost end() {
        cost_.passed = static_cast<double>(sink_.received() - before_) / sent_;
        return std::move(cost_);
    }

 private:
    std::string filter_;
    Sink sink_;
    Flood flood_;
    AcceptanceCost cost_;
    std::uint64_t before_ = 0;
    int sent_ = 0;
};

// ---- the filters

// Of packets that come in by a multicast MAC both make the host's own.
std::string nftables_rules(Ownership owned) {
    const char* verdicts = owned == Ownership::all    ? "0 : accept, 1 : accept"
                           : owned == Ownership::half ? "0 : accept, 1 : drop"
                                                      : "0 : drop, 1 : drop";
    return fmt::format(
        "flush ruleset\ntable netdev t {{ chain c {{ type filter hook ingress device \"eth0\" priority 0; "
        "ip daddr 10.1.0.100 meta pkttype set host jhash ip saddr mod 2 seed 0x1 vmap {{ {} }}; }}; }}\n",
        verdicts);
}

void set_nftables(lab::Host& host, Ownership owned) {
    lab::run_checked({{"nft", "-f", "-"}, &host.space(), nftables_rules(owned)});
}

bool set_xt_cluster(lab::Host& host, Ownership owned) {
    if (owned == Ownership::none) return false;
    host.run({"iptables", "-t", "mangle", "-F"});
    return host.run({"iptables",
                     "-t",
                     "mangle",
                     "-A",
                     "PREROUTING",
                     "-i",
                     "eth0",
                     "-d",
                     "10.1.0.100",
                     "-m",
                     "cluster",
                     "--cluster-total-nodes",
                     "2",
                     "!",
                     "--cluster-local-nodemask",
                     owned == Ownership::all ? "3" : "1",
                     "--cluster-hash-seed",
                     "1",
                     "-j",
                     "DROP"})
               .exit_code == 0;
}

// ---- where they stand

// A host without carpd that has the pool's address, on a segment of its own.
lab::Host& add_owner(lab::Lab& lab, const std::string& name, int segment) {
    lab::Host& host = lab.add_host(name);
    host.attach("eth0", segment, {"10.1.0.1/16"});
    host.ip(fmt::format("address add {}/32 dev lo\nroute add 10.50.0.0/16 via 10.1.0.9", lab::kPool4));
    return host;
}

class Site {
 public:
    Site() {
        pool_.start();
        candidates_.emplace_back(kNoFilter, plain_);
        candidates_.emplace_back(kSocket, listener_);
        candidates_.emplace_back(kGate, pool_.server(0).host());
        candidates_.emplace_back(kNftables, nftables_);
        candidates_.emplace_back(kXtCluster, xt_cluster_);
        has_xt_cluster_ = set_xt_cluster(xt_cluster_, Ownership::all);
    }

    void measure(Ownership owned, int rounds, int packets, std::vector<AcceptanceCost>& costs) {
        set_gate(owned);
        set_nftables(nftables_, owned);
        if (has_xt_cluster_ && owned != Ownership::none) set_xt_cluster(xt_cluster_, owned);
        std::vector<Candidate*> measured;
        for (Candidate& each : candidates_) {
            if (each.filter() == kXtCluster && (!has_xt_cluster_ || owned == Ownership::none)) continue;
            measured.push_back(&each);
            each.round(packets);  // until all that is cached is
            each.begin(owned);
        }
        for (int round = 0; round < rounds; ++round)
            for (Candidate* each : measured) each->round(packets);
        for (Candidate* each : measured) costs.push_back(each->end());
    }

 private:
    // The other server takes what this one shall not own.
    void set_gate(Ownership owned) {
        lab::PoolServer &ours = pool_.server(0), &other = pool_.server(1);
        if (owned == Ownership::none) ours.demote(200);
        if (owned == Ownership::all) other.stop();
        const std::size_t count = owned == Ownership::all ? 2 : owned == Ownership::half ? 1 : 0;
        if (!lab::wait_until([&] { return ours.carpnodes().size() == count; }, 10s))
            lab::fail("carpd does not come to own {}:\n{}", to_string(owned), pool_.logs());
    }

    lab::Lab lab_;
    // Slow, so that what CARP does itself isn't in the way.
    lab::ServerPool pool_{lab_, {.servers = 2, .home_skew = 100, .next_skew = 150}};
    lab::Host &plain_ = add_owner(lab_, "plain", 1), &listener_ = add_owner(lab_, "listener", 4),
              &nftables_ = add_owner(lab_, "nftables", 2), &xt_cluster_ = add_owner(lab_, "xtcluster", 3);
    // A BACKUP of another address.
    lab::Carpd listener_carpd_{listener_,
                               "dataplane = \"macvlan\"\n[[group]]\ninterface = \"eth0\"\nvhid = "
                               "9\naddresses = [\"10.1.0.200/16\"]\n"
                               "password = \"s3cret\"\nadvskew = 254\nadvbase = 254\nmac = \"interface\"\n"};
    std::deque<Candidate> candidates_;
    bool has_xt_cluster_ = false;
};

}  // namespace

std::vector<AcceptanceCost> measure_acceptance(int rounds, int packets) {
    std::vector<AcceptanceCost> costs;
    // A site for each: a pool that was drained would settle.
    for (const Ownership owned : {Ownership::all, Ownership::half, Ownership::none}) {
        Site site;
        site.measure(owned, rounds, packets, costs);
    }
    return costs;
}

const char* to_string(Ownership owned) {
    return owned == Ownership::all ? "all" : owned == Ownership::half ? "half" : "none";
}

}  // namespace carpd::bench
