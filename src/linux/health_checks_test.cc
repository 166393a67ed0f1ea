// Every kind of check, against this kernel.
#include "linux/health_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>

#include "linux/clock.h"
#include "linux/socket_address.h"
#include "linux/test_network.h"

namespace carpd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// Looks once an hour, and decides at once: what is seen in time was told by the kernel.
TrackConfig track(Subject subject) {
    TrackConfig config;
    config.name = "t";
    config.subject = std::move(subject);
    config.interval = seconds(3600);
    config.rise = config.fall = 1;
    return config;
}

TrackConfig every_second(Subject subject) {
    TrackConfig config = track(std::move(subject));
    config.interval = seconds(1);
    return config;
}

class HealthChecksTest : public TwoHosts {
 protected:
    void watch(const TrackConfig& config, SharedAddresses shared = {}) {
        checks_.configure(host_now(), {config}, std::move(shared));
    }
    TrackVerdict verdict() const {
        TrackVerdict found;
        checks_.for_each([&](const std::string&, const TrackVerdict& v) { found = v; });
        return found;
    }
    // Serves the checks until `done`, or for ten seconds.
    bool serve_until(const std::function<bool()>& done) {
        const Instant end = host_now() + seconds(10);
        while (!done() && host_now() < end)
            if (readable(checks_.fd(), 100)) checks_.wake(host_now());
        return done();
    }
    // The next result.
    TrackVerdict next() {
        const auto results = [this] { return verdict().passes + verdict().failures; };
        const std::uint64_t before = results();
        EXPECT_TRUE(serve_until([&] { return results() > before; })) << "no result";
        return verdict();
    }
    void expect_passes() {
        EXPECT_TRUE(serve_until([this] { return verdict().known && verdict().passed; })) << verdict().why;
    }
    void expect_fails(const std::string& why) {
        EXPECT_TRUE(serve_until([this] { return verdict().known && !verdict().passed; })) << verdict().why;
        EXPECT_THAT(verdict().why, HasSubstr(why));
    }

    HealthChecks checks_ = std::move(HealthChecks::open().value());
};

// ---- what the kernel tells

TEST_F(HealthChecksTest, Link) {
    watch(track(LinkCheck{"eth0"}));
    expect_passes();
    run("ip link set eth0 down");
    expect_fails("eth0 is down");
    run("ip link set eth0 up");
    expect_passes();
    them->enter();
    run("ip link set eth0 down");
    us->enter();
    expect_fails("eth0 has no carrier");
    run("ip link delete eth0");
    EXPECT_TRUE(serve_until([this] { return verdict().failures >= 3; }));
    watch(every_second(LinkCheck{"eth7"}));
    expect_fails("eth7 does not exist");
}

TEST_F(HealthChecksTest, RouteIPv4) {
    watch(track(RouteCheck{{ip("0.0.0.0"), 0}}));
    expect_fails("there is no route to 0.0.0.0/0");
    run("ip route add default via 192.0.2.2");
    expect_passes();
    run("ip route delete default");
    expect_fails("no route");
    run("ip route add blackhole default && ip route add 0.0.0.0/1 via 192.0.2.2 && "
        "ip route add default via 192.0.2.2 table 7");
    EXPECT_FALSE(verdict().passed);
    run("ip route replace default via 192.0.2.2");
    expect_passes();
}

TEST_F(HealthChecksTest, RouteIPv6AmongManyOthers) {
    std::ofstream batch("/tmp/routes-" + std::to_string(getpid()));
    for (int i = 0; i < 2000; ++i)
        batch << "route add 2001:db8:" << std::hex << i + 16 << "::/48 via 2001:db8::2\n";
    batch.close();
    run("ip -batch /tmp/routes-" + std::to_string(getpid()) + "; rm /tmp/routes-" + std::to_string(getpid()));
    watch(track(RouteCheck{{ip("2001:db8:7d0::"), 48}}));
    expect_passes();
    run("ip -6 route delete 2001:db8:7d0::/48");
    expect_fails("no route to 2001:db8:7d0::/48");
}

