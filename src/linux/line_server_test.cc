#include "linux/line_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

namespace carpd {
namespace {

using testing::ElementsAre;
using Lines = std::vector<std::string>;

constexpr char kTooLong[] = "too long";

// One end of a connection, blocking, with what carpctl or a misuser would do.
class Peer {
 public:
    explicit Peer(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        EXPECT_EQ(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    void send(std::string_view text) {
        ASSERT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
    }
    // Everything that waits to be read; nothing if the connection is closed and read to its end.
    std::optional<std::string> read_waiting() {
        std::string text;
        char buffer[65536];
        for (;;) {
            const ssize_t count = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
            if (count > 0) text.append(buffer, static_cast<std::size_t>(count));
            if (count < 0) return text;
            if (count == 0) return text.empty() ? std::nullopt : std::optional(text);
        }
    }
    bool is_closed() {
        char byte;
        return ::recv(fd_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
    }
    void end_sending() { ::shutdown(fd_.get(), SHUT_WR); }
    void leave() { fd_ = UniqueFd(); }

 private:
    UniqueFd fd_;
};

class LineServerTest : public testing::Test {
 protected:
    LineServerTest() {
        char name[] = "/tmp/carpd-lines-XXXXXX";
        directory_ = ::mkdtemp(name);
        path_ = directory_ + "/run/control.sock";
        auto server = LineServer::open(path_, 0660, kTooLong);
        EXPECT_TRUE(server) << server.error().to_string();
        server_.emplace(std::move(*server));
    }
    ~LineServerTest() override {
        server_.reset();
        std::filesystem::remove_all(directory_);
    }

    bool has_work() const {
        pollfd poll{server_->fd(), POLLIN, 0};
        return ::poll(&poll, 1, 0) == 1;
    }
    void wake() {
        server_->wake([this](LineServer::ClientId id, std::string_view line) {
            last_id_ = id;
            lines_.emplace_back(line);
            if (on_line_) on_line_(id, line);
        });
    }
    // As the engine does: for as long as there is something to do.
    void settle() {
        for (int i = 0; i < 10000 && has_work(); ++i) wake();
        EXPECT_FALSE(has_work()) << "the server would keep the engine busy for ever";
    }

    std::string directory_, path_;
    std::optional<LineServer> server_;
    LineServer::OnLine on_line_;
    LineServer::ClientId last_id_ = 0;
    Lines lines_;
};

TEST_F(LineServerTest, SocketHasTheModeWhateverTheUmask) {
    const mode_t saved = ::umask(0);
    auto other = LineServer::open(directory_ + "/other.sock", 0660, kTooLong);
    const mode_t kept = ::umask(saved);
    ASSERT_TRUE(other);
    EXPECT_EQ(kept, 0u);
    struct stat status {};
    ASSERT_EQ(::stat((directory_ + "/other.sock").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0660u);
}

TEST_F(LineServerTest, KnowsReadersByTheirUser) {
    const auto is_reader_who_connects_now = [this] {
        Peer peer(path_);
        peer.send("x\n");
        settle();
        return server_->is_reader(last_id_);
    };
    EXPECT_FALSE(is_reader_who_connects_now());
    ASSERT_FALSE(server_->admit_readers(geteuid() + 1, getegid()));
    EXPECT_FALSE(is_reader_who_connects_now());
    ASSERT_FALSE(server_->admit_readers(geteuid(), getegid()));
    EXPECT_TRUE(is_reader_who_connects_now());
    EXPECT_FALSE(server_->is_reader(last_id_ + 1)) << "nobody is that";
}

TEST_F(LineServerTest, LetsTheReadersGroupConnect) {
    if (geteuid() != 0) GTEST_SKIP() << "needs to give files away (root)";
    constexpr gid_t kGroup = 65534;
    ASSERT_FALSE(server_->admit_readers(65534, kGroup));
    struct stat status {};
    ASSERT_EQ(::stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 0u);
    EXPECT_EQ(status.st_gid, kGroup);
    EXPECT_EQ(status.st_mode & 07777, 0660u);
}

TEST_F(LineServerTest, AnotherProcessGoesOnWithItsSocket) {
    {
        auto other = LineServer::inherit(UniqueFd(dup(server_->listener())), path_, kTooLong);
        ASSERT_TRUE(other);
    }
    EXPECT_TRUE(std::filesystem::exists(path_));  // it wasn't that one's
    auto successor = LineServer::inherit(UniqueFd(dup(server_->listener())), path_, kTooLong);
    ASSERT_TRUE(successor);
    server_->leave_file();
    server_.reset();
    successor->own_file();
    Peer peer(path_);
    peer.send("one\n");
    Lines lines;
    for (int i = 0; i < 2; ++i)
        successor->wake([&](auto, std::string_view line) { lines.emplace_back(line); });
    EXPECT_THAT(lines, ElementsAre("one"));
    { const LineServer gone = std::move(*successor); }
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(LineServerTest, RefusesASocketOnWhichSomebodyAnswers) {
    const auto second = LineServer::open(path_, 0660, kTooLong);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().error, EADDRINUSE);
    Peer peer(path_);  // and the first one still works
    settle();
    EXPECT_EQ(server_->client_count(), 1u);
}

TEST_F(LineServerTest, ReplacesASocketThatAKilledRunLeftBehind) {
    const std::string path = directory_ + "/left.sock";
    {
        const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    ASSERT_TRUE(std::filesystem::exists(path));
    EXPECT_TRUE(LineServer::open(path, 0660, kTooLong));
}

TEST_F(LineServerTest, LeavesFilesAloneThatAreNoSockets) {
    const std::string path = directory_ + "/file";
    std::ofstream(path) << "precious";
    const auto server = LineServer::open(path, 0660, kTooLong);
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().error, EEXIST);
    EXPECT_EQ(std::filesystem::file_size(path), 8u);
}

TEST_F(LineServerTest, RefusesAPathThatNoSocketCanHave) {
    const auto server = LineServer::open("/tmp/" + std::string(200, 'x'), 0660, kTooLong);
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().error, ENAMETOOLONG);
}

TEST_F(LineServerTest, RemovesItsSocketAndNobodyElses) {
    server_.reset();
    EXPECT_FALSE(std::filesystem::exists(path_));

    auto first = LineServer::open(path_, 0660, kTooLong);
    ASSERT_TRUE(first);
    std::filesystem::rename(path_, path_ + ".moved");
    const auto second = LineServer::open(path_, 0660, kTooLong);
    ASSERT_TRUE(second);
    { const LineServer gone = std::move(*first); }
    EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(LineServerTest, AnswersALine) {
    on_line_ = [this](auto id, auto line) { server_->send(id, "you said " + std::string(line)); };
    Peer peer(path_);
    peer.send("hello\n");
    settle();
    EXPECT_EQ(peer.read_waiting(), "you said hello\n");
    EXPECT_FALSE(peer.is_closed());
}

TEST_F(LineServerTest, PutsLinesTogetherFromTheirParts) {
    Peer peer(path_);
    for (char c : std::string_view("one\ntwo\n\nthr")) {
        peer.send({&c, 1});
        settle();
    }
    EXPECT_THAT(lines_, ElementsAre("one", "two", ""));
    peer.send("ee\n");
    settle();
    EXPECT_EQ(lines_.back(), "three");
}

TEST_F(LineServerTest, AHalfLineIsNoWork) {
    Peer peer(path_);
    peer.send("half");
    settle();
    EXPECT_THAT(lines_, ElementsAre());
    peer.leave();
    settle();
    EXPECT_EQ(server_->client_count(), 0u);
}

TEST_F(LineServerTest, TakesTheLongestLineAndRefusesALongerOne) {
    Peer peer(path_);
    peer.send(std::string(LineServer::kMaxLine, 'x') + "\n");
    settle();
    ASSERT_EQ(lines_.size(), 1u);
    EXPECT_EQ(lines_[0].size(), LineServer::kMaxLine);

    peer.send(std::string(LineServer::kMaxLine + 1, 'x'));
    settle();
    EXPECT_EQ(lines_.size(), 1u);
    EXPECT_EQ(peer.read_waiting(), "too long\n");
    EXPECT_TRUE(server_->client_count() == 0);
}

TEST_F(LineServerTest, GarbageIsALineLikeAnyOther) {
    Peer peer(path_);
    peer.send(std::string("\0\xff\x80\n", 4));
    settle();
    ASSERT_EQ(lines_.size(), 1u);
    EXPECT_EQ(lines_[0], std::string("\0\xff\x80", 3));
}

TEST_F(LineServerTest, ATalkativeClientWaitsForItsTurn) {
    Peer talker(path_), other(path_);
    for (int i = 0; i < 100; ++i) talker.send("chatter\n");
    other.send("urgent\n");
    wake();  // lets them in
    wake();
    EXPECT_EQ(lines_.size(), LineServer::kMaxLinesPerWake + 1u);
    EXPECT_THAT(lines_, testing::Contains("urgent"));
    settle();
    EXPECT_EQ(lines_.size(), 101u);
}

TEST_F(LineServerTest, AClientThatDoesNotReadIsNotHeard) {
    const std::string reply(1 << 20, 'r');
    on_line_ = [&](auto id, auto) { server_->send(id, reply); };
    Peer peer(path_);
    for (int i = 0; i < 10; ++i) peer.send("more\n");
    settle();
    EXPECT_EQ(lines_.size(), 1u);

    std::size_t received = 0;
    for (int i = 0; i < 10000 && received < 10 * (reply.size() + 1); ++i) {
        if (const auto text = peer.read_waiting()) received += text->size();
        settle();
    }
    EXPECT_EQ(received, 10 * (reply.size() + 1));
    EXPECT_EQ(lines_.size(), 10u);
}

TEST_F(LineServerTest, ASubscriberThatDoesNotReadIsClosed) {
    Peer peer(path_);
    peer.send("monitor\n");
    settle();
    server_->subscribe(last_id_);
    const std::string line(1 << 16, 'm');
    std::size_t sent = 0;
    while (server_->is_open(last_id_) && sent < 4 * LineServer::kMaxUnsent) {
        server_->send(last_id_, line);
        sent += line.size();
    }
    EXPECT_FALSE(server_->is_open(last_id_));
    EXPECT_GE(sent, LineServer::kMaxUnsent);
    server_->send(last_id_, "to nobody");
    settle();
}

TEST_F(LineServerTest, OneLineMayBeLargerThanWhatMayWait) {
    Peer peer(path_);
    peer.send("status\n");
    settle();
    const std::string large(2 * LineServer::kMaxUnsent, 's');
    server_->send(last_id_, large);
    server_->close_after_flush(last_id_);
    std::string received;
    while (const auto text = peer.read_waiting()) {
        received += *text;
        settle();
    }
    EXPECT_EQ(received.size(), large.size() + 1);
}

TEST_F(LineServerTest, TheIdlestMakesRoomAndTheNewestNever) {
    std::vector<Peer> peers;
    for (std::size_t i = 0; i < LineServer::kMaxClients; ++i) {
        peers.emplace_back(path_);
        peers.back().send(std::to_string(i) + "\n");
        settle();
        if (i == 0) server_->subscribe(last_id_);
    }
    peers[1].send("still here\n");
    settle();

    Peer newest(path_);
    newest.send("newest\n");
    settle();
    EXPECT_EQ(lines_.back(), "newest");
    EXPECT_EQ(server_->client_count(), LineServer::kMaxClients);
    EXPECT_FALSE(peers[0].is_closed()) << "a subscriber is not idle";
    EXPECT_FALSE(peers[1].is_closed()) << "it spoke last";
    EXPECT_TRUE(peers[2].is_closed());
    EXPECT_FALSE(peers[3].is_closed());
}

TEST_F(LineServerTest, AmongSubscribersTheOldestMakesRoom) {
    std::vector<Peer> peers;
    for (std::size_t i = 0; i < LineServer::kMaxClients; ++i) {
        peers.emplace_back(path_);
        peers.back().send("monitor\n");
        settle();
        server_->subscribe(last_id_);
    }
    Peer newest(path_);
    settle();
    EXPECT_TRUE(peers[0].is_closed());
    EXPECT_FALSE(newest.is_closed());
}

TEST_F(LineServerTest, ACrowdIsServedInTheEnd) {
    for (int i = 0; i < 500; ++i) {
        Peer peer(path_);
        peer.send("x");
        if (i % 50 == 0) settle();
    }
    settle();
    EXPECT_EQ(server_->client_count(), 0u);
    Peer peer(path_);
    peer.send("after\n");
    settle();
    EXPECT_EQ(lines_.back(), "after");
}

TEST_F(LineServerTest, ARequestFollowedByEndOfFileIsAnswered) {
    on_line_ = [this](auto id, auto) { server_->send(id, "answer"); };
    Peer peer(path_);
    peer.send("question\n");
    peer.end_sending();
    settle();
    EXPECT_EQ(peer.read_waiting(), "answer\n");
    EXPECT_EQ(peer.read_waiting(), std::nullopt);
}

TEST_F(LineServerTest, ASubscriberMayEndItsSide) {
    on_line_ = [this](auto id, auto) { server_->subscribe(id); };
    Peer peer(path_);
    peer.send("monitor\n");
    peer.end_sending();
    settle();
    server_->send(last_id_, "event");
    EXPECT_EQ(peer.read_waiting(), "event\n");
    peer.leave();
    settle();
    EXPECT_FALSE(server_->is_open(last_id_));
}

TEST_F(LineServerTest, ClosesFromWithinALine) {
    on_line_ = [this](auto id, auto) {
        server_->send(id, "bye");
        server_->close_after_flush(id);
    };
    Peer peer(path_);
    peer.send("one\ntwo\n");
    settle();
    EXPECT_THAT(lines_, ElementsAre("one"));
    EXPECT_EQ(peer.read_waiting(), "bye\n");
    EXPECT_EQ(peer.read_waiting().value_or(""), "");
    EXPECT_EQ(server_->client_count(), 0u);
}

TEST_F(LineServerTest, SendingToAClientThatLeftRaisesNoSignal) {
    Peer peer(path_);
    peer.send("hello\n");
    settle();
    peer.leave();
    server_->send(last_id_, "anybody there?");
    EXPECT_FALSE(server_->is_open(last_id_));
}

// A long answer comes in parts; what the client asks meanwhile waits, and so does its end.
TEST_F(LineServerTest, LinesInParts) {
    Peer peer(path_);
    peer.send("a\nb\n");
    peer.end_sending();
    std::optional<LineServer::ClientId> asker;
    Lines asked;
    const auto on_line = [&](LineServer::ClientId client, std::string_view line) {
        asked.emplace_back(line);
        asker = client;
        server_->send_part(client, "begin");
    };
    for (int i = 0; i < 3; ++i) server_->wake(on_line);
    EXPECT_THAT(asked, ElementsAre("a"));
    server_->send_part(*asker, "-more");
    EXPECT_EQ(peer.read_waiting(), "begin-more");
    server_->send(*asker, "-end");
    EXPECT_EQ(peer.read_waiting(), "-end\n");
    server_->wake(on_line);
    EXPECT_THAT(asked, ElementsAre("a", "b"));
    server_->wake(on_line);
    EXPECT_FALSE(peer.is_closed()) << "it has not got its second answer";
    server_->send(*asker, "-end");
    EXPECT_EQ(peer.read_waiting(), "begin-end\n");
    EXPECT_EQ(server_->unsent(*asker), 0u);
}

}  // namespace
}  // namespace carpd
