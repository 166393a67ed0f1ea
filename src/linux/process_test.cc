#include "linux/process.h"

#include <gmock/gmock.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace carpd {
namespace {

// Runs `body` in a child; its result is the child's exit code.
template <class Body>
int in_child(Body body) {
    const pid_t child = fork();
    if (child == 0) _exit(body());
    int status = 0;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

void drop_capability(unsigned capability) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    syscall(SYS_capget, &header, data);
    data[CAP_TO_INDEX(capability)].effective &= ~CAP_TO_MASK(capability);
    syscall(SYS_capset, &header, data);
}

TEST(Process, NamesTheMissingCapability) {
    if (geteuid() != 0) GTEST_SKIP() << "needs capabilities to lose (root)";
    EXPECT_EQ(missing_capability(), std::nullopt);
    EXPECT_EQ(in_child([] {
                  drop_capability(CAP_NET_RAW);
                  return missing_capability() == "CAP_NET_RAW" ? 0 : 1;
              }),
              0);
    EXPECT_EQ(in_child([] {
                  drop_capability(CAP_NET_ADMIN);
                  return missing_capability() == "CAP_NET_ADMIN" ? 0 : 1;
              }),
              0);
}

TEST(Process, RealTimeIsNotInherited) {
    const int result = in_child([] {
        if (!become_real_time(kEnginePriority).empty()) return 77;
        if ((sched_getscheduler(0) & ~SCHED_RESET_ON_FORK) != SCHED_FIFO) return 1;
        return in_child([] { return sched_getscheduler(0) == SCHED_OTHER ? 0 : 2; });
    });
    if (result == 77) GTEST_SKIP() << "needs the right to real-time priority and locked memory (root)";
    EXPECT_EQ(result, 0);
}

TEST(Process, OnlyOneInstanceInANetworkNamespace) {
    char directory[] = "/tmp/carpd-lock-test-XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    {
        const auto first = lock_instance(directory);
        ASSERT_TRUE(first) << first.error().to_string();
        const auto second = lock_instance(directory);
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().to_string(),
                  "cannot start: another carpd is running in this network namespace (pid " +
                      std::to_string(getpid()) + ")");
        if (geteuid() == 0) {
            EXPECT_EQ(
                in_child([&] { return unshare(CLONE_NEWNET) == 0 && lock_instance(directory) ? 0 : 1; }), 0)
                << "another namespace is another host";
        }
    }
    EXPECT_TRUE(lock_instance(directory)) << "freed with its owner";
    EXPECT_FALSE(lock_instance("/proc/no-such-place"));
    std::string cleanup = "rm -r " + std::string(directory);
    EXPECT_EQ(std::system(cleanup.c_str()), 0);
}

TEST(Process, InstancesWithNamesStandBesideEachOther) {
    char directory[] = "/tmp/carpd-lock-test-XXXXXX";
    ASSERT_NE(mkdtemp(directory), nullptr);
    {
        const auto plain = lock_instance(directory), one = lock_instance(directory, "one");
        ASSERT_TRUE(plain && one);
        EXPECT_TRUE(lock_instance(directory, "other"));
        EXPECT_EQ(instance_holder(directory, "one"), getpid());
        EXPECT_EQ(instance_holder(directory, "other"), std::nullopt) << "its owner has ended";
        const auto again = lock_instance(directory, "one", std::chrono::milliseconds(10));
        ASSERT_FALSE(again);
        EXPECT_THAT(again.error().to_string(), testing::HasSubstr("in this network namespace as one (pid "));
    }
    EXPECT_EQ(instance_holder(directory, "one"), std::nullopt);
    EXPECT_EQ(instance_holder(directory, "never"), std::nullopt);
    std::string cleanup = "rm -r " + std::string(directory);
    EXPECT_EQ(std::system(cleanup.c_str()), 0);
}

TEST(Process, SeedsDiffer) {
    EXPECT_NE(random_seed(), random_seed());
}

}  // namespace
}  // namespace carpd
