// `carpctl capture` and `carpctl decode` on real hosts: what is captured other programs can read, and what
// decode makes of it is what happened.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "netns_test.h"

namespace carpd::lab {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr std::uintmax_t kSectionSize = 28;  // of a file to which nothing was captured yet

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

class CaptureCommand : public NetnsTest {
 protected:
    void SetUp() override {
        NetnsTest::SetUp();
        if (!IsSkipped()) three_hosts();
    }

    std::string file() { return lab().folder() + "/capture.pcapng"; }
    // Hears all that comes after it returns.
    Process start_capture(Host& host, std::vector<std::string> arguments = {}) {
        std::filesystem::remove(file());
        arguments.insert(arguments.begin(), {carpctl_program(), "capture", "-o", file()});
        Process capture = host.spawn(arguments);
        const auto is_ready = [&] {
            std::error_code error;
            const auto size = std::filesystem::file_size(file(), error);
            return !error && size >= kSectionSize;
        };
        EXPECT_TRUE(wait_until(is_ready, 10s)) << capture.errors();
        return capture;
    }
    void end(Process& capture) {
        capture.signal(SIGINT);
        EXPECT_EQ(capture.wait(10s), 0) << capture.errors();
    }
    std::vector<std::string> decode(const Carpd& by, std::vector<std::string> options = {}) {
        options.insert(options.begin(), {carpctl_program(), "decode", "-f", by.config_file()});
        options.push_back(file());
        const Result result = run({options});
        EXPECT_EQ(result.exit_code, 0) << result.errors;
        EXPECT_EQ(result.errors, "");
        return lines_of(result.output);
    }
    // Waits until the file has packets that decode names so.
    bool wait_captured(const Carpd& by, const std::string& part) {
        return wait_until(
            [&] {
                // A packet may be half written.
                const Result result = run({{carpctl_program(), "decode", "-f", by.config_file(), file()}});
                return result.output.find(part) != std::string::npos;
            },
            15s);
    }
};

TEST_F(CaptureCommand, OfALivePairIsRightAndTcpdumpReadsIt) {
    start_pair(Group{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}});
    Process capture = start_capture(beta(), {"-c", "20"});
    ASSERT_EQ(capture.wait(20s), 0) << capture.errors();
    EXPECT_EQ(capture.errors(), "carpctl: 20 packets\n");
    const auto lines = decode(beta_carpd());
    EXPECT_EQ(lines.back(), "20 packets of protocol 112, none refused");
    EXPECT_THAT(lines,
                Contains(AllOf(HasSubstr("  eth0  192.0.2.1 > 224.0.0.18  vhid 1 advbase 0 advskew 10 "),
                               HasSubstr("  ok"))));
    EXPECT_THAT(lines, Contains(AllOf(HasSubstr(" > ff02::12  vhid 1 "), HasSubstr("  ok"))));
    EXPECT_THAT(lines, Not(Contains(HasSubstr("->"))));
    const std::string seen = decode_with_tcpdump(file());
    EXPECT_EQ(count_in(seen, "CARPv2-advertise 36: vhid=1 advbase=0 advskew=10"), 20) << seen;
    EXPECT_EQ(count_in(seen, "192.0.2.1 > 224.0.0.18"), 10) << seen;
}

// One interface as Ethernet, and all of them as Linux's cooked frames.
TEST_F(CaptureCommand, DecodeReadsWhatTcpdumpWrote) {
    start_pair(Group{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}});
    for (const char* interface : {"eth0", "any"}) {
        SCOPED_TRACE(interface);
        const Result tcpdump = beta().run({"tcpdump", "-Z", "root", "-i", interface, "-c", "6", "-w", file(),
                                           "ip proto 112 or ip6 proto 112"});
        ASSERT_EQ(tcpdump.exit_code, 0) << tcpdump.errors;
        const auto lines = decode(beta_carpd());
        EXPECT_THAT(lines.front(), AllOf(HasSubstr("  eth0  "), HasSubstr("  ok")));
        EXPECT_EQ(lines.back(), "6 packets of protocol 112, none refused");
    }
}

