#include "linux/watchdog.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>

#include "linux/clock.h"

namespace carpd {
namespace {

bool wait_readable(const Watchdog& watchdog, int ms) {
    pollfd event{watchdog.fd(), POLLIN, 0};
    return poll(&event, 1, ms) == 1;
}

TEST(Watchdog, ExpiresOnceUnlessItIsPushedOrDisarmed) {
    auto watchdog = Watchdog::open();
    ASSERT_TRUE(watchdog);
    EXPECT_FALSE(watchdog->is_armed());
    EXPECT_FALSE(watchdog->expired());

    watchdog->arm(host_now() - std::chrono::seconds(1));
    ASSERT_TRUE(wait_readable(*watchdog, 5000));
    watchdog->arm(host_now() + std::chrono::hours(1));  // pushed before anybody looked
    EXPECT_FALSE(watchdog->expired());
    EXPECT_TRUE(watchdog->is_armed());

    watchdog->arm(Instant{});
    ASSERT_TRUE(wait_readable(*watchdog, 5000));
    EXPECT_TRUE(watchdog->expired());
    EXPECT_FALSE(watchdog->expired());
    EXPECT_FALSE(watchdog->is_armed());

    watchdog->arm(host_now() + std::chrono::hours(1));
    watchdog->disarm();
    EXPECT_FALSE(watchdog->is_armed());
    EXPECT_FALSE(wait_readable(*watchdog, 0));
}

TEST(Watchdog, IsSharedWithAChild) {
    auto watchdog = Watchdog::open();
    ASSERT_TRUE(watchdog);
    const pid_t child = fork();
    if (child == 0) {
        watchdog->arm(host_now() + std::chrono::milliseconds(1));
        _exit(0);
    }
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    EXPECT_TRUE(wait_readable(*watchdog, 5000));
    EXPECT_TRUE(watchdog->expired());
}

}  // namespace
}  // namespace carpd
