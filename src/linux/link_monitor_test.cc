#include "linux/link_monitor.h"

#include <gmock/gmock.h>

#include <set>

#include "linux/test_network.h"

namespace carpd {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::UnorderedElementsAre;

class LinkMonitorTest : public TwoHosts {
 protected:
    void SetUp() override {
        TwoHosts::SetUp();
        if (IsSkipped()) return;
        netlink.emplace(std::move(*Netlink::open()));
        monitor.emplace(std::move(*LinkMonitor::open(*netlink)));
    }
    // The names that changed by what `command` did.
    std::set<std::string> changed_by(const std::string& command) {
        run(command);
        std::set<std::string> changed;
        deprived.clear();
        lost.clear();
        while (readable(monitor->fd(), 50)) {
            const LinkMonitor::Changes changes = monitor->drain();
            changed.insert(changes.changed.begin(), changes.changed.end());
            deprived.insert(changes.deprived.begin(), changes.deprived.end());
            for (const LinkAddress& address : changes.lost) lost.insert(address.address.to_string());
        }
        return changed;
    }
    LinkStatus status(const char* name) {
        return link_status(monitor->find(name), [](const IpAddress& a) { return a == ip("192.0.2.100"); });
    }

    std::set<std::string> deprived, lost;  // by the last changed_by()
    std::optional<Netlink> netlink;
    std::optional<LinkMonitor> monitor;
};

TEST_F(LinkMonitorTest, KnowsWhatIsThereAtStart) {
    const Interface* eth0 = monitor->find("eth0");
    ASSERT_NE(eth0, nullptr);
    EXPECT_EQ(eth0->ifindex(), static_cast<int>(if_nametoindex("eth0")));
    EXPECT_EQ(monitor->find(eth0->ifindex()), eth0);
    EXPECT_EQ(eth0->link.kind, "veth");
    EXPECT_EQ(eth0->link.mtu, 1500u);
    const LinkStatus status = this->status("eth0");
    EXPECT_TRUE(status.present && status.up && status.running);
    EXPECT_EQ(status.source4, ip("192.0.2.1"));
    EXPECT_TRUE(status.source6.is_link_local());
    EXPECT_EQ(monitor->find("eth1"), nullptr);
    EXPECT_EQ(this->status("eth1"), LinkStatus());
    EXPECT_TRUE(monitor->drain().empty());
}

TEST_F(LinkMonitorTest, FollowsTheCarrierAndTheAdministrator) {
    them->enter();
    run("ip link set eth0 down");
    us->enter();
    std::vector<std::string> changed;
    // The kernel may take a second to tell.
    while (status("eth0").running && readable(monitor->fd())) changed = monitor->drain().changed;
    EXPECT_THAT(changed, UnorderedElementsAre("eth0"));
    EXPECT_TRUE(status("eth0").up);
    EXPECT_FALSE(status("eth0").running);
    changed_by("ip link set eth0 down");
    EXPECT_FALSE(status("eth0").up);
    EXPECT_TRUE(status("eth0").source6.is_unspecified()) << "IPv6 addresses go with the link";
}

TEST_F(LinkMonitorTest, FollowsAddresses) {
    EXPECT_THAT(changed_by("ip address del 192.0.2.1/24 dev eth0 && ip address add 192.0.2.100/32 dev eth0"),
                UnorderedElementsAre("eth0"));
    EXPECT_TRUE(status("eth0").source4.is_unspecified()) << "a shared address is no source";
    changed_by("ip address add 192.0.2.5/24 dev eth0 && ip -6 address flush dev eth0 scope link");
    EXPECT_EQ(status("eth0").source4, ip("192.0.2.5"));
    EXPECT_EQ(status("eth0").source6, ip("2001:db8::1"));
}

TEST_F(LinkMonitorTest, FollowsDeletionRecreationAndRenaming) {
    const int before = monitor->find("eth0")->ifindex();
    EXPECT_THAT(changed_by("ip link del eth0"), UnorderedElementsAre("eth0"));
    EXPECT_EQ(monitor->find("eth0"), nullptr);
    EXPECT_EQ(monitor->find(before), nullptr);
    plug_in();
    EXPECT_THAT(changed_by("true"), Contains("eth0"));
    ASSERT_NE(monitor->find("eth0"), nullptr);
    EXPECT_NE(monitor->find("eth0")->ifindex(), before);
    EXPECT_THAT(changed_by("ip link set eth0 down && ip link set eth0 name lan0 && ip link set lan0 up"),
                UnorderedElementsAre("eth0", "lan0"));
    EXPECT_EQ(monitor->find("eth0"), nullptr);
    EXPECT_TRUE(status("lan0").up);
}

// What calls for a repair: less than what is shown to the core.
TEST_F(LinkMonitorTest, TellsWhatWasTakenAway) {
    EXPECT_THAT(changed_by("ip address add 192.0.2.5/24 dev eth0"), UnorderedElementsAre("eth0"));
    EXPECT_THAT(deprived, IsEmpty());
    EXPECT_THAT(changed_by("ip address del 192.0.2.5/24 dev eth0"), UnorderedElementsAre("eth0"));
    EXPECT_THAT(deprived, IsEmpty());
    EXPECT_THAT(lost, UnorderedElementsAre("192.0.2.5/24"));
    EXPECT_THAT(changed_by("tc qdisc add dev eth0 clsact"), IsEmpty());
    EXPECT_THAT(deprived, IsEmpty());
    EXPECT_THAT(changed_by("tc qdisc del dev eth0 clsact"), IsEmpty());
    EXPECT_THAT(deprived, UnorderedElementsAre("eth0"));
}

TEST_F(LinkMonitorTest, NoticesForwarding) {
    EXPECT_THAT(changed_by("sysctl -qw net.ipv6.conf.eth0.forwarding=1"), Contains("eth0"));
}

TEST_F(LinkMonitorTest, LeavingABridgeIsNotVanishing) {
    changed_by("ip link add br0 type bridge && ip link set eth0 master br0");
    EXPECT_EQ(monitor->find("eth0")->link.master, monitor->find("br0")->ifindex());
    changed_by("ip link set eth0 nomaster");
    ASSERT_NE(monitor->find("eth0"), nullptr);
    EXPECT_EQ(monitor->find("eth0")->link.master, 0);
}

TEST_F(LinkMonitorTest, ReadsEverythingAnewWhenEventsWereLost) {
    const int tiny = 1;
    ASSERT_EQ(setsockopt(monitor->fd(), SOL_SOCKET, SO_RCVBUFFORCE, &tiny, sizeof tiny), 0);
    run("for i in $(seq 20); do ip link set eth0 mtu 14$((i + 10)); done; ip link add late type veth");
    EXPECT_THAT(monitor->drain().changed, Contains("lo")) << "everything counts as changed";
    EXPECT_EQ(monitor->find("eth0")->link.mtu, 1430u);
    EXPECT_NE(monitor->find("late"), nullptr);
}

// Until the kernel can be asked the table stays what it was; then the next call reads it, without an event.
TEST_F(LinkMonitorTest, TriesAgainWhenTheKernelCouldNotBeAsked) {
    EXPECT_FALSE(monitor->is_stale());
    connect_netlink(getpid(), kNobody);
    run("for i in $(seq 20); do ip link set eth0 mtu 14$((i + 10)); done; ip link add late type veth");
    for (int i = 0; i < 3; ++i) {
        monitor->drain();
        EXPECT_TRUE(monitor->is_stale());
        EXPECT_NE(monitor->find("eth0"), nullptr) << "what was known stays";
        EXPECT_EQ(monitor->find("late"), nullptr);
    }
    EXPECT_FALSE(readable(monitor->fd(), 0));
    connect_netlink(getpid(), kKernel);
    const LinkMonitor::Changes changes = monitor->drain();
    EXPECT_FALSE(monitor->is_stale());
    EXPECT_THAT(changes.changed, IsSupersetOf({"lo", "eth0", "late"}));
    EXPECT_THAT(changes.deprived, IsSupersetOf({"lo", "eth0"}));
    EXPECT_EQ(monitor->find("eth0")->link.mtu, 1430u);
    EXPECT_NE(monitor->find("late"), nullptr);
    EXPECT_TRUE(monitor->drain().empty());
}

}  // namespace
}  // namespace carpd