TEST_F(HealthChecksTest, File) {
    const std::string directory = "/tmp/health-" + std::to_string(getpid());
    std::filesystem::create_directory(directory);
    const std::string path = directory + "/ready";
    watch(track(FileCheck{path}));
    expect_fails(path + " does not exist");
    std::ofstream(path) << "x";
    expect_passes();
    std::filesystem::rename(path, directory + "/other");
    expect_fails("does not exist");
    std::filesystem::rename(directory + "/other", path);
    expect_passes();
    std::filesystem::remove_all(directory);
    expect_fails("does not exist");
    // The directory comes later: that is seen when it is looked at the next time.
    watch(every_second(FileCheck{path}));
    std::filesystem::create_directory(directory);
    std::ofstream(path) << "x";
    expect_passes();
    std::filesystem::remove_all(directory);
}

TEST_F(HealthChecksTest, Process) {
    watch(every_second(ProcessCheck{"health-sleeper"}));
    expect_fails("no process health-sleeper");
    const std::string program = "/tmp/health-sleeper";
    std::filesystem::copy_file("/bin/sleep", program, std::filesystem::copy_options::overwrite_existing);
    const pid_t child = fork();
    if (child == 0) execl(program.c_str(), program.c_str(), "1000", nullptr);
    expect_passes();
    EXPECT_THAT(verdict().why, HasSubstr("pid " + std::to_string(child)));
    watch(track(ProcessCheck{program}));
    expect_passes();
    kill(child, SIGKILL);
    expect_fails("no process");  // though it is a zombie still
    waitpid(child, nullptr, 0);
    std::filesystem::remove(program);
}

// ---- neighbours

TEST_F(HealthChecksTest, GatewayByArp) {
    watch(every_second(GatewayCheck{ip("192.0.2.2")}));
    expect_passes();
    EXPECT_THAT(verdict().why, HasSubstr("192.0.2.2 on eth0 answers"));
    them->enter();
    run("ip address del 192.0.2.2/24 dev eth0");
    us->enter();
    expect_fails("no answer within 1 s");
    them->enter();
    run("ip address add 192.0.2.2/24 dev eth0");
    us->enter();
    expect_passes();
    run("ip link set eth0 down");
    expect_fails("");
}

TEST_F(HealthChecksTest, GatewayOutsideEverySubnet) {
    watch(track(GatewayCheck{ip("198.51.100.1")}));
    EXPECT_THAT(next().why, HasSubstr("no interface's subnet has 198.51.100.1"));
    TrackConfig config = track(GatewayCheck{ip("198.51.100.1"), false, "eth7"});
    watch(config);
    EXPECT_THAT(next().why, HasSubstr("eth7 does not exist"));
}

// A test's own neighbour, that answers what it likes.
class ArpNeighbor {
 public:
    ArpNeighbor() : socket_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)) {
        sockaddr_ll place{};
        place.sll_family = AF_PACKET;
        place.sll_protocol = htons(ETH_P_ARP);
        place.sll_ifindex = static_cast<int>(if_nametoindex("eth0"));
        EXPECT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&place), sizeof place), 0);
    }
    int fd() const { return socket_.get(); }
    // The next request for `target`.
    TestFrame request(const IpAddress& target) const {
        TestFrame frame(2048);
        while (readable(socket_.get())) {
            frame.resize(2048);
            frame.resize(static_cast<std::size_t>(recv(socket_.get(), frame.data(), frame.size(), 0)));
            if (IpAddress::from_bytes(Bytes(frame).subspan(38, 4)) == target && frame[21] == 1) return frame;
        }
        ADD_FAILURE() << "no request";
        return frame;
    }
    void answer(TestFrame request, const IpAddress& from) const {
        std::copy_n(request.begin() + 6, 6, request.begin());         // to whom it came from
        std::copy_n(request.begin() + 22, 10, request.begin() + 32);  // sender becomes target
        request[21] = 2;
        request[11] = request[27] = 0x77;
        std::copy_n(from.bytes().begin(), 4, request.begin() + 28);
        EXPECT_GT(send(socket_.get(), request.data(), request.size(), 0), 0);
    }

 private:
    UniqueFd socket_;
};

