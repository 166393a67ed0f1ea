#include "carpd/hook_queue.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace carpd {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using Texts = std::vector<std::string>;

GroupNews transition(const std::string& group, State from, State to) {
    GroupNews news;
    news.kind = GroupNews::Kind::transition;
    news.group = group;
    news.from = from;
    news.state = to;
    news.cause = "started";
    return news;
}
GroupNews to_master(const std::string& group = "lan") {
    return transition(group, State::backup, State::master);
}
GroupNews to_backup(const std::string& group = "lan") {
    return transition(group, State::master, State::backup);
}
GroupNews is_in(State state, const std::string& group = "lan") {
    GroupNews news = transition(group, State::init, state);
    news.kind = GroupNews::Kind::state;
    news.from = {};
    return news;
}
GroupNews reasserted() {
    GroupNews news = is_in(State::master);
    news.kind = GroupNews::Kind::reasserted;
    news.rival = "192.0.2.2";
    return news;
}

HookConfig hook(const std::string& name, std::vector<HookEvent> on = HookConfig{}.on, Texts groups = {}) {
    HookConfig config;
    config.on = std::move(on);
    config.groups = std::move(groups);
    config.command = {"/" + name};
    return config;
}

class Hooks : public testing::Test {
 protected:
    void configure(const std::vector<HookConfig>& hooks, const Texts& groups = {"lan", "wan"}) {
        queue_.configure(hooks, groups);
    }
    // Starts what may be started now, each as "GROUP HOOK PREVIOUS>STATE".
    Texts start() {
        Texts started;
        while (const auto run = queue_.take()) {
            const bool reasserted = run->news.kind == GroupNews::Kind::reasserted;
            started.push_back(fmt::format("{} {} {}>{}", run->news.group, run->hook->command[0].substr(1),
                                          run->previous,
                                          reasserted ? "reasserted" : to_string(run->news.state)));
            missed_.push_back(run->missed);
        }
        return started;
    }
    // Runs everything to its end, one by one.
    Texts run(const std::string& group = "lan") {
        Texts all;
        for (Texts some = start(); !some.empty(); some = start()) {
            all.insert(all.end(), some.begin(), some.end());
            queue_.ended(group);
        }
        return all;
    }

    HookQueue queue_;
    std::vector<std::uint64_t> missed_;
};

TEST_F(Hooks, RunOneAfterTheOtherInOrder) {
    configure({hook("one"), hook("two")});
    queue_.add(transition("lan", State::init, State::backup));
    queue_.add(to_master());
    EXPECT_THAT(start(), ElementsAre("lan one init>backup"));
    EXPECT_THAT(start(), IsEmpty());
    queue_.ended("lan");
    EXPECT_THAT(start(), ElementsAre("lan two init>backup"));
    queue_.ended("lan");
    EXPECT_THAT(run(), ElementsAre("lan one backup>master", "lan two backup>master"));
    EXPECT_TRUE(queue_.is_idle());
}

TEST_F(Hooks, OfGroupsDontWaitForEachOther) {
    configure({hook("one")});
    queue_.add(to_master("lan"));
    queue_.add(to_master("wan"));
    queue_.add(to_backup("lan"));
    EXPECT_THAT(start(), ElementsAre("lan one backup>master", "wan one backup>master"));
    queue_.ended("wan");
    EXPECT_THAT(start(), IsEmpty());
    EXPECT_FALSE(queue_.is_idle());
    queue_.ended("lan");
    EXPECT_THAT(start(), ElementsAre("lan one master>backup"));
}

TEST_F(Hooks, RunOnlyForWhatTheyAreFor) {
    configure({hook("up", {HookEvent::master}), hook("down", {HookEvent::init, HookEvent::backup}),
               hook("wan", {HookEvent::master}, {"wan"}), hook("rival", {HookEvent::reasserted})});
    queue_.add(to_master());
    queue_.add(reasserted());
    queue_.add(to_backup());
    EXPECT_THAT(run(),
                ElementsAre("lan up backup>master", "lan rival master>reasserted", "lan down master>backup"));
    queue_.add(to_master("wan"));
    EXPECT_THAT(run("wan"), ElementsAre("wan up backup>master", "wan wan backup>master"));
}

TEST_F(Hooks, ThatNobodyWantsCostNothing) {
    configure({hook("up", {HookEvent::master})});
    for (int i = 0; i < 100; ++i)
        queue_.add(transition("lan", State::init, i % 2 == 0 ? State::backup : State::init));
    EXPECT_TRUE(queue_.is_idle());
    EXPECT_EQ(queue_.missed(), 0u);
}

TEST_F(Hooks, AreBoundedInNumber) {
    configure({hook("one")}, {});
    for (int i = 0; i < 100; ++i) queue_.add(to_master(fmt::format("group{}", i)));
    EXPECT_EQ(start().size(), 16u);
    queue_.ended("group3");
    EXPECT_THAT(start(), ElementsAre("group16 one backup>master"));
}

TEST_F(Hooks, LeaveOutTheMiddleOfALongQueue) {
    configure({hook("one")});
    queue_.add(to_master());
    EXPECT_EQ(start().size(), 1u);  // and it hangs
    for (int i = 0; i < 10; ++i) {
        queue_.add(to_backup());
        queue_.add(to_master());
    }
    queue_.add(to_backup());
    EXPECT_EQ(queue_.missed(), 5u);
    queue_.ended("lan");
    missed_.clear();
    const Texts told = run();
    ASSERT_EQ(told.size(), 16u);
    EXPECT_EQ(told.front(), "lan one master>backup");
    EXPECT_EQ(told[14], "lan one master>backup");
    EXPECT_EQ(told[15], "lan one master>backup");
    EXPECT_THAT(missed_, ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5));
}

