#include "carpctl/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "carpctl/commands.h"

namespace carpd {
namespace {

using testing::HasSubstr;

// The daemon's end: what it says is said before the client listens, so one thread is enough.
class ClientTest : public testing::Test {
 protected:
    ClientTest() {
        std::string name = testing::TempDir() + "carpctl-XXXXXX";
        directory_ = ::mkdtemp(name.data());
        path_ = directory_ + "/control.sock";
    }
    ~ClientTest() override {
        for (int fd : {listener_, daemon_})
            if (fd >= 0) ::close(fd);
        std::filesystem::remove_all(directory_);
    }
    void listen() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path_.data(), path_.size());
        listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
        ASSERT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        ASSERT_EQ(::listen(listener_, 8), 0);
    }
    Client connected() {
        listen();
        auto client = Client::connect(path_);
        EXPECT_TRUE(client);
        daemon_ = ::accept(listener_, nullptr, nullptr);
        return std::move(*client);
    }
    void say(std::string_view text) {
        ASSERT_EQ(::write(daemon_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }
    void hang_up() {
        ::close(daemon_);
        daemon_ = -1;
    }
    std::string heard() {
        char buffer[4096];
        const ssize_t count = ::recv(daemon_, buffer, sizeof buffer, MSG_DONTWAIT);
        return {buffer, count > 0 ? static_cast<std::size_t>(count) : 0};
    }

    std::string directory_, path_;
    int listener_ = -1, daemon_ = -1;
};

TEST_F(ClientTest, SaysThatCarpdIsNotRunning) {
    const auto missing = Client::connect(path_);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, kNotRunning);
    EXPECT_THAT(missing.error().message, HasSubstr("carpd is not running: nobody answers at " + path_));
    listen();
    ::close(listener_);  // killed: the file stays
    listener_ = -1;
    const auto dead = Client::connect(path_);
    ASSERT_FALSE(dead);
    EXPECT_EQ(dead.error().code, kNotRunning);
}

TEST_F(ClientTest, SaysWhoMayOpenTheSocket) {
    listen();
    std::filesystem::permissions(path_, std::filesystem::perms::none);
    std::filesystem::permissions(directory_, std::filesystem::perms::all);
    const uid_t self = ::geteuid();
    ASSERT_EQ(::seteuid(self == 0 ? 65534 : self), 0);  // root may open everything
    const auto client = Client::connect(path_);
    ASSERT_EQ(::seteuid(self), 0);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, kFailed);
    EXPECT_THAT(client.error().message, HasSubstr("run carpctl as root, or join the socket's group"));
}

TEST_F(ClientTest, RefusesAPathThatNoSocketCanHave) {
    const auto client = Client::connect(std::string(200, 'x'));
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, kFailed);
}

TEST_F(ClientTest, AsksAndIsAnswered) {
    Client client = connected();
    say("answer\nmore");
    EXPECT_EQ(*client.ask("question"), "answer");
    EXPECT_EQ(heard(), "question\n");
    say(" and more\n");
    EXPECT_EQ(*client.ask("next"), "more and more");
}

TEST_F(ClientTest, AnAnswerMayComeInManyParts) {
    Client client = connected();
    const std::string large(150'000, 'x');
    say(large + "\nsecond\nth");
    EXPECT_EQ(*client.ask("question"), large);
    EXPECT_EQ(*client.next_line(), "second");
    say("ird\n");
    EXPECT_EQ(*client.next_line(), "third");
    say(large + "\n");  // and nothing behind it
    EXPECT_EQ(*client.next_line(), large);
    say("\nlast\n");
    EXPECT_EQ(*client.next_line(), "");
    EXPECT_EQ(*client.next_line(), "last");
}

TEST_F(ClientTest, NoticesThatCarpdWentAway) {
    Client client = connected();
    say("half an answ");
    hang_up();
    const auto answer = client.ask("question");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, kNotRunning);
}

