// Reloads: a pair in service reads another file again and again, and nothing else happens. No request is
// lost, no group changes its state, and no process grows.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "netns_test.h"

namespace carpd::lab {
namespace {

constexpr int kReloads = 1000;
constexpr int kSettled = 200;    // from here on nothing grows
constexpr int kMostGrowth = 64;  // KiB, of one process
constexpr int kMostLeft = 2048;  // KiB, of reading 2000 groups, which takes some 6000
constexpr int kGroups = 8;       // the client's, and others

// What is written differs from the last in one of these.
enum What { nothing, other_addresses, own_addresses, advskew, interface_group, track, hook, preempt, kWhat };

std::string address(int number) {
    return fmt::format("192.0.2.{}/24", number);
}

// The file of one host.
class File {
 public:
    explicit File(int skew) : skew_(skew) {}
    void change(What what) { is_on_[what] = !is_on_[what]; }
    std::string text() const {
        std::string text;
        for (int i = 0; i < kGroups; ++i) text += group(i);
        if (is_on_[track])
            text +=
                "[[track]]\nname = \"sys\"\nfile = \"/sys\"\ndemote = 64\n"
                "[[track]]\nname = \"proc\"\nfile = \"/proc\"\nwithdraw = true\n";
        if (is_on_[hook]) text += "[[hook]]\ncommand = [\"/bin/true\"]\n";
        return text;
    }

 private:
    // Either list is accepted from the peer, which has the other one for a moment.
    std::string group(int i) const {
        const bool longer = is_on_[i == 0 ? own_addresses : other_addresses];
        const std::string one = address(100 + i), two = address(150 + i);
        Group group{.name = i == 0 ? "lan" : fmt::format("g{}", i), .vhid = 1 + i, .addresses = {one}};
        if (longer) group.addresses.push_back(two);
        group.advskew = skew_ + (is_on_[advskew] ? 2 : 0);
        group.preempt = is_on_[preempt];
        return group.text() +
               (longer ? fmt::format("accept-addresses = [\"{}\"]\n", one)
                       : fmt::format("accept-addresses = [\"{}\", \"{}\"]\n", one, two)) +
               (is_on_[interface_group] ? "interface-groups = [\"site\"]\n" : "");
    }

    int skew_;
    std::array<bool, kWhat> is_on_{true, true, true, true, true, true, true, true};
};

// By the request that carpctl sends, by carpctl, or by SIGHUP; returns when it is done.
void reload(Carpd& carpd, const std::string& text, int number) {
    if (number % 10 == 3) {
        carpd.write_config(text);
        ASSERT_EQ(carpd.carpctl({"reload"}).exit_code, 0);
    } else if (number % 10 == 6) {
        const int before = count_in(carpd.log(), " reloaded /");
        carpd.reload(text);
        ASSERT_TRUE(wait_until([&] { return count_in(carpd.log(), " reloaded /") > before; }, 10s, 1ms));
    } else {
        carpd.apply(text);
    }
}

// The engine's and the supervisor's, when both have done all.
std::array<int, 2> memory_of(Carpd& carpd) {
    const pid_t engine = carpd.engine_pid(), supervisor = carpd.process().pid();
    EXPECT_TRUE(wait_until([&] { return is_idle(engine) && is_idle(supervisor); }, 10s));
    return {memory_kib(engine), memory_kib(supervisor)};
}

class Reload : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }
    std::uint64_t transitions() {
        std::uint64_t sum = 0;
        for (Carpd* carpd : {&alpha_carpd(), &beta_carpd()})
            for (const auto& group : carpd->status().at("groups"))
                for (const char* state : {"init", "backup", "master"})
                    sum +=
                        group.at("counters").at(fmt::format("transitions_to_{}", state)).get<std::uint64_t>();
        return sum;
    }
    // Every group of it has heard its master.
    static bool has_heard_all(const Carpd& carpd) {
        const auto status = carpd.status();
        const auto& groups = status.at("groups");
        return std::all_of(groups.begin(), groups.end(),
                           [](const auto& g) { return !g.at("last_heard").is_null(); });
    }
    void start_hosts(const File& good, const File& poor) {
        Carpd& alpha = start(this->alpha(), good.text());
        for (int i = 1; i < kGroups; ++i) ASSERT_TRUE(alpha.wait_state(fmt::format("g{}", i), "master"));
        ASSERT_TRUE(alpha.wait_state("lan", "master"));
        Carpd& beta = start(this->beta(), poor.text());
        ASSERT_TRUE(wait_until([&] { return has_heard_all(beta); }, 10s)) << beta.log();
        // Those of its groups that are in this interface group are demoted from now on.
        ASSERT_EQ(beta.carpctl({"demote", "-g", "site", "5"}).exit_code, 0);
    }
};

