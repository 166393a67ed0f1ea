#include "web/snapshot.h"

#include <gmock/gmock.h>
#include <poll.h>

#include <atomic>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/assert.h"
#include "control/request.h"
#include "linux/line_server.h"

namespace carpd {
namespace {

using testing::HasSubstr;

LineServer open(const std::string& path) {
    auto server = LineServer::open(path, 0600, "too long");
    CARPD_ASSERT(server);
    return std::move(*server);
}

// An engine that says the same to all, and counts.
class Engine {
 public:
    Engine(const std::string& path, std::string answer)
        : server_(open(path)), answers_([this, answer = std::move(answer)](const std::stop_token& stop) {
              while (!stop.stop_requested()) {
                  pollfd event{server_.fd(), POLLIN, 0};
                  if (poll(&event, 1, 10) > 0)
                      server_.wake([&](auto client, std::string_view line) {
                          EXPECT_EQ(line, to_line(Request{}));
                          ++requests_;
                          server_.send(client, answer);
                      });
              }
          }) {}
    int requests() const { return requests_; }

 private:
    std::atomic<int> requests_ = 0;
    LineServer server_;
    std::jthread answers_;
};

class SnapshotTest : public testing::Test {
 protected:
    SnapshotTest() {
        char folder[] = "/tmp/carpd-snapshot-XXXXXX";
        folder_ = mkdtemp(folder);
    }
    ~SnapshotTest() override { std::filesystem::remove_all(folder_); }
    std::string path() const { return folder_ + "/control.sock"; }

    std::string folder_;
};

constexpr const char* kStatus =
    R"({"ok":true,"running_ms":1,"restarts":0,"hooks":null,"sync":null,"groups":[],"pools":[],"tracks":[],)"
    R"("timers":{"late":0,"worst":null},"dropped":{}})";

TEST_F(SnapshotTest, ManyThatAskAreOneRequest) {
    const Engine engine(path(), kStatus);
    Snapshots snapshots(path());
    {
        std::vector<std::jthread> crowd;
        for (int i = 0; i < 8; ++i)
            crowd.emplace_back([&] {
                for (int n = 0; n < 100; ++n) EXPECT_EQ(snapshots.get()->error, "");
            });
    }
    // Unless that took longer than what is told stays fresh.
    EXPECT_GE(engine.requests(), 1);
    EXPECT_LE(engine.requests(), 20);
    const auto snapshot = snapshots.get();
    EXPECT_EQ(snapshot->status, kStatus);
    EXPECT_THAT(snapshot->metrics, HasSubstr("carpd_up 1\n"));
}

TEST_F(SnapshotTest, WithoutAnEngineTheReasonIsKept) {
    Snapshots snapshots(path());
    const auto snapshot = snapshots.get();
    EXPECT_THAT(snapshot->error, HasSubstr("cannot connect to " + path()));
    EXPECT_EQ(snapshot->status, "null");
    EXPECT_THAT(snapshot->metrics, HasSubstr("carpd_up 0\n"));
    const Engine engine(path(), kStatus);
    EXPECT_EQ(snapshots.get(), snapshot) << "it isn't asked again at once";
}

TEST_F(SnapshotTest, AnswersThatMakeNoSense) {
    for (const std::string answer : {"", "x", "{}", R"({"ok":true,"groups":[{}]})"}) {
        const Engine engine(path(), answer);
        EXPECT_EQ(Snapshots(path()).get()->error, "the engine's answer makes no sense") << answer;
    }
    const Engine engine(path(), error_line("no"));
    EXPECT_EQ(Snapshots(path()).get()->error, "the engine refuses: no");
}

TEST_F(SnapshotTest, AnEngineThatHangsIsWaitedForNoLongerThanPatienceLasts) {
    const auto listens = LineServer::open(path(), 0600, "too long");
    EXPECT_THAT(Snapshots(path(), std::chrono::milliseconds(1)).get()->error,
                HasSubstr("cannot get an answer"));
}

}  // namespace
}  // namespace carpd
