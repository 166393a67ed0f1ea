// The kernel drops events that the engine doesn't read in time, and then can't be asked for what they said.
#include "linux/test_network.h"
#include "netns_test.h"

namespace carpd::lab {
namespace {

class LostEvents : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
};

// No event will ever tell of eth1 again: the engine must ask by itself. It stands still until all that the
// kernel says of eth1 has been said, which without IPv6 is soon.
TEST_F(LostEvents, TheKernelIsAskedAgainUntilItAnswers) {
    alpha().set("net/ipv6/conf/default/disable_ipv6", "1");
    Group late{.interface = "eth1", .addresses = {"198.51.100.100/24"}};
    Carpd& carpd = start(alpha(), late);
    const pid_t engine = carpd.engine_pid();
    connect_netlink(engine, kNobody);
    kill(engine, SIGSTOP);
    // The first event still fits.
    alpha().ip(
        "link add first type veth peer name second\nlink add eth1 type veth peer name eth2\n"
        "address add 198.51.100.1/24 dev eth1\nlink set eth2 up\nlink set eth1 up");
    EXPECT_TRUE(wait_until(
        [&] {
            return alpha().run({"ip", "-br", "link", "show", "eth1"}).output.find(" UP ") !=
                   std::string::npos;
        },
        5s));
    kill(engine, SIGCONT);
    EXPECT_EQ(carpd.group("lan").at("cause"), "interface_missing") << carpd.log();
    connect_netlink(engine, kKernel);
    EXPECT_TRUE(carpd.wait_state("lan", "master")) << carpd.log();
}

}  // namespace
}  // namespace carpd::lab
