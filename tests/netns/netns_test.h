// What the netns tests share: a lab of two hosts and a client, carpd's configuration as a value, and fast
// timers, so that a test takes milliseconds where the second isn't the point.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "lab/capture.h"
#include "lab/carpd.h"
#include "lab/injector.h"
#include "lab/lab.h"
#include "lab/probe.h"
#include "lab/ucarp.h"
#include "linux/netlink_socket.h"

namespace carpd::lab {

inline constexpr const char* kVip4 = "192.0.2.100";
inline constexpr const char* kVip6 = "2001:db8::100";
inline constexpr MacAddress kVirtualMac{{0x00, 0x00, 0x5e, 0x00, 0x01, 0x01}};  // of vhid 1

// advertisement interval 39 ms, lease 110 ms: a master that is late by 70 ms gives up
inline constexpr int kGoodSkew = 10;
// master-down time 586 ms: a master must be silent for 15 intervals
inline constexpr int kPoorSkew = 50;

// With these a host that returns hears its worse successor before its own master-down time (469 ms) is over:
// at advbase 0 that time follows from the host's own advskew.
inline constexpr int kAlmostPoorSkew = 40;

// Of [sync], as key-hex has them.
inline constexpr const char* kKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
inline constexpr const char* kOtherKey = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

// One [[group]] of a configuration.
struct Group {
    std::string name = "lan", interface = "eth0";
    int vhid = 1;
    std::vector<std::string> addresses = {"192.0.2.100/24"};
    std::string password = "s3cret";
    int advbase = 0, advskew = kGoodSkew;
    bool preempt = false;
    std::string mac = "virtual";
    std::vector<std::string> peers{};
    bool peer_routed = false;
    bool beacons = false;  // most tests count packets

    std::string text() const;
    Group with_skew(int skew) const;
    Group with_preempt() const;
};

class NetnsTest : public testing::Test {
 protected:
    void SetUp() override;
    void TearDown() override;

    // alpha .1, beta .2 and client .9 on one switch; the hosts answer probes. In every test but those that
    // say otherwise.
    void three_hosts();
    Host& alpha() { return *alpha_; }
    Host& beta() { return *beta_; }
    Host& client() { return *client_; }
    Lab& lab() { return *lab_; }

    // Starts carpd. It lives until the end of the test.
    Carpd& start(Host& host, const std::string& groups) {
        return daemons_.emplace_back(host, "dataplane = \"" + dataplane_ + "\"\n" + groups);
    }
    Carpd& start(Host& host, const Group& group) { return start(host, group.text()); }
    // Starts alpha's with `group`, then, when it is MASTER, beta's with `group` and kPoorSkew, up to BACKUP
    // that has heard the master.
    void start_pair(const Group& group, int beta_skew = kPoorSkew);
    Carpd& alpha_carpd() { return daemons_.at(0); }
    Carpd& beta_carpd() { return daemons_.at(1); }

    bool pings(Host& from, const std::string& address, const std::string& source = "");

    std::string dataplane_ = "auto";

 private:
    std::unique_ptr<Lab> lab_;
    Host *alpha_ = nullptr, *beta_ = nullptr, *client_ = nullptr;
    std::deque<Carpd> daemons_;
};

// A client's streams to several addresses.
class Probes {
 public:
    Probes(Host& client, const std::vector<std::string>& addresses, Span interval = 2ms);
    bool wait_answer(const Host* host, Span patience = 10s) const;
    // Expects that the requests since `from` were answered by these hosts, one after the other and none
    // twice, and are answered now; and that the outage stayed within `bound`.
    void expect_hand_over(Time from, const std::vector<std::uint8_t>& hosts, Span bound) const;

 private:
    std::deque<Probe> probes_;
};

// "192.0.2.100/24" -> "192.0.2.100"
std::string without_prefix(const std::string& address);
std::vector<std::string> without_prefix(const std::vector<std::string>& addresses);

// Somebody must want connections to be tracked, or the kernel tracks none.
void track_connections(Host& host);

// The BPF programs at an interface's tcx, of which the `tc` of Debian 12 doesn't know: their names, in order.
std::vector<std::string> programs_at(Host& host, const std::string& interface, Direction direction);
// Takes the gate away, as somebody might. Returns whether it was there.
bool take_gate(Host& host, const std::string& interface);

// How often a text has a part.
int count_in(const std::string& text, const std::string& part);
// A process sleeps, and no signal waits for it.
bool is_idle(pid_t pid);
// What it has in memory (Rss), whoever else has it, too.
int memory_kib(pid_t pid);

// Why the group "lan" is in `state`; empty if it is not.
std::string reason_for(const Carpd& carpd, const std::string& state);
// Whether it heard an authentic advertisement last that said this advskew; without one, any.
bool has_heard(const Carpd& carpd, const std::string& group = "lan", int advskew = -1);

}  // namespace carpd::lab
