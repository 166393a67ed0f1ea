// A firewall fails between the words of an FTP client and the data connection of which they speak: the one
// that takes over must expect it.
#include <fmt/format.h>

#include <optional>
#include <sstream>

#include "lab/firewalls.h"
#include "lab/ftp.h"
#include "netns_test.h"

namespace carpd::lab {
namespace {

using Mode = FtpClient::Mode;
using testing::IsEmpty;
using testing::SizeIs;

// Only control connections may begin by themselves.
constexpr const char* kStricter =
    "insert rule inet firewall forward iifname eth0 oifname eth1 ct state new tcp dport != 21 drop\n";

class ExpectationTest : public NetnsTest {
 protected:
    void build(const FirewallOptions& options = {}) {
        pair_.emplace(lab(), options);
        for (Firewall* firewall : {&first(), &second()})
            run_checked({{"nft", "-f", "-"}, &firewall->host().space(), kStricter});
        pair_->start();
        server_.emplace(pair_->server());
    }
    void TearDown() override {
        if (HasFailure() && pair_)
            for (Firewall* firewall : {&first(), &second()})
                if (firewall->runs())
                    fmt::print("---- {}'s log:\n{}", firewall->name(), firewall->carpd().log());
        NetnsTest::TearDown();
    }

    Firewall& first() { return pair_->first(); }
    Firewall& second() { return pair_->second(); }
    FtpClient client() { return FtpClient(pair_->client(), kServer4); }

    // The kernel's table of them, a line each.
    static std::vector<std::string> expectations(Firewall& firewall) {
        std::istringstream table(run_checked({{"conntrack", "-L", "expect"}, &firewall.host().space()}));
        std::vector<std::string> lines;
        for (std::string line; std::getline(table, line);) lines.push_back(line);
        return lines;
    }
    // So many come to be in both kernels.
    void expect_expectations(std::size_t count) {
        for (Firewall* firewall : {&first(), &second()}) {
            wait_until([&] { return expectations(*firewall).size() == count; }, 5s);
            EXPECT_THAT(expectations(*firewall), SizeIs(count)) << firewall->name();
        }
    }

 private:
    std::optional<FirewallPair> pair_;
    std::optional<FtpServer> server_;
};

TEST_F(ExpectationTest, DataConnectionsBeginThroughTheNewMaster) {
    build();
    FtpClient port = client(), eprt = client(), pasv = client(), epsv = client();
    port.prepare(Mode::port);
    eprt.prepare(Mode::eprt);
    pasv.prepare(Mode::pasv);
    epsv.prepare(Mode::epsv);
    expect_expectations(4);
    first().power_off();
    ASSERT_TRUE(second().wait("master"));
    for (FtpClient* client : {&port, &pasv}) {
        client->open(10000);
        EXPECT_TRUE(client->finish());
    }
    // What is left of them is told to who comes back, and what was fulfilled isn't.
    first().boot();
    ASSERT_TRUE(first().wait("master"));
    expect_expectations(2);
    for (FtpClient* client : {&eprt, &epsv}) {
        client->open(10000);
        EXPECT_TRUE(client->finish());
    }
    expect_expectations(0);
}

TEST_F(ExpectationTest, TheyCanBeKeptUntilTheyAreNeeded) {
    build({.sync_keys = "commit = \"takeover\"\n"});
    FtpClient port = client(), pasv = client();
    port.prepare(Mode::port);
    pasv.prepare(Mode::pasv);
    const auto told = [&] {
        const std::string flows = second().carpd().carpctl({"sync", "flows"}).output;
        std::size_t count = 0;
        for (std::size_t at = 0; (at = flows.find("EXPECTED", at)) != std::string::npos; ++at) ++count;
        return count == 2;
    };
    ASSERT_TRUE(wait_until(told, 5s));
    EXPECT_THAT(expectations(second()), IsEmpty());
    first().power_off();
    ASSERT_TRUE(second().wait("master"));
    for (FtpClient* client : {&port, &pasv}) {
        client->open(10000);
        EXPECT_TRUE(client->finish());
    }
}

}  // namespace
}  // namespace carpd::lab