TEST_F(CaptureCommand, KnowsTheHostsOwnPackets) {
    start_pair(Group{});
    Process capture = start_capture(alpha(), {"-c", "5", "-i", "eth0"});
    ASSERT_EQ(capture.wait(20s), 0) << capture.errors();
    const auto lines = decode(alpha_carpd());
    EXPECT_THAT(lines.front(), HasSubstr("  ok, sent by this host"));
    EXPECT_THAT(lines.at(1), HasSubstr("  lan: MASTER as the capture begins"));
    EXPECT_EQ(lines.back(), "5 packets of protocol 112, 5 of them this host's, none refused");
}

// The replay says of the backup what the backup itself said.
TEST_F(CaptureCommand, AFailoverIsPlayedAsItHappened) {
    start_pair(Group{});
    Process capture = start_capture(beta());
    ASSERT_TRUE(wait_captured(beta_carpd(), "  ok"));
    EXPECT_EQ(alpha_carpd().stop(), 0);
    ASSERT_TRUE(beta_carpd().wait_state("lan", "master"));
    ASSERT_TRUE(wait_captured(beta_carpd(), "sent by this host"));
    end(capture);
    EXPECT_THAT(decode(beta_carpd()),
                Contains(HasSubstr("lan: BACKUP -> MASTER (master bowed out) from 192.0.2.1")));
    EXPECT_EQ(reason_for(beta_carpd(), "master"), "master bowed out");
    const auto explained = decode(beta_carpd(), {"--explain"});
    EXPECT_THAT(explained, Contains(HasSubstr("lan: stays BACKUP: the master advertises more often")));
}

TEST_F(CaptureCommand, NamesTheAddressThatDiffers) {
    start(alpha(), Group{.addresses = {"192.0.2.100/24", "2001:db8::100/64"}});
    start(beta(), Group{}.with_skew(kPoorSkew));
    Process capture = start_capture(alpha(), {"-i", "eth0"});
    ASSERT_TRUE(wait_captured(alpha_carpd(), "bad_digest"));
    end(capture);
    EXPECT_THAT(decode(alpha_carpd()),
                Contains(HasSubstr("the sender signs no IPv6 addresses: its list lacks "
                                   "2001:db8::100")));
    // And from the other side, where nothing says which address it is.
    const auto lines = decode(beta_carpd(), {"--self", "192.0.2.2"});
    EXPECT_THAT(lines, Contains(AllOf(HasSubstr("192.0.2.1 > 224.0.0.18"), HasSubstr("  bad_digest"))));
    EXPECT_THAT(lines, Contains(HasSubstr("it comes by IPv6, too: the sender's list has IPv6 addresses")));
}

TEST_F(CaptureCommand, TellsAnotherPassword) {
    start(alpha(), Group{});
    Group other = Group{}.with_skew(kPoorSkew);
    other.password = "another";
    start(beta(), other);
    Process capture = start_capture(alpha());
    ASSERT_TRUE(wait_captured(alpha_carpd(), "bad_digest"));
    end(capture);
    const auto lines = decode(alpha_carpd());
    EXPECT_THAT(lines, Contains(AllOf(HasSubstr("192.0.2.2 > 224.0.0.18"), HasSubstr("  bad_digest"))));
    EXPECT_THAT(lines, Contains(HasSubstr("most likely the password differs")).Times(1));
}

TEST_F(CaptureCommand, TellsKeepalivedFromCarp) {
    if (run({{"sh", "-c", "command -v keepalived"}}).exit_code != 0)
        GTEST_SKIP() << "keepalived is not installed";
    start_pair(Group{});
    Process capture = start_capture(beta());
    const std::string config = lab().folder() + "/keepalived";
    std::ofstream(config) << "global_defs {\n vrrp_version 3\n}\n"
                             "vrrp_instance noise {\n interface eth0\n state MASTER\n virtual_router_id 1\n"
                             " priority 150\n advert_int 1\n virtual_ipaddress {\n  192.0.2.201/24\n }\n}\n";
    const Process keepalived = client().spawn({"keepalived", "--dont-fork", "--log-console", "--vrrp", "-f",
                                               config, "-p", config + ".pid", "-r", config + ".vrrp.pid"});
    EXPECT_TRUE(wait_captured(beta_carpd(), "  vrrp3")) << keepalived.output() << keepalived.errors();
    end(capture);
    client().space().kill_all();
    EXPECT_THAT(decode(beta_carpd()),
                Contains(HasSubstr("192.0.2.9 > 224.0.0.18  VRRPv3 vrid 1 priority 150  vrrp3")));
}

