#include "linux/sandbox.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <vector>

#include "linux/process.h"
#include "linux/sysctl.h"

namespace carpd {
namespace {

// What `body` returns in a child that has entered the sandbox; 77 if it couldn't.
template <class Body>
int in_sandbox(Body body, SandboxFor who = SandboxFor::sync) {
    const pid_t child = fork();
    if (child == 0) _exit(enter_sandbox(who).warnings.empty() ? body() : 77);
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

class SandboxTest : public testing::Test {
    void SetUp() override {
        if (geteuid() != 0) GTEST_SKIP() << "needs a user and rights to give up (root)";
    }
};

TEST_F(SandboxTest, IsAnotherUserWithOneRight) {
    EXPECT_EQ(in_sandbox([] {
                  if (getuid() == 0 || geteuid() == 0 || getgid() == 0 || getgroups(0, nullptr) != 0)
                      return 1;
                  if (missing_capability() != "CAP_NET_RAW") return 2;  // the first that is missing
                  return setuid(0) == 0 ? 3 : 0;
              }),
              0);
}

TEST_F(SandboxTest, RefusesWhatNobodyNeedsAndGoesOn) {
    EXPECT_EQ(
        in_sandbox([] {
            const auto refused = [](auto result) {
                return result == decltype(result)(-1) && errno == ENOSYS;
            };
            char* const arguments[] = {nullptr};
            if (!refused(fork())) return 1;
            if (!refused(execve("/bin/true", arguments, arguments))) return 2;
            if (!refused(open("/tmp/carpd-sandbox", O_WRONLY | O_CREAT, 0600))) return 3;
            if (!refused(open("/dev/null", O_RDWR))) return 4;
            if (!refused(kill(getppid(), 0))) return 5;
            if (!refused(unlink("/tmp/carpd-sandbox"))) return 6;
            if (!refused(socket(AF_UNIX, SOCK_STREAM, 0))) return 7;
            if (mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
                return 8;
            return 0;
        }),
        0);
}

TEST_F(SandboxTest, AttachesBpfProgramsWhereThatIsWantedAndLoadsNone) {
    const auto call = [](int command) {
        const char nothing[128] = {};
        return syscall(SYS_bpf, command, nothing, sizeof nothing) == -1 ? errno : 0;
    };
    const auto refused = [&] {
        for (int command = BPF_MAP_CREATE; command <= BPF_PROG_BIND_MAP; ++command)
            if (command != BPF_LINK_CREATE && call(command) != ENOSYS) return 1 + command;
        return missing_capability() == "CAP_NET_RAW" && open("/dev/null", O_RDWR) == -1 ? 0 : 1;
    };
    EXPECT_EQ(in_sandbox(refused), 0);
    EXPECT_EQ(in_sandbox(refused, SandboxFor::deferring_sync), 0);
    EXPECT_EQ(in_sandbox([&] { return call(BPF_LINK_CREATE) == ENOSYS ? 0 : 1; }), 0);
    EXPECT_EQ(in_sandbox([&] { return call(BPF_LINK_CREATE) == ENOSYS ? 1 : 0; }, SandboxFor::deferring_sync),
              0);
}

TEST_F(SandboxTest, LeavesWhatSynchronisationNeeds) {
    EXPECT_EQ(in_sandbox([] {
                  const int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
                  sockaddr_in any{};
                  any.sin_family = AF_INET;
                  // These ask for CAP_NET_ADMIN and CAP_NET_RAW or neither.
                  const int size = 1 << 20;
                  if (setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) return 1;
                  if (setsockopt(udp, SOL_SOCKET, SO_BINDTODEVICE, "lo", 2) != 0) return 2;
                  if (bind(udp, reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) return 3;
                  if (socket(AF_NETLINK, SOCK_RAW, 0) < 0) return 4;
                  if (!read_sysctl("ipv4/ip_forward")) return 5;
                  std::vector<char> memory(64 << 20, 'x');
                  return memory.back() == 'x' ? 0 : 6;
              }),
              0);
}

TEST_F(SandboxTest, TheWebsHasNoRightAndNoNetworkButThreads) {
    EXPECT_EQ(in_sandbox(
                  [] {
                      if (getuid() == 0 || missing_capability() != "CAP_NET_ADMIN") return 1;
                      for (const int family : {AF_INET, AF_INET6, AF_NETLINK, AF_PACKET})
                          if (socket(family, SOCK_RAW, 0) != -1 || errno != ENOSYS) return 2;
                      if (socket(AF_UNIX, SOCK_STREAM, 0) < 0) return 3;
                      if (fork() != -1 || errno != ENOSYS) return 4;
                      char* const arguments[] = {nullptr};
                      if (execve("/bin/true", arguments, arguments) != -1 || errno != ENOSYS) return 5;
                      if (open("/tmp/carpd-sandbox", O_WRONLY | O_CREAT, 0600) != -1) return 6;
                      // std::thread's would be looked at by a sanitizer that needs more calls.
                      pthread_t thread;
                      const auto in_thread = [](void*) -> void* {
                          return open("/dev/null", O_RDWR) == -1 && errno == ENOSYS ? &errno : nullptr;
                      };
                      void* refused = nullptr;
                      if (pthread_create(&thread, nullptr, in_thread, nullptr) != 0) return 7;
                      pthread_join(thread, &refused);
                      return refused != nullptr ? 0 : 8;
                  },
                  SandboxFor::web),
              0);
}

// Where it may not be ended by who started it, it must not become another user.
TEST_F(SandboxTest, WhatCannotBeGivenUpIsToldAndTheRestIsGivenUp) {
    const pid_t child = fork();
    if (child == 0) {
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        __user_cap_data_struct rights[_LINUX_CAPABILITY_U32S_3];
        syscall(SYS_capget, &header, rights);
        rights[CAP_TO_INDEX(CAP_KILL)].effective &= ~CAP_TO_MASK(CAP_KILL);
        syscall(SYS_capset, &header, rights);
        const Sandbox sandbox = enter_sandbox(SandboxFor::sync);
        const bool told = sandbox.user.empty() && sandbox.warnings.size() == 1 &&
                          sandbox.warnings[0].operation == "run as the user";
        _exit(!told                                   ? 1
              : getuid() != 0                         ? 2
              : missing_capability() != "CAP_NET_RAW" ? 3
              : open("/dev/null", O_WRONLY) != -1     ? 4
                                                      : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
}

TEST_F(SandboxTest, AnAbortIsStillOne) {
    EXPECT_EQ(in_sandbox([]() -> int {
                  std::signal(SIGABRT, SIG_DFL);  // a sanitizer's
                  std::abort();
              }),
              128 + SIGABRT);
}

}  // namespace
}  // namespace carpd