class ReloadUnderTraffic : public Reload, public testing::WithParamInterface<const char*> {};

TEST_P(ReloadUnderTraffic, AThousandLoseNothing) {
    dataplane_ = GetParam();
    File good(kGoodSkew), poor(kPoorSkew);
    start_hosts(good, poor);
    const Probes probes(client(), {"192.0.2.100/24"}, 1ms);
    ASSERT_TRUE(probes.wait_answer(&alpha()));
    const auto before = transitions();
    const Time begin = Clock::now();
    std::vector<std::array<int, 2>> settled;
    for (int i = 1; i <= kReloads; ++i) {
        const What what = static_cast<What>(i % kWhat);
        good.change(what);
        poor.change(what);
        reload(alpha_carpd(), good.text(), i);
        reload(beta_carpd(), poor.text(), i);
        if (HasFatalFailure()) return;
        if (i == kSettled) settled = {memory_of(alpha_carpd()), memory_of(beta_carpd())};
    }
    const double seconds = to_seconds(Clock::now() - begin);
    fmt::print("{:.0f} reloads a second\n", 2 * kReloads / seconds);
    probes.expect_hand_over(begin, {alpha().number()}, 0ms);
    EXPECT_EQ(transitions(), before);
    EXPECT_EQ(alpha_carpd().state("lan"), "master");
    for (Carpd* carpd : {&alpha_carpd(), &beta_carpd()}) {
        const auto now = memory_of(*carpd), then = settled.at(carpd == &alpha_carpd() ? 0 : 1);
        fmt::print("engine {} KiB, {:+}; supervisor {} KiB, {:+}\n", now[0], now[0] - then[0], now[1],
                   now[1] - then[1]);
        EXPECT_LE(now[0], then[0] + kMostGrowth);
        EXPECT_LE(now[1], then[1] + kMostGrowth);
    }
}

INSTANTIATE_TEST_SUITE_P(, ReloadUnderTraffic, testing::Values("auto", "macvlan"),
                         [](const auto& test) { return std::string(test.param); });

// Reading a file takes many times the memory of what it says. It goes back, although memory is locked.
TEST_F(Reload, GivesBackWhatReadingTook) {
    std::string text;
    for (int i = 0; i < 2000; ++i)
        text += Group{.name = fmt::format("g{}", i),
                      .interface = fmt::format("absent{}", i / 250),
                      .vhid = 1 + i % 250,
                      .addresses = {fmt::format("10.0.{}.{}/16", i / 250, 1 + i % 250)}}
                    .text();
    Carpd& carpd = start(alpha(), text);
    const auto before = memory_of(carpd);
    for (int i = 0; i < 3; ++i) carpd.apply(text);
    const auto after = memory_of(carpd);
    fmt::print("engine {} KiB, then {}; supervisor {} KiB, then {}\n", before[0], after[0], before[1],
               after[1]);
    EXPECT_LE(after[0], before[0] + kMostLeft);
    EXPECT_LE(after[1], before[1] + kMostLeft);
}

}  // namespace
}  // namespace carpd::lab
