#include "netns_test.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <net/if.h>

#include <fstream>

#include "linux/gate_program.h"
#include "linux/tcx.h"

namespace carpd::lab {

namespace {

std::string toml_list(const std::vector<std::string>& values) {
    return values.empty() ? "[]" : fmt::format("[\"{}\"]", fmt::join(values, "\", \""));
}

}  // namespace

std::string Group::text() const {
    const std::string secret = password.empty() ? "" : fmt::format("password = \"{}\"\n", password);
    return fmt::format(
        "[[group]]\nname = \"{}\"\ninterface = \"{}\"\nvhid = {}\naddresses = {}\n{}"
        "advbase = {}\nadvskew = {}\npreempt = {}\nmac = \"{}\"\npeers = {}\npeer-routed = {}\nbeacons = "
        "{}\n",
        name, interface, vhid, toml_list(addresses), secret, advbase, advskew, preempt, mac, toml_list(peers),
        peer_routed, beacons);
}

Group Group::with_skew(int skew) const {
    Group other = *this;
    other.advskew = skew;
    return other;
}

Group Group::with_preempt() const {
    Group other = *this;
    other.preempt = true;
    return other;
}

// ---- NetnsTest

void NetnsTest::SetUp() {
    static const std::string why_not = why_no_lab();
    if (!why_not.empty()) GTEST_SKIP() << why_not;
    lab_ = std::make_unique<Lab>();
}

void NetnsTest::TearDown() {
    if (!HasFailure()) return;
    for (const Carpd& carpd : daemons_) fmt::print("---- a carpd's log:\n{}", carpd.log());
}

void NetnsTest::three_hosts() {
    alpha_ = &lab_->add_host("alpha", {"192.0.2.1/24", "2001:db8::1/64"});
    beta_ = &lab_->add_host("beta", {"192.0.2.2/24", "2001:db8::2/64"});
    client_ = &lab_->add_host("client", {"192.0.2.9/24", "2001:db8::9/64"});
    alpha_->serve();
    beta_->serve();
}

void NetnsTest::start_pair(const Group& group, int beta_skew) {
    ASSERT_TRUE(start(*alpha_, group).wait_state(group.name, "master")) << alpha_carpd().log();
    Group other = group.with_skew(beta_skew);
    other.preempt = false;
    start(*beta_, other);
    ASSERT_TRUE(wait_until([&] { return has_heard(beta_carpd(), group.name); }, 10s));
    ASSERT_EQ(beta_carpd().state(group.name), "backup");
    ASSERT_EQ(alpha_carpd().state(group.name), "master");
}

bool NetnsTest::pings(Host& from, const std::string& address, const std::string& source) {
    std::vector<std::string> argv = {"ping", "-n", "-c1", "-W1"};
    if (!source.empty()) argv.insert(argv.end(), {"-I", source});
    argv.push_back(address);
    return from.run(argv).exit_code == 0;
}

// ---- Probes

Probes::Probes(Host& client, const std::vector<std::string>& addresses, Span interval) {
    for (const std::string& address : addresses)
        probes_.emplace_back(client, without_prefix(address), interval);
}

bool Probes::wait_answer(const Host* host, Span patience) const {
    for (const Probe& probe : probes_)
        if (!probe.wait_answer(host, patience)) return false;
    return true;
}

void Probes::expect_hand_over(Time from, const std::vector<std::uint8_t>& hosts, Span bound) const {
    std::this_thread::sleep_for(Request::kPatience + 50ms);  // until the last requests can be judged
    for (const Probe& probe : probes_) {
        const Outage outage = probe.outage(from);
        EXPECT_TRUE(outage.over);
        EXPECT_EQ(outage.answered_by, hosts);
        EXPECT_FALSE(outage.two_answers);
        EXPECT_LE(to_ms(outage.duration), to_ms(bound));
        testing::Test::RecordProperty("outage_ms", fmt::format("{:.1f}", to_ms(outage.duration)));
        fmt::print("outage {:.1f} ms, {} of {} requests lost\n", to_ms(outage.duration), outage.lost,
                   outage.sent);
    }
}

// ---- little helpers

std::string without_prefix(const std::string& address) {
    return address.substr(0, address.find('/'));
}

std::vector<std::string> without_prefix(const std::vector<std::string>& addresses) {
    std::vector<std::string> result;
    for (const std::string& address : addresses) result.push_back(without_prefix(address));
    return result;
}

void track_connections(Host& host) {
    run_checked({{"nft", "-f", "-"},
                 &host.space(),
                 "table ip t { chain c { type filter hook output priority 0; ct state new accept; }; }\n"});
}

int count_in(const std::string& text, const std::string& part) {
    int count = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++count;
    return count;
}

bool is_idle(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/status", pid));
    int said = 0;
    for (std::string line; std::getline(file, line);)
        said += line.starts_with("State:\tS") || line == "ShdPnd:\t0000000000000000";
    return said == 2;
}

int memory_kib(pid_t pid) {
    std::ifstream file(fmt::format("/proc/{}/smaps_rollup", pid));
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("Rss:")) return std::stoi(line.substr(4));
    return -1;
}

std::string reason_for(const Carpd& carpd, const std::string& state) {
    const nlohmann::json group = carpd.group("lan");
    return group.at("state") == state ? group.at("reason").get<std::string>() : "";
}

bool has_heard(const Carpd& carpd, const std::string& group, int advskew) {
    const nlohmann::json rival = carpd.group(group).at("last_heard");
    return !rival.is_null() && (advskew < 0 || rival.at("advskew") == advskew);
}

std::vector<std::string> programs_at(Host& host, const std::string& interface, Direction direction) {
    std::vector<std::string> names;
    host.space().inside([&] {
        const auto programs = tcx_programs(static_cast<int>(if_nametoindex(interface.c_str())), direction);
        EXPECT_TRUE(programs);
        if (!programs) return;
        for (const TcxProgram& program : *programs) names.push_back(program.name);
    });
    return names;
}

bool take_gate(Host& host, const std::string& interface) {
    bool was_there = true;
    host.space().inside([&] {
        const int ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
        for (const Direction direction : {Direction::ingress, Direction::egress})
            was_there &= !remove_tcx(ifindex, direction, GateProgram::name(direction)).empty();
    });
    return was_there;
}

}  // namespace carpd::lab