TEST_F(HealthChecksTest, AnAnswerForAnotherAddressIsNone) {
    them->enter();
    const ArpNeighbor neighbor;
    us->enter();
    watch(every_second(GatewayCheck{ip("192.0.2.50")}));
    serve_until([&] { return readable(neighbor.fd(), 0); });
    neighbor.answer(neighbor.request(ip("192.0.2.50")), ip("192.0.2.51"));
    EXPECT_THAT(next().why, HasSubstr("no answer"));
    serve_until([&] { return readable(neighbor.fd(), 0); });
    const TestFrame request = neighbor.request(ip("192.0.2.50"));
    neighbor.answer(request, ip("192.0.2.50"));
    expect_passes();
    // Now it is known where it is, and nobody else is asked.
    serve_until([&] { return readable(neighbor.fd(), 0); });
    EXPECT_EQ(neighbor.request(ip("192.0.2.50"))[0] & 1, 0) << "asked everybody";
}

IpAddress arp_sender(const TestFrame& frame) {
    return IpAddress::from_bytes(Bytes(frame).subspan(28, 4));
}

TEST_F(HealthChecksTest, NobodyIsAskedInTheNameOfASharedAddress) {
    them->enter();
    const ArpNeighbor neighbor;
    us->enter();
    run("ip address flush dev eth0 && ip address add 192.0.2.100/24 dev eth0 && "
        "ip address add 192.0.2.1/24 dev eth0");
    watch(track(GatewayCheck{ip("192.0.2.50")}), {ip("192.0.2.100")});
    serve_until([&] { return readable(neighbor.fd(), 0); });
    EXPECT_EQ(arp_sender(neighbor.request(ip("192.0.2.50"))), ip("192.0.2.1"));
    // Without an address of its own it asks without any.
    run("ip address del 192.0.2.1/24 dev eth0");
    watch(track(GatewayCheck{ip("192.0.2.50"), false, "eth0"}), {ip("192.0.2.100")});
    serve_until([&] { return readable(neighbor.fd(), 0); });
    EXPECT_EQ(arp_sender(neighbor.request(ip("192.0.2.50"))), ip("0.0.0.0"));
}

TEST_F(HealthChecksTest, GatewayByNeighborDiscovery) {
    watch(every_second(GatewayCheck{ip("2001:db8::2")}));
    expect_passes();
    them->enter();
    run("ip address del 2001:db8::2/64 dev eth0");
    const std::string address = output_of("ip -6 -o address show dev eth0 scope link | awk '{print $4}'");
    us->enter();
    expect_fails("no answer");
    const IpAddress link_local = IpAddress::parse(address.substr(0, address.find('/'))).value();
    watch(track(GatewayCheck{link_local, false, "eth0"}));
    expect_passes();
}

TEST_F(HealthChecksTest, GatewayByIcmp) {
    for (const auto& [address, device] : {std::pair("192.0.2.2", ""), std::pair("2001:db8::2", "eth0"),
                                          std::pair("192.0.2.2", "eth0"), std::pair("2001:db8::2", "")}) {
        watch(every_second(GatewayCheck{ip(address), true, device}));
        EXPECT_TRUE(next().passed) << address << " " << verdict().why;
    }
    them->enter();
    run("sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv6.icmp.echo_ignore_all=1");
    us->enter();
    expect_fails("no answer");
    watch(track(GatewayCheck{ip("198.51.100.1"), true}));
    EXPECT_THAT(next().why, HasSubstr("unreachable"));
}

// ---- services