TEST_F(Hooks, LeaveOutADefenceRatherThanAState) {
    configure({hook("one", {HookEvent::master, HookEvent::backup, HookEvent::reasserted})});
    queue_.add(to_backup());
    EXPECT_EQ(start().size(), 1u);
    for (int i = 0; i < 8; ++i) {
        queue_.add(to_master());
        if (i < 7) queue_.add(to_backup());
    }
    queue_.add(reasserted());  // the sixteenth
    queue_.add(reasserted());
    queue_.add(reasserted());
    EXPECT_EQ(queue_.missed(), 2u);
    queue_.add(to_backup());
    EXPECT_EQ(queue_.missed(), 3u);
    queue_.ended("lan");
    missed_.clear();
    EXPECT_EQ(run().back(), "lan one master>backup");
    EXPECT_EQ(missed_.back(), 3u);
}

TEST_F(Hooks, AreToldAStateOnceOnly) {
    configure({hook("one")});
    queue_.add(is_in(State::backup));
    queue_.add(is_in(State::backup));
    queue_.add(to_master());
    queue_.add(is_in(State::master));
    queue_.add(is_in(State::init));
    EXPECT_THAT(run(), ElementsAre("lan one unknown>backup", "lan one backup>master", "lan one master>init"));
}

TEST_F(Hooks, LearnThatTheEngineDied) {
    configure({hook("one")});
    queue_.add(to_master("lan"));
    queue_.add(is_in(State::init, "wan"));
    EXPECT_EQ(start().size(), 2u);
    queue_.ended("lan");
    queue_.ended("wan");
    queue_.engine_ended("now", 7);
    const auto run = queue_.take();
    ASSERT_TRUE(run);
    EXPECT_EQ(run->news.group, "lan");
    EXPECT_EQ(run->news.state, State::init);
    EXPECT_EQ(run->previous, "master");
    EXPECT_EQ(run->news.cause, "engine_ended");
    EXPECT_EQ(run->news.sequence, 7u);
    EXPECT_EQ(run->news.time, "now");
    EXPECT_FALSE(queue_.take());
    queue_.ended("lan");
    queue_.add(transition("lan", State::init, State::backup));
    EXPECT_THAT(this->run(), ElementsAre("lan one init>backup"));
}

TEST_F(Hooks, NewOnesLearnTheState) {
    configure({hook("old")});
    queue_.add(to_master());
    EXPECT_THAT(start(), ElementsAre("lan old backup>master"));
    queue_.add(to_backup());  // waits
    configure({hook("new"), hook("old"), hook("up", {HookEvent::master})});
    queue_.ended("lan");
    EXPECT_THAT(run(), ElementsAre("lan old master>backup", "lan new unknown>backup"));
    configure({hook("old")});
    queue_.add(to_master());
    EXPECT_THAT(run(), ElementsAre("lan old backup>master"));
}

TEST_F(Hooks, OfARemovedGroupEndAndAreForgotten) {
    configure({hook("one")});
    queue_.add(to_master());
    EXPECT_EQ(start().size(), 1u);
    queue_.add(transition("lan", State::master, State::init));
    configure({hook("one")}, {"wan"});
    queue_.ended("lan");
    EXPECT_THAT(run(), ElementsAre("lan one master>init"));
    EXPECT_TRUE(queue_.is_idle());
    configure({hook("one"), hook("new")});
    EXPECT_TRUE(queue_.is_idle()) << "nothing is known of lan any more";
    queue_.add(is_in(State::backup));
    EXPECT_THAT(run(), ElementsAre("lan one unknown>backup", "lan new unknown>backup"));
}

TEST(HookEnvironment, TellsEverything) {
    HookRun run{std::make_shared<HookConfig>(), reasserted(), "master", 3};
    run.news.interface = "eth0";
    run.news.vhid = 7;
    run.news.addresses = {"192.0.2.100/24", "2001:db8::100/64"};
    run.news.reason = "less frequent advertisement received";
    run.news.demotion = 5;
    run.news.sequence = 12;
    run.news.time = "2026-11-23T10:00:00.000+00:00";
    EXPECT_THAT(hook_environment(run),
                ElementsAre("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                            "CARPD_EVENT=reasserted", "CARPD_GROUP=lan", "CARPD_INTERFACE=eth0",
                            "CARPD_VHID=7", "CARPD_STATE=master", "CARPD_PREVIOUS_STATE=master",
                            "CARPD_CAUSE=started", "CARPD_REASON=less frequent advertisement received",
                            "CARPD_ADDRESSES=192.0.2.100/24 2001:db8::100/64", "CARPD_DEMOTION=5",
                            "CARPD_RIVAL=192.0.2.2", "CARPD_SEQUENCE=12",
                            "CARPD_TIME=2026-11-23T10:00:00.000+00:00", "CARPD_MISSED=3"));
    run.news = to_master();
    EXPECT_THAT(hook_environment(run), Contains("CARPD_EVENT=master"));
}

}  // namespace
}  // namespace carpd