// Linux takes the tag out of a frame before a socket sees it.
TEST_F(CaptureCommand, KeepsVlanTags) {
    start(alpha(), Group{});
    ASSERT_TRUE(alpha_carpd().wait_state("lan", "master"));
    const auto packet = Forgery{.addresses = {kVip4}, .password = "s3cret", .advskew = 200}.packet();
    std::vector<std::uint8_t> frame = {0x01, 0x00, 0x5e, 0x00, 0x00, 0x12, 0x02, 0x00, 0x00,
                                       0x00, 0x00, 0x07, 0x81, 0x00, 0x00, 0x05, 0x08, 0x00};
    frame.insert(frame.end(), packet.begin(), packet.end());
    Process capture = start_capture(alpha(), {"-i", "eth0"});
    Injector(client()).frame(frame);
    ASSERT_TRUE(wait_captured(alpha_carpd(), "192.0.2.77"));
    end(capture);
    EXPECT_THAT(decode(alpha_carpd()), Contains(AllOf(HasSubstr("  eth0.5  192.0.2.77 > 224.0.0.18"),
                                                      HasSubstr("  bad_interface"))));
    EXPECT_THAT(decode_with_tcpdump(file()), HasSubstr("vlan 5"));
}

// A socket for all interfaces hears everything twice there.
TEST_F(CaptureCommand, OfABridgeAndItsPortSaysThingsOnce) {
    alpha().ip(
        "link add br0 type bridge\nlink set br0 up\naddress flush dev eth0\nlink set eth0 master br0\n"
        "address add 192.0.2.1/24 dev br0");
    start(beta(), Group{});
    Group bridged = Group{}.with_skew(kPoorSkew);
    bridged.interface = "br0";
    const Carpd& carpd = start(alpha(), bridged);
    ASSERT_TRUE(wait_until([&] { return has_heard(carpd); }, 10s));
    Process capture = start_capture(alpha(), {"-c", "10"});
    ASSERT_EQ(capture.wait(20s), 0) << capture.errors();
    const auto lines = decode(carpd);
    EXPECT_THAT(lines, Contains(AllOf(HasSubstr("  br0  192.0.2.2 > 224.0.0.18"), HasSubstr("  ok"))));
    EXPECT_THAT(lines, Not(Contains(HasSubstr("bad_interface"))));
    EXPECT_EQ(lines.back(), "5 packets of protocol 112, 5 more heard twice, none refused");
}

TEST_F(CaptureCommand, GoesThroughAPipe) {
    start_pair(Group{});
    const std::string program = carpctl_program();
    const Result result = beta().run({"sh", "-c",
                                      fmt::format("{0} capture -c 3 2>/dev/null | {0} -j decode -f {1} -",
                                                  program, beta_carpd().config_file())});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    const auto lines = lines_of(result.output);
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_EQ(nlohmann::json::parse(lines.front()).at("source"), "192.0.2.1");
    EXPECT_EQ(nlohmann::json::parse(lines.back()).at("packets"), 3);
}

TEST_F(CaptureCommand, EndsAfterItsTimeAndSaysWhatItLacks) {
    Process capture = start_capture(client(), {"--seconds", "1"});
    EXPECT_EQ(capture.wait(10s), 0);
    EXPECT_EQ(capture.errors(), "carpctl: 0 packets\n");
    const Result nowhere = client().run({carpctl_program(), "capture", "-o", file(), "-i", "nosuch"});
    EXPECT_EQ(nowhere.exit_code, 2);
    EXPECT_EQ(nowhere.errors, "carpctl: there is no interface 'nosuch' on this host\n");
    const Result unprivileged =
        client().run({"setpriv", "--bounding-set", "-net_raw", carpctl_program(), "capture", "-o", file()});
    EXPECT_EQ(unprivileged.exit_code, 1);
    EXPECT_EQ(unprivileged.errors, "carpctl: capturing needs CAP_NET_RAW: run it as root\n");
    const Result full = client().run({carpctl_program(), "capture", "-o", "/dev/full"});
    EXPECT_EQ(full.exit_code, 1);
    EXPECT_THAT(full.errors, HasSubstr("/dev/full: it cannot be written: No space left on device"));
}

}  // namespace
}  // namespace carpd::lab
