#include "web/snapshot.h"

#include <gmock/gmock.h>
#include <poll.h>

#include <atomic>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/assert.h"
#include "control/request.h"
#include "control/sync_status.h"
#include "linux/line_server.h"
#include "sync/test_hosts.h"

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
    Engine(const std::string& path, std::string answer, std::string request = to_line(Request{}))
        : server_(open(path)),
          answers_(
              [this, answer = std::move(answer), request = std::move(request)](const std::stop_token& stop) {
                  while (!stop.stop_requested()) {
                      pollfd event{server_.fd(), POLLIN, 0};
                      if (poll(&event, 1, 10) > 0)
                          server_.wake([&](auto client, std::string_view line) {
                              EXPECT_EQ(line, request);
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
    R"("timers":{"late":0,"worst":null},"histograms":{"advert_interval":{"bounds_ms":[],"counts":[0],)"
    R"("sum_ms":0},"timer_lateness":{"bounds_ms":[],"counts":[0],"sum_ms":0},)"
    R"("failover":{"bounds_ms":[],"counts":[0],"sum_ms":0}},"transitions":{},"dropped":{}})";

std::string status_with_sync() {
    Json status = Json::parse(kStatus);
    status["sync"] = {{"peers", 1}, {"peers_up", 0}, {"incomplete", "starting"}};
    return dump(status);
}

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

TEST_F(SnapshotTest, MetricsOfSyncComeFromItself) {
    const Engine engine(path(), status_with_sync());
    EXPECT_THAT(Snapshots(path()).get()->metrics, HasSubstr("carpd_sync_up 0\n")) << "it doesn't answer";
    for (const std::string answer : {"x", "{}", R"({"ok":1})", R"({"ok":true})", R"({"ok":false})"}) {
        const Engine sync(path() + ".sync", answer, R"({"command":"status"})");
        const auto snapshot = Snapshots(path()).get();
        EXPECT_EQ(snapshot->error, "") << answer;
        EXPECT_THAT(snapshot->metrics, HasSubstr("carpd_sync_up 0\n")) << answer;
        EXPECT_THAT(snapshot->metrics, HasSubstr("carpd_sync_peers 1\n")) << answer;
    }
    test_hosts::World world(1, 1);
    const SyncConfig config{};
    const Engine sync(path() + ".sync", sync_status(world[0], {.config = config}, world.now),
                      R"({"command":"status"})");
    EXPECT_THAT(Snapshots(path()).get()->metrics, HasSubstr("carpd_sync_up 1\n"));
}

TEST_F(SnapshotTest, AnEngineThatHangsIsWaitedForNoLongerThanPatienceLasts) {
    const auto listens = LineServer::open(path(), 0600, "too long");
    EXPECT_THAT(Snapshots(path(), std::chrono::milliseconds(1)).get()->error,
                HasSubstr("cannot get an answer"));
}

}  // namespace
}  // namespace carpd
