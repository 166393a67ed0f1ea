#include "linux/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "linux/unique_fd.h"

namespace carpd {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::MatchesRegex;

// Runs `body` in a child whose standard error is a small pipe, and returns what arrives there.
template <class Body>
std::string logged_by(Body body) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    UniqueFd reader(ends[0]);
    const pid_t child = fork();
    if (child == 0) {
        fcntl(ends[1], F_SETPIPE_SZ, 4 * 4096);
        dup2(ends[1], STDERR_FILENO);
        body(reader.get());
        _exit(0);
    }
    close(ends[1]);
    waitpid(child, nullptr, 0);
    std::string text;
    char buffer[4096];
    for (ssize_t size; (size = read(reader.get(), buffer, sizeof buffer)) > 0;) text.append(buffer, size);
    return text;
}

TEST(Log, WritesLocalTimeAndLevel) {
    const std::string text = logged_by([](int) { log(LogLevel::notice, "lan: BACKUP -> MASTER"); });
    EXPECT_THAT(text, MatchesRegex("....-..-.. ..:..:..\\.... notice  lan: BACKUP -> MASTER\n"));
}

TEST(Log, LeavesOutWhatIsBelowTheLevel) {
    EXPECT_EQ(logged_by([](int) { log(LogLevel::debug, "detail"); }), "");
    EXPECT_THAT(logged_by([](int) {
                    set_log_level(LogLevel::debug);
                    log(LogLevel::debug, "detail");
                }),
                HasSubstr("detail"));
}

TEST(Log, SpeaksTheJournalsForm) {
    const std::string text = logged_by([](int) {
        struct stat status;
        fstat(STDERR_FILENO, &status);
        const std::string stream = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
        setenv("JOURNAL_STREAM", stream.c_str(), 1);
        log(LogLevel::warning, "late");
    });
    EXPECT_EQ(text, "<4>late\n");
}

// In a mount namespace of its own, where the test is the journal.
TEST(Log, GivesTheJournalFields) {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    const std::string lines = logged_by([](int) {
        if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, nullptr) != 0 || mkdir("/run/systemd", 0755) != 0 ||
            mkdir("/run/systemd/journal", 0755) != 0)
            _exit(1);
        const UniqueFd journal(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        const sockaddr_un here{AF_UNIX, "/run/systemd/journal/socket"};
        if (bind(journal.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0) _exit(1);
        struct stat status;
        fstat(STDERR_FILENO, &status);
        setenv("JOURNAL_STREAM",
               (std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino)).c_str(), 1);
        log(LogLevel::notice, "lan: BACKUP -> MASTER", {{"CARP_GROUP", "lan"}, {"CARP_REASON", "a\nb"}});
        char buffer[4096];
        const auto size = recv(journal.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (size > 0 && write(STDERR_FILENO, buffer, static_cast<std::size_t>(size)) != size) _exit(1);
        // Without a journal the line takes the other way.
        unlink(here.sun_path);
        log(LogLevel::notice, "alone", {{"CARP_GROUP", "lan"}});
    });
    EXPECT_EQ(lines,
              "PRIORITY=5\nSYSLOG_IDENTIFIER=carpd\nMESSAGE=lan: BACKUP -> MASTER\nCARP_GROUP=lan\n"
              "CARP_REASON=a\\x0ab\n<5>alone\n");
}

TEST(Log, TellsSyslogToo) {
    if (geteuid() != 0) GTEST_SKIP() << "needs a mount namespace (root)";
    const std::string lines = logged_by([](int) {
        if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount("tmpfs", "/dev", "tmpfs", 0, nullptr) != 0)
            _exit(1);
        log_to_syslog("ucarp", *syslog_facility("local3"));
        log(LogLevel::notice, "nobody listens");
        const UniqueFd syslog(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        const sockaddr_un here{AF_UNIX, "/dev/log"};
        if (bind(syslog.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0) _exit(1);
        log(LogLevel::warning, "MASTER on\neth0");
        char buffer[4096];
        const auto size = recv(syslog.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (size > 0 && write(STDERR_FILENO, buffer, static_cast<std::size_t>(size)) != size) _exit(1);
    });
    // local3 is 19, warning 4: 19 * 8 + 4
    EXPECT_THAT(lines, MatchesRegex(".* notice  nobody listens\n.* warning MASTER on\\\\x0aeth0\n"
                                    "<156>[A-Z][a-z][a-z] [ 0-9][0-9] ..:..:.. ucarp\\[[0-9]+\\]: "
                                    "MASTER on\\\\x0aeth0"));
    EXPECT_EQ(syslog_facility("nonsense"), std::nullopt);
}

TEST(Log, ALineIsOneLineOfBoundedLength) {
    EXPECT_EQ(printable("a\nb\x1b[31m\x9b\x7f"), "a\\x0ab\\x1b[31m\\x9b\\x7f");
    const std::string text = logged_by([](int) { log(LogLevel::info, std::string(5000, 'x')); });
    EXPECT_EQ(text.size(), kMaxLogLine);
    EXPECT_EQ(text.back(), '\n');
}

TEST(Log, NeverBlocksAndSaysHowMuchWasLost) {
    const std::string text = logged_by([](int reader) {
        for (int i = 0; i < 100; ++i) log(LogLevel::info, std::string(900, 'x'));  // nobody reads
        char buffer[65536];
        if (read(reader, buffer, sizeof buffer) < 0) _exit(1);
        log(LogLevel::info, "after");
    });
    EXPECT_THAT(text,
                MatchesRegex(".*warning [0-9]+ lines were lost because nobody read the log\n.*after\n"));
}

TEST(LogLimit, LetsABurstThroughAndThenOnePerPeriod) {
    LogLimit limit(3, 1s);
    const Instant start{100s};
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.admit(start));
    EXPECT_FALSE(limit.admit(start));
    EXPECT_FALSE(limit.admit(start + 999ms));
    EXPECT_TRUE(limit.admit(start + 1s));
    EXPECT_FALSE(limit.admit(start + 1s));
    EXPECT_EQ(limit.take_suppressed(), 3u);
    EXPECT_EQ(limit.take_suppressed(), 0u);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(limit.admit(start + 24h));
    EXPECT_FALSE(limit.admit(start + 24h)) << "a long silence earns no more than the burst";
}

}  // namespace
}  // namespace carpd
