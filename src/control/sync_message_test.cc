#include "control/sync_message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace carpd {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST(SyncMessage, IsOneLineOfJson) {
    EXPECT_EQ(to_message(ToSync(Mastership{true, 7})),
              R"({"message":"mastership","master":true,"takeover":7})");
    EXPECT_EQ(to_message(ToSync(EngineEnded{})), R"({"message":"engine_ended"})");
    EXPECT_EQ(to_message(FromSync(SyncGreeting{4711})), R"({"message":"hello","pid":4711})");
    EXPECT_EQ(to_message(FromSync(SyncCopy{SyncIncomplete::starting, 2, 1})),
              R"({"message":"copy","incomplete":"starting","peers":2,"peers_up":1})");
    EXPECT_EQ(to_message(FromSync(SyncCommitted{7})), R"({"message":"committed","takeover":7})");
    EXPECT_EQ(to_message(FromSync(SyncEnded{})), R"({"message":"ended"})");
}

TEST(SyncMessage, ReadsBackAsItself) {
    for (const ToSync& message :
         {ToSync(Mastership{}), ToSync(Mastership{true, kMost}), ToSync(EngineEnded{})}) {
        const auto again = parse_to_sync(to_message(message));
        ASSERT_TRUE(again) << again.error();
        EXPECT_EQ(*again, message);
    }
    std::vector<FromSync> messages{SyncGreeting{4711}, SyncCommitted{kMost}, SyncEnded{}};
    for (SyncIncomplete reason : {SyncIncomplete::no, SyncIncomplete::starting, SyncIncomplete::overrun,
                                  SyncIncomplete::receiving, SyncIncomplete::differs})
        messages.emplace_back(SyncCopy{reason, 7, 7});
    for (const FromSync& message : messages) {
        const auto again = parse_from_sync(to_message(message));
        ASSERT_TRUE(again) << again.error();
        EXPECT_EQ(*again, message);
    }
}

TEST(SyncMessage, RefusesWhatIsMad) {
    for (const char* bad :
         {"", "{", "[]", "null", "{}", R"({"message":7})", R"({"message":"hello"})",
          R"({"message":"mastership"})", R"({"message":"mastership","master":1,"takeover":7})",
          R"({"message":"mastership","master":true,"takeover":-1})",
          R"({"message":"mastership","master":true,"takeover":18446744073709551616})",
          R"({"message":"mastership","takeover":7})"})
        EXPECT_FALSE(parse_to_sync(bad)) << bad;
    for (const char* bad :
         {"", "{", "{}", R"({"message":"mastership","master":true,"takeover":7})", R"({"message":"hello"})",
          R"({"message":"hello","pid":4294967296})", R"({"message":"copy","incomplete":"no","peers":2})",
          R"({"message":"copy","incomplete":"perhaps","peers":2,"peers_up":1})",
          R"({"message":"copy","incomplete":1,"peers":2,"peers_up":1})",
          R"({"message":"copy","incomplete":"no","peers":8,"peers_up":1})",
          R"({"message":"copy","incomplete":"no","peers":1,"peers_up":2})",
          R"({"message":"committed","takeover":"7"})", R"({"message":"committed"})"})
        EXPECT_FALSE(parse_from_sync(bad)) << bad;
    EXPECT_EQ(parse_from_sync(R"({"message":"copy"})").error(), "a 'copy' that is incomplete or malformed");
    EXPECT_EQ(parse_from_sync(R"({"message":"copies"})").error(), "it is no message that an engine knows");
    EXPECT_EQ(parse_to_sync(R"({"message":"hello"})").error(), "it is no message that carpd: sync knows");
}

}  // namespace
}  // namespace carpd