TEST_F(ClientTest, ReadsLinesUntilInterrupted) {
    Client client = connected();
    int interrupt[2];
    ASSERT_EQ(::pipe(interrupt), 0);
    say("one\ntwo\n");
    EXPECT_EQ(**client.next_line(interrupt[0]), "one");
    EXPECT_EQ(**client.next_line(interrupt[0]), "two");
    ASSERT_EQ(::write(interrupt[1], "!", 1), 1);
    EXPECT_FALSE(client.next_line(interrupt[0])->has_value());
    ::close(interrupt[0]);
    ::close(interrupt[1]);
}

TEST_F(ClientTest, ARefusalIsAFailure) {
    Client client = connected();
    say("{\"ok\":false,\"error\":\"there is no group 'wan'; there are: lan\"}\n");
    const auto answer = ask(client, to_line(Request{.command = Command::status, .group = "wan"}));
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, kFailed);
    EXPECT_EQ(answer.error().message, "there is no group 'wan'; there are: lan");
    EXPECT_EQ(heard(), "{\"command\":\"status\",\"group\":\"wan\"}\n");
}

TEST_F(ClientTest, DoesNotTrustWhateverAnswers) {
    Client client = connected();
    for (const char* nonsense :
         {"", "SSH-2.0-OpenSSH", "[]", "{}", "{\"ok\":1}", "{\"ok\":false}", "{\"ok\":false,\"error\":7}"}) {
        say(std::string(nonsense) + "\n");
        const auto answer = ask(client, to_line(Request{}));
        ASSERT_FALSE(answer) << nonsense;
        EXPECT_EQ(answer.error().code, kFailed);
        EXPECT_THAT(answer.error().message, HasSubstr("makes no sense"));
    }
}

TEST_F(ClientTest, SaysThatStateIsNotSynchronised) {
    listen();  // carpd runs
    const auto client = connect_to_sync(path_);
    ASSERT_FALSE(client);
    EXPECT_EQ(client.error().code, kNotRunning);
    EXPECT_EQ(client.error().message,
              "carpd on this host doesn't synchronise state: there is no [sync] in its configuration, or it "
              "doesn't run (" +
                  path_ + ".sync)");
    path_ += ".sync";
    ::close(listener_);
    listen();
    EXPECT_TRUE(connect_to_sync(path_.substr(0, path_.size() - 5)));
}

TEST_F(ClientTest, AsksForFlowsToTheLast) {
    Client client = connected();
    std::string flows;
    const auto show = [&](const Answer& flow) {
        flows += flow.line + flow.json.at("owner").get<std::string>();
    };
    say("{\"owner\":\"fw1\"}\n{\"owner\":\"fw2\"}\n{\"ok\":true,\"flows\":2}\n");
    EXPECT_EQ(*ask_for_flows(client, {SyncCommand::flows, "fw1"}, show), 2u);
    EXPECT_EQ(heard(), "{\"command\":\"flows\",\"owner\":\"fw1\"}\n");
    EXPECT_EQ(flows, "{\"owner\":\"fw1\"}fw1{\"owner\":\"fw2\"}fw2");

    say("{\"ok\":true,\"flows\":0}\n");
    EXPECT_EQ(*ask_for_flows(client, {SyncCommand::flows, {}}, show), 0u);
}

TEST_F(ClientTest, SaysWhyThereAreNoFlows) {
    Client client = connected();
    const auto failure = [&](std::string_view answer) {
        say(answer);
        const auto count = ask_for_flows(client, {SyncCommand::flows, {}}, [](const Answer&) {});
        return count ? "none" : count.error().message;
    };
    EXPECT_EQ(failure("{\"ok\":false,\"error\":\"there is no host 'fw9'\"}\n"), "there is no host 'fw9'");
    for (const char* nonsense : {"x\n", "7\n", "{\"owner\":\"fw1\"}\n{\"ok\":true,\"flows\":2}\n",
                                 "{\"ok\":true}\n", "{\"ok\":true,\"flows\":\"0\"}\n"})
        EXPECT_THAT(failure(nonsense), HasSubstr("makes no sense")) << nonsense;
    say("{\"owner\":\"fw1\"}\n");
    hang_up();
    EXPECT_EQ(ask_for_flows(client, {SyncCommand::flows, {}}, [](const Answer&) {}).error().code,
              kNotRunning);
}

}  // namespace
}  // namespace carpd
