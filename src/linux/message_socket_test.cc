#include "linux/message_socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "linux/memory_file.h"

namespace carpd {
namespace {

TEST(MessageSocket, CarriesWholeMessagesBothWays) {
    auto pair = MessageSocket::open_pair();
    ASSERT_TRUE(pair);
    auto& [ours, theirs] = *pair;
    EXPECT_FALSE(theirs.receive());
    EXPECT_TRUE(ours.send("one"));
    EXPECT_TRUE(ours.send(std::string(100000, 'x')));
    EXPECT_TRUE(theirs.send("back"));
    EXPECT_EQ(theirs.receive(), "one");
    EXPECT_EQ(theirs.receive(), std::string(100000, 'x'));
    EXPECT_EQ(ours.receive(), "back");
    EXPECT_FALSE(theirs.receive());
    EXPECT_FALSE(theirs.is_closed());
}

TEST(MessageSocket, PassesADescriptorOn) {
    auto pair = MessageSocket::open_pair();
    ASSERT_TRUE(pair);
    const auto file = make_memory_file("what stands in it");
    ASSERT_TRUE(file);
    EXPECT_TRUE(pair->first.send("with", file->get()));
    EXPECT_TRUE(pair->first.send("without"));
    UniqueFd attached;
    EXPECT_EQ(pair->second.receive(attached), "with");
    ASSERT_TRUE(attached);
    EXPECT_NE(attached.get(), file->get());
    EXPECT_EQ(fcntl(attached.get(), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(read_memory_file(attached.get(), 100).value(), "what stands in it");
    EXPECT_FALSE(read_memory_file(attached.get(), 10));
    EXPECT_EQ(pair->second.receive(attached), "without");
    EXPECT_FALSE(attached);
    EXPECT_EQ(pair->second.receive(attached), std::nullopt);
}

TEST(MessageSocket, TakesNoMoreThanItHolds) {
    auto pair = MessageSocket::open_pair(64 * 1024);
    ASSERT_TRUE(pair);
    int taken = 0;
    while (taken < 100000 && pair->first.send("message " + std::to_string(taken))) ++taken;
    EXPECT_GT(taken, 10);
    EXPECT_LT(taken, 100000);
    for (int i = 0; i < taken; ++i) EXPECT_EQ(pair->second.receive(), "message " + std::to_string(i));
    EXPECT_TRUE(pair->first.send("there is room again"));
}

TEST(MessageSocket, HoldsThousandsOfMessages) {
    if (geteuid() != 0) GTEST_SKIP() << "needs the right to a large buffer (root)";
    auto pair = MessageSocket::open_pair();
    ASSERT_TRUE(pair);
    int taken = 0;
    while (taken < 4000 && pair->first.send(std::string(300, 'x'))) ++taken;
    EXPECT_EQ(taken, 4000);
}

TEST(MessageSocket, OutlivesAProcessAtItsEnd) {
    auto pair = MessageSocket::open_pair();
    ASSERT_TRUE(pair);
    auto& [ours, theirs] = *pair;
    const pid_t child = fork();
    if (child == 0) {
        theirs.send("hello");
        _exit(0);
    }
    ASSERT_TRUE(ours.send("for whoever comes"));
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    EXPECT_EQ(ours.receive(), "hello");
    EXPECT_FALSE(ours.receive());
    EXPECT_FALSE(ours.is_closed());
    EXPECT_EQ(theirs.receive(), "for whoever comes");

    theirs.close();
    EXPECT_FALSE(ours.receive());
    EXPECT_TRUE(ours.is_closed());
    EXPECT_FALSE(ours.send("to nobody"));
}

}  // namespace
}  // namespace carpd
