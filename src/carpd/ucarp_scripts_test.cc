#include "carpd/ucarp_scripts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/ucarp_command.h"

namespace carpd {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class UcarpScriptsOf : public testing::Test {
 protected:
    static UcarpScripts scripts(std::vector<std::string> more = {}) {
        std::vector<std::string> words = {"-i", "eth0", "-s",          "192.0.2.1", "-v",  "1",  "-p",
                                          "x",  "-a",   "192.0.2.100", "-u",        "/up", "-d", "/down"};
        words.insert(words.end(), more.begin(), more.end());
        return UcarpScripts(parse_ucarp_command(words)->config);
    }
    static GroupNews news(State state, Cause cause = Cause::none) {
        GroupNews news;
        news.kind = GroupNews::Kind::transition;
        news.state = state;
        news.cause = to_identifier(cause);
        return news;
    }
    // What is run until nothing is left, first words only.
    static std::vector<std::string> run(UcarpScripts& scripts) {
        std::vector<std::string> all;
        while (auto argv = scripts.take()) {
            all.push_back(argv->front());
            scripts.ended();
        }
        EXPECT_TRUE(scripts.is_idle());
        return all;
    }
};

TEST_F(UcarpScriptsOf, GetInterfaceAddressAndParameter) {
    auto plain = scripts(), extra = scripts({"-x", "more"});
    plain.hear(news(State::master));
    extra.hear(news(State::master));
    EXPECT_THAT(*plain.take(), ElementsAre("/up", "eth0", "192.0.2.100"));
    EXPECT_THAT(*extra.take(), ElementsAre("/up", "eth0", "192.0.2.100", "more"));
}

TEST_F(UcarpScriptsOf, DownAtTheStartAndThenOnlyWhatChanges) {
    auto one = scripts();
    EXPECT_THAT(run(one), IsEmpty());
    one.hear(news(State::init));
    EXPECT_THAT(run(one), ElementsAre("/down"));
    one.hear(news(State::backup));
    EXPECT_THAT(run(one), IsEmpty());
    one.hear(news(State::master));
    EXPECT_THAT(run(one), ElementsAre("/up"));
    one.hear(news(State::init, Cause::link_down));
    EXPECT_THAT(run(one), ElementsAre("/down"));
}

TEST_F(UcarpScriptsOf, NeutralRunsNoneAtTheStart) {
    auto one = scripts({"-n"});
    one.hear(news(State::backup));
    EXPECT_THAT(run(one), IsEmpty());
    one.hear(news(State::master));
    one.hear(news(State::backup));
    EXPECT_THAT(run(one), ElementsAre("/down"));  // before the other could be run
}

TEST_F(UcarpScriptsOf, OneAtATimeAndTheLastChangeCounts) {
    auto one = scripts();
    one.hear(news(State::master));
    EXPECT_THAT(one.take()->front(), "/up");
    one.hear(news(State::backup));
    EXPECT_EQ(one.take(), std::nullopt);
    one.hear(news(State::master));
    one.ended();
    EXPECT_THAT(run(one), IsEmpty());
}

TEST_F(UcarpScriptsOf, AtTheEndOnlyWithShutdownAndOnlyOfAMaster) {
    for (const bool is_master : {false, true})
        for (const bool has_shutdown : {false, true}) {
            auto one = scripts(has_shutdown ? std::vector<std::string>{"-z"} : std::vector<std::string>());
            one.hear(news(State::backup));
            if (is_master) one.hear(news(State::master));
            run(one);
            one.hear(news(State::init, Cause::stopped));
            EXPECT_THAT(run(one), IsEmpty());
            one.end();
            EXPECT_EQ(run(one).size(), is_master && has_shutdown ? 1u : 0u);
        }
}

TEST_F(UcarpScriptsOf, DownWhenTheEngineDies) {
    auto one = scripts();
    one.engine_ended();
    EXPECT_THAT(run(one), IsEmpty());
    one.hear(news(State::master));
    EXPECT_THAT(run(one), ElementsAre("/up"));
    one.engine_ended();
    EXPECT_THAT(run(one), ElementsAre("/down"));
    one.hear(news(State::backup));
    EXPECT_THAT(run(one), IsEmpty());
}

TEST_F(UcarpScriptsOf, NoScriptIsAsGoodAsOneThatRan) {
    auto one = scripts({"-d", "", "-z"});
    one.hear(news(State::backup));
    EXPECT_THAT(run(one), IsEmpty());
    one.hear(news(State::master));
    EXPECT_THAT(run(one), ElementsAre("/up"));
    one.hear(news(State::backup));
    EXPECT_THAT(run(one), IsEmpty());
    one.hear(news(State::master));
    EXPECT_THAT(run(one), ElementsAre("/up"));
}

}  // namespace
}  // namespace carpd
