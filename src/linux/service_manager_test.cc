#include "linux/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace carpd {
namespace {

class ServiceManagerTest : public testing::Test {
 protected:
    void TearDown() override { unsetenv("NOTIFY_SOCKET"); }
    // An abstract socket of this process.
    void listen() {
        const std::string name = "@carpd-test-" + std::to_string(getpid());
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path + 1, name.data() + 1, name.size() - 1);
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
        systemd = UniqueFd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        ASSERT_EQ(bind(systemd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
        setenv("NOTIFY_SOCKET", name.c_str(), 1);
    }
    std::string heard() {
        char text[256];
        const ssize_t size = recv(systemd.get(), text, sizeof text, 0);
        return size < 0 ? "" : std::string(text, static_cast<std::size_t>(size));
    }
    UniqueFd systemd;
};

TEST_F(ServiceManagerTest, HearsWhatIsTold) {
    listen();
    const ServiceManager manager = ServiceManager::open();
    ASSERT_TRUE(manager.listens());
    manager.tell("READY=1");
    EXPECT_EQ(heard(), "READY=1");
}

TEST_F(ServiceManagerTest, OneThatReadsNothingHoldsNobodyUp) {
    listen();
    const ServiceManager manager = ServiceManager::open();
    for (int i = 0; i < 10'000; ++i) manager.tell("WATCHDOG=1");
    EXPECT_EQ(heard(), "WATCHDOG=1");
}

TEST_F(ServiceManagerTest, NeedsNotBeThere) {
    for (const char* path : {"", "/", "/nonexistent/notify"}) {
        setenv("NOTIFY_SOCKET", path, 1);
        const ServiceManager manager = ServiceManager::open();
        EXPECT_FALSE(manager.listens()) << path;
        manager.tell("READY=1");
    }
    setenv("NOTIFY_SOCKET", std::string(500, 'x').c_str(), 1);
    EXPECT_FALSE(ServiceManager::open().listens());
    unsetenv("NOTIFY_SOCKET");
    EXPECT_FALSE(ServiceManager::open().listens());
}

}  // namespace
}  // namespace carpd
