#include "bench/ownership.h"

#include <fmt/format.h>

#include "lab/clock.h"
#include "lab/error.h"
#include "lab/namespace.h"
#include "linux/clock.h"
#include "linux/data_plane.h"

namespace carpd::bench {

namespace {

using lab::Clock;

constexpr GroupId kLeader = 0;

std::vector<GroupConfig> pool_of(BalanceHash hash) {
    BalanceConfig pool{"web", Balancing::ip, hash, {}};
    for (std::size_t vhid = 1; vhid <= kMostCarpnodes; ++vhid)
        pool.carpnodes.push_back({static_cast<std::uint8_t>(vhid), 0, 1});
    const SharedValue<BalanceConfig> shared(pool);
    std::vector<GroupConfig> configs;
    for (const Carpnode& each : pool.carpnodes) {
        GroupConfig& config = configs.emplace_back();
        config.name = fmt::format("web:{}", each.vhid);
        config.interface = "eth0";
        config.vhid = Vhid{each.vhid};
        config.addresses = {{*IpAddress::parse("10.1.0.100"), 16}, {*IpAddress::parse("2001:db8::100"), 64}};
        config.balance = shared;
    }
    return configs;
}

template <class Work>
double us_of(Work work) {
    const lab::Time start = Clock::now();
    work();
    return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

void throw_error(const std::optional<SysError>& error) {
    if (error) lab::fail("{}", error->to_string());
}

// In the namespace of the calling thread.
class Site {
 public:
    explicit Site(BalanceHash hash) : configs_(pool_of(hash)) {
        auto gate = Gate::open(netlink_);
        if (!gate) lab::fail("{}", gate.error().to_string());
        plane_.emplace(netlink_, std::move(*gate));
        throw_error(monitor_.resync());
        for (std::size_t i = 0; i < configs_.size(); ++i)
            throw_error(plane_->prepare(static_cast<GroupId>(i), configs_[i], *monitor_.find("eth0")));
        set_at_home(all_carpnodes(configs_.size()));
        take(0, 1);
        settle();
    }
    // Those of [from, until).
    void take(std::size_t from, std::size_t until) {
        wanted_.clear();
        for (std::size_t i = from; i < until; ++i)
            wanted_.push_back({static_cast<GroupId>(i), &configs_[i], host_now() + std::chrono::hours(1)});
        plane_->install(wanted_);
    }
    void leave(std::size_t from, std::size_t until) {
        for (std::size_t i = from; i < until; ++i) plane_->withdraw(static_cast<GroupId>(i));
    }
    void set_at_home(CarpnodeSet at_home) { plane_->set_pool(kLeader, at_home, Instant{}); }
    void settle() {
        while (!plane_->is_settled()) plane_->settle();
    }

 private:
    const std::vector<GroupConfig> configs_;
    Netlink netlink_ = std::move(*Netlink::open());
    LinkMonitor monitor_ = std::move(*LinkMonitor::open(netlink_));
    std::optional<DataPlane> plane_;
    std::vector<DataPlane::Installation> wanted_;
};

// The first carpnode stays; of the others so many change.
void measure(OwnershipChange& result, int rounds) {
    const std::size_t until = static_cast<std::size_t>(result.carpnodes) + 1;
    const CarpnodeSet everybody = all_carpnodes(kMostCarpnodes);
    const CarpnodeSet changing = all_carpnodes(until) & ~CarpnodeSet{1};
    const bool is_weighted = result.hash == BalanceHash::weighted;
    Site site(result.hash);
    for (int round = 0; round < rounds; ++round) {
        result.take_us.push_back(us_of([&] {
            site.take(1, until);
            if (is_weighted) site.set_at_home(everybody);
        }));
        site.settle();
        result.leave_us.push_back(us_of([&] {
            site.leave(1, until);
            if (is_weighted) site.set_at_home(everybody & ~changing);
        }));
        site.settle();
    }
}

}  // namespace

OwnershipChange measure_ownership(BalanceHash hash, int carpnodes, int rounds) {
    OwnershipChange result{hash, carpnodes, {}, {}};
    const lab::Namespace space("ownership");
    space.ip(
        "link add eth0 type veth peer name peer\nlink set peer up\nlink set eth0 up\n"
        "address add 10.1.0.1/16 dev eth0\naddress add 2001:db8::1/64 dev eth0 nodad");
    space.inside([&] { measure(result, rounds); });
    return result;
}

}  // namespace carpd::bench
