#include "linux/gate_hooks.h"

#include <bpf/bpf.h>
#include <gmock/gmock.h>

#include "linux/arp_settings.h"
#include "linux/defer_maps.h"
#include "linux/test_network.h"

namespace carpd {
namespace {

using Way = GateHooks::Way;

constexpr const char* kGateIn = "carpd_gate_in\n";
constexpr const char* kGateOut = "carpd_gate_out\n";

// What a run had, which knows nothing any more when it is killed; its programs stay.
struct OneRun {
    explicit OneRun(Netlink& netlink, Way best = Way::tcx) : hooks(netlink) {
        EXPECT_FALSE(hooks.open(program, best));
    }
    GateProgram program = std::move(*GateProgram::load());
    GateHooks hooks;
};

class GateHooksTest : public TwoHosts {
 protected:
    void SetUp() override {
        TwoHosts::SetUp();
        if (IsSkipped()) return;
        netlink.emplace(std::move(*Netlink::open()));
        eth0 = static_cast<int>(if_nametoindex("eth0"));
    }
    // A program of somebody else, by itself.
    void put_other(const char* name, Direction direction) {
        const bpf_insn code[] = {{0xb7, 0, 0, 0, -1}, {0x95, 0, 0, 0, 0}};  // return TC_ACT_UNSPEC
        const UniqueFd program(bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, name, "ISC", code, 2, nullptr));
        ASSERT_TRUE(program);
        const auto error = put_tcx(program.get(), eth0, direction, name, "");
        ASSERT_FALSE(error) << error->to_string();
    }
    bool has_filters() {
        const auto filters = netlink->filters(eth0);
        return filters && !filters->empty();
    }
    std::optional<Netlink> netlink;
    int eth0 = 0;
};

TEST_F(GateHooksTest, StaysUntilTheLastUserLeaves) {
    OneRun present(*netlink);
    ASSERT_FALSE(present.hooks.attach(present.program, eth0, ""));
    ASSERT_FALSE(present.hooks.attach(present.program, eth0, ""));
    present.hooks.detach(eth0);
    EXPECT_EQ(at_tcx("eth0", Direction::ingress), kGateIn);
    EXPECT_EQ(at_tcx("eth0", Direction::egress), kGateOut);
    EXPECT_FALSE(has_filters());
    present.hooks.detach(eth0);
    EXPECT_EQ(at_tcx("eth0", Direction::ingress) + at_tcx("eth0", Direction::egress), "");
}

TEST_F(GateHooksTest, OutlivesItsRunAndKeepsItsNote) {
    {
        OneRun killed(*netlink);
        ASSERT_FALSE(killed.hooks.attach(killed.program, eth0, " arp_ignore=0"));
        ASSERT_FALSE(killed.hooks.attach(killed.program, eth0, " arp_ignore=0 arp_announce=1"));
    }
    EXPECT_EQ(at_tcx("eth0", Direction::ingress), kGateIn);
    EXPECT_EQ(GateHooks::remove_leftovers(*netlink, eth0), " arp_ignore=0 arp_announce=1");
    EXPECT_EQ(at_tcx("eth0", Direction::ingress) + at_tcx("eth0", Direction::egress), "");
    EXPECT_EQ(GateHooks::remove_leftovers(*netlink, eth0), std::nullopt);
}

TEST_F(GateHooksTest, TakesThePlaceOfAnothersGate) {
    {
        OneRun killed(*netlink);
        ASSERT_FALSE(killed.hooks.attach(killed.program, eth0, " a=1"));
    }
    OneRun present(*netlink);
    ASSERT_FALSE(present.hooks.attach(present.program, eth0, " b=2"));
    EXPECT_EQ(at_tcx("eth0", Direction::ingress), kGateIn);
    EXPECT_EQ(at_tcx("eth0", Direction::egress), kGateOut);
    EXPECT_EQ(GateHooks::remove_leftovers(*netlink, eth0), " b=2");
}

TEST_F(GateHooksTest, TakesOverFromAProcessThatServes) {
    for (const Way way : {Way::tcx, Way::clsact}) {
        OneRun serving(*netlink, way), successor(*netlink, way);
        ASSERT_FALSE(serving.hooks.attach(serving.program, eth0, " arp_ignore=0"));
        successor.hooks.hold_back();
        ASSERT_FALSE(successor.hooks.attach(successor.program, eth0, " arp_ignore=1"));
        const auto note = [&] {
            const auto standing = GateHooks::find(*netlink, eth0);
            EXPECT_TRUE(standing && standing->way == way);
            return standing ? read_note(standing->note, "arp_ignore") : std::nullopt;
        };
        EXPECT_EQ(note(), 0);
        successor.hooks.detach(eth0);
        EXPECT_EQ(note(), 0);
        ASSERT_FALSE(successor.hooks.attach(successor.program, eth0, " arp_ignore=1"));
        ASSERT_FALSE(successor.hooks.take_their_place(successor.program));
        EXPECT_EQ(note(), 1);
        successor.hooks.detach(eth0);
        EXPECT_FALSE(GateHooks::find(*netlink, eth0));
        EXPECT_FALSE(netlink->has_clsact(eth0));
    }
}

TEST_F(GateHooksTest, StandsBeforeOthersButBehindDeferral) {
    put_other("other", Direction::ingress);
    put_other("other", Direction::egress);
    put_other(DEFER_PROGRAM, Direction::egress);
    OneRun present(*netlink);
    ASSERT_FALSE(present.hooks.attach(present.program, eth0, ""));
    EXPECT_EQ(at_tcx("eth0", Direction::ingress), std::string(kGateIn) + "other\n");
    EXPECT_EQ(at_tcx("eth0", Direction::egress), std::string("carpd_defer\n") + kGateOut + "other\n");
    present.hooks.detach(eth0);
    EXPECT_EQ(at_tcx("eth0", Direction::ingress), "other\n") << "others' stay";
}

// As an older carpd leaves, or one without CAP_SYS_ADMIN.
TEST_F(GateHooksTest, RemovesWhatStandsTheOtherWay) {
    {
        OneRun killed(*netlink, Way::clsact);
        ASSERT_FALSE(killed.hooks.attach(killed.program, eth0, " arp_ignore=0"));
    }
    EXPECT_TRUE(has_filters());
    EXPECT_EQ(at_tcx("eth0", Direction::ingress), "");
    EXPECT_THAT(GateHooks::remove_leftovers(*netlink, eth0),
                testing::Optional(testing::HasSubstr("arp_ignore=0")));
    EXPECT_FALSE(has_filters());
    EXPECT_FALSE(netlink->has_clsact(eth0));
}

}  // namespace
}  // namespace carpd