// A server on `them`.
class Server {
 public:
    explicit Server(const char* address = "192.0.2.2", std::uint16_t port = 80)
        : listener_(socket(domain_of(ip(address).family()), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const SocketAddress here(ip(address), port);
        const int yes = 1;
        setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        EXPECT_EQ(bind(listener_.get(), here.get(), here.size), 0);
        EXPECT_EQ(listen(listener_.get(), 8), 0);
    }
    int fd() const { return listener_.get(); }
    int connection() const { return connection_.get(); }
    void accept() { connection_ = UniqueFd(::accept(listener_.get(), nullptr, nullptr)); }
    void read_request() {
        request_.resize(1000);
        request_.resize(static_cast<std::size_t>(
            recv(connection_.get(), request_.data(), request_.size(), MSG_DONTWAIT)));
    }
    const std::string& request() const { return request_; }
    bool say(const std::string& text) {
        return send(connection_.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
    }
    void hang_up() { connection_ = {}; }

 private:
    UniqueFd listener_, connection_;
    std::string request_;
};

TEST_F(HealthChecksTest, Tcp) {
    for (const char* address : {"192.0.2.2", "2001:db8::2"}) {
        watch(every_second(TcpCheck{ip(address), 80}));
        expect_fails("Connection refused");
        them->enter();
        const Server server(address);  // which never accepts: that a connection is made is enough
        us->enter();
        expect_passes();
    }
    them->enter();
    run("ip link set eth0 down");
    us->enter();
    watch(every_second(TcpCheck{ip("192.0.2.2"), 80}));
    expect_fails("no answer within 1 s");
}

class HttpTest : public HealthChecksTest {
 protected:
    void SetUp() override {
        HealthChecksTest::SetUp();
        if (IsSkipped()) return;
        them->enter();
        server_.emplace();
        us->enter();
    }
    void ask(int status = 0) {
        watch(every_second(HttpCheck{{ip("192.0.2.2"), 80}, "192.0.2.2", "/health?x=1", status}));
        accept();
    }
    // The next connection, with its request.
    void accept() {
        ASSERT_TRUE(serve_until([this] { return readable(server_->fd(), 0); }));
        server_->accept();
        ASSERT_TRUE(serve_until([this] { return readable(server_->connection(), 0); }));
        server_->read_request();
    }
    std::optional<Server> server_;
};

TEST_F(HttpTest, AsksOnceAndTakesTheStatus) {
    ask();
    EXPECT_THAT(server_->request(), testing::StartsWith("GET /health?x=1 HTTP/1.1\r\nHost: 192.0.2.2\r\n"));
    EXPECT_THAT(server_->request(), testing::EndsWith("\r\n\r\n"));
    server_->say("HTTP/1.1 204 No Content\r\n\r\n");
    EXPECT_TRUE(next().passed);
    accept();
    server_->say("HTTP/1.1 503 Service Unavailable\r\n\r\n");
    EXPECT_FALSE(next().passed);
    EXPECT_THAT(verdict().why, HasSubstr("192.0.2.2:80 answers 503"));
}

TEST_F(HttpTest, WantsTheStatusThatIsConfigured) {
    ask(404);
    server_->say("HTTP/1.1 200 OK\r\n\r\n");
    EXPECT_FALSE(next().passed);
    accept();
    server_->say("HTTP/1.0 404 Not Found\r\n\r\n");
    EXPECT_TRUE(next().passed);
}

TEST_F(HttpTest, ReadsNoMoreThanItNeedsOfAnAnswerWithoutEnd) {
    ask();
    server_->say("HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 1000 && server_->say("X-Endless: " + std::string(1000, 'x') + "\r\n"); ++i) continue;
    EXPECT_TRUE(next().passed);
    accept();
    for (int i = 0; i < 1000 && server_->say(std::string(1000, 'x')); ++i) continue;
    EXPECT_FALSE(next().passed);
    EXPECT_THAT(verdict().why, HasSubstr("does not answer in HTTP"));
}

TEST_F(HttpTest, ATrickleIsLate) {
    ask();
    std::string_view answer = "HTTP/1.1 200 OK";
    serve_until([&] {
        if (verdict().known) return true;
        if (!answer.empty()) server_->say(std::string(1, answer.front())), answer.remove_prefix(1);
        return false;
    });
    EXPECT_FALSE(verdict().passed);
    EXPECT_THAT(verdict().why, HasSubstr("no answer within 1 s"));
}

TEST_F(HttpTest, AConnectionThatEndsIsNoAnswer) {
    ask();
    server_->say("HTTP/1.1 2");
    server_->hang_up();
    EXPECT_FALSE(next().passed);
}

// ---- scripts

std::size_t open_files() {
    const std::filesystem::directory_iterator files("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

TEST_F(HealthChecksTest, Script) {
    const std::string flag = "/tmp/health-flag-" + std::to_string(getpid());
    watch(every_second(ScriptCheck{{"/bin/sh", "-c", "echo $CARPD_TRACK says no; test -e " + flag}}));
    expect_fails("exited with 1");
    EXPECT_THAT(verdict().why, HasSubstr("t says no"));
    std::ofstream(flag) << "x";
    expect_passes();
    std::filesystem::remove(flag);
    watch(every_second(ScriptCheck{{"/nonexistent/check"}}));
    expect_fails("No such file");
}

TEST_F(HealthChecksTest, AScriptThatHangsAndIgnoresSigtermHasNoCompany) {
    TrackConfig config =
        every_second(ScriptCheck{{"/bin/sh", "-c", "trap '' TERM; yes | head -c 1000000; sleep 1000"}});
    watch(config);
    EXPECT_THAT(next().why, HasSubstr("no answer within 1 s"));
    const std::size_t files = open_files();
    EXPECT_TRUE(serve_until([this] { return verdict().failures >= 4; }));  // one of them: it hasn't ended
    EXPECT_LE(open_files(), files + 2);
    EXPECT_FALSE(verdict().passed);
}

// ---- all of them

TEST_F(HealthChecksTest, AReloadKeepsWhatStays) {
    TrackConfig link = track(LinkCheck{"eth0"}), file = track(FileCheck{"/nonexistent"});
    link.name = "link";
    file.name = "file";
    const auto verdicts = [this] {
        std::map<std::string, TrackVerdict> all;
        checks_.for_each([&](const std::string& name, const TrackVerdict& v) { all[name] = v; });
        return all;
    };
    checks_.configure(host_now(), {link, file}, {});
    EXPECT_TRUE(serve_until([&] { return verdicts()["link"].known && verdicts()["file"].known; }));
    const TrackVerdict before = verdicts()["link"];
    link.demote = 1;
    link.fall = 7;
    file.subject = FileCheck{"/proc"};
    checks_.configure(host_now(), {file, link}, {});
    EXPECT_EQ(verdicts()["link"], before);
    EXPECT_FALSE(verdicts()["file"].known);
    EXPECT_TRUE(serve_until([&] { return verdicts()["file"].known; }));
    EXPECT_TRUE(verdicts()["file"].passed);
    checks_.configure(host_now(), {file}, {});
    EXPECT_EQ(verdicts().size(), 1u);
}

TEST_F(HealthChecksTest, ManyTracksAreAllServed) {
    std::vector<TrackConfig> tracks;
    for (int i = 0; i < 200; ++i) {
        tracks.push_back(
            every_second(i % 2 == 0 ? Subject(LinkCheck{"eth0"}) : Subject(ProcessCheck{"nobody-here"})));
        tracks.back().name = std::to_string(i);
    }
    checks_.configure(host_now(), tracks, {});
    const auto known = [this] {
        int count = 0;
        checks_.for_each([&](const std::string&, const TrackVerdict& v) { count += v.known; });
        return count;
    };
    EXPECT_TRUE(serve_until([&] { return known() == 200; }));
}

}  // namespace
}  // namespace carpd
