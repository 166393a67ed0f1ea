#include "linux/line_client.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "linux/line_server.h"

namespace carpd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class LineClientTest : public testing::Test {
 protected:
    void SetUp() override {
        char folder[] = "/tmp/carpd-line-client-XXXXXX";
        ASSERT_NE(mkdtemp(folder), nullptr);
        folder_ = folder;
        auto server = LineServer::open(path(), 0600, "too long");
        ASSERT_TRUE(server);
        server_.emplace(std::move(*server));
    }
    void TearDown() override {
        server_.reset();
        std::filesystem::remove_all(folder_);
    }
    std::string path() const { return folder_ + "/socket"; }

    std::string folder_;
    std::optional<LineServer> server_;
};

TEST_F(LineClientTest, TakesLinesOneByOneHoweverTheyCome) {
    auto client = LineClient::connect(path());
    ASSERT_TRUE(client);
    ASSERT_FALSE(client->send("both"));
    const std::string large(3 << 20, 'x');
    LineServer::ClientId client_id = 0;
    for (int i = 0; i < 2; ++i)  // it connects, and it asks
        server_->wake([&](auto id, std::string_view line) {
            EXPECT_EQ(line, "both");
            client_id = id;
            server_->send_part(id, "fir");
            server_->send(id, "st");
            server_->send(id, large);
        });
    EXPECT_EQ(*client->next_line(seconds(10)), "first");
    std::jthread reads([&] { EXPECT_EQ(*client->next_line(seconds(10)), large); });
    while (server_->unsent(client_id) > 0) server_->wake([](auto, auto) {});
    reads.join();
    EXPECT_FALSE(client->has_line());
}

TEST_F(LineClientTest, LosesPatience) {
    auto client = LineClient::connect(path());
    const auto answer = client->ask("x", milliseconds(1));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().error, ETIMEDOUT);
}

TEST_F(LineClientTest, ToldOfTheEnd) {
    auto client = LineClient::connect(path());
    server_.reset();
    const auto answer = client->next_line(seconds(10));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().error, ECONNRESET);
    const auto other = LineClient::connect(path());
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().error, ENOENT);
}

}  // namespace
}  // namespace carpd
