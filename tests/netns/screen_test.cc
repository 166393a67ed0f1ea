// carpctl where somebody looks at it: in a terminal, which script(1) makes.
#include "netns_test.h"

namespace carpd::lab {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kEnter = "\x1b[?1049h\x1b[?25l";
constexpr const char* kLeave = "\x1b[?25h\x1b[?1049l";

class Screen : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    // What a terminal of 10 lines is sent by carpctl, when `keys` were typed; `before` begins its command
    // line.
    std::string shown(const Carpd& carpd, const std::string& arguments, const std::string& keys = "",
                      const std::string& before = "") {
        const std::string command = "stty rows 10 cols 60; exec env TERM=xterm NO_COLOR=1 " + before +
                                    carpctl_program() + " -s " + carpd.socket() + " " + arguments;
        return alpha()
            .run({"sh", "-c", "printf '" + keys + "' | script -qec '" + command + "' /dev/null"})
            .output;
    }
    static std::string many_groups() {
        std::string groups;
        for (int vhid = 1; vhid <= 50; ++vhid)
            groups += Group{.name = "g" + std::to_string(vhid),
                            .vhid = vhid,
                            .addresses = {"192.0.2." + std::to_string(100 + vhid) + "/24"},
                            .advbase = 1}
                          .text();
        return groups;
    }
};

TEST_F(Screen, TopRestoresTheTerminal) {
    const Carpd& carpd = start(alpha(), many_groups());
    const std::string frames = shown(carpd, "top -n 2");
    EXPECT_THAT(frames, AllOf(StartsWith(kEnter), EndsWith(kLeave)));
    EXPECT_THAT(frames, AllOf(HasSubstr("50 groups"), HasSubstr("more groups")));
    EXPECT_EQ(count_in(frames, "\x1b[H"), 2);
    EXPECT_THAT(shown(carpd, "top", "xq"), EndsWith(kLeave));
    for (const std::string signal : {"INT", "TERM", "HUP"})
        EXPECT_THAT(shown(carpd, "top", "", "timeout --foreground -s " + signal + " 1 "), EndsWith(kLeave))
            << signal;
}

TEST_F(Screen, TopIsPlainTextForAPipe) {
    const Carpd& carpd = start(alpha(), many_groups());
    const Result frames = carpd.carpctl({"top", "-n", "2"});
    EXPECT_EQ(frames.exit_code, 0);
    EXPECT_EQ(count_in(frames.output, "carpd for "), 2);
    EXPECT_EQ(count_in(frames.output, "\ng50 "), 2) << "all of them";
    EXPECT_THAT(frames.output, Not(HasSubstr("\x1b")));
    EXPECT_EQ(alpha().run({carpctl_program(), "-s", "/nowhere", "top"}).exit_code, 3);
}

TEST_F(Screen, ALongStatusGoesThroughAPager) {
    const Carpd& carpd = start(alpha(), many_groups());
    const auto with_pager = [&](const std::string& pager, const std::string& arguments) {
        setenv("PAGER", pager.c_str(), 1);
        const std::string text = shown(carpd, arguments);
        unsetenv("PAGER");
        return text;
    };
    EXPECT_THAT(with_pager("sed s/^/paged:/", "status"), StartsWith("paged:GROUP"));
    EXPECT_THAT(with_pager("sed s/^/paged:/", "--no-pager status"), StartsWith("GROUP"));
    EXPECT_THAT(with_pager("sed s/^/paged:/", "-j status"), StartsWith("{"));
    EXPECT_THAT(with_pager("/no/such/pager", "status"), HasSubstr("\ng50 "));
    EXPECT_THAT(with_pager("head -n 1", "status"), HasSubstr("GROUP")) << "who has seen enough leaves";
}

}  // namespace
}  // namespace carpd::lab
