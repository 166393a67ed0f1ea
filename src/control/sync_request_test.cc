#include "control/sync_request.h"

#include <gtest/gtest.h>

#include "control/request.h"

namespace carpd {
namespace {

std::string refusal(std::string_view line) {
    const auto request = parse_sync_request(line);
    return request ? "accepted" : request.error();
}

TEST(ParseSyncRequest, UnderstandsEveryCommand) {
    EXPECT_EQ(*parse_sync_request(R"({"command":"status"})"), SyncRequest{});
    EXPECT_EQ(*parse_sync_request(R"({"command":"flows"})"), (SyncRequest{SyncCommand::flows, {}}));
    EXPECT_EQ(*parse_sync_request(R"( { "owner" : "büro" , "command" : "flows" } )"),
              (SyncRequest{SyncCommand::flows, "büro"}));
    EXPECT_EQ(*parse_sync_request(R"({"command":"resync"})"), (SyncRequest{SyncCommand::resync, {}}));
    EXPECT_EQ(*parse_sync_request(R"({"command":"flush"})"), (SyncRequest{SyncCommand::flush, {}}));
}

TEST(ParseSyncRequest, ReadsBackWhatToLineWrote) {
    for (const SyncRequest& request :
         {SyncRequest{}, SyncRequest{SyncCommand::flows, {}}, SyncRequest{SyncCommand::flows, "a\"b\n"},
          SyncRequest{SyncCommand::resync, {}}, SyncRequest{SyncCommand::flush, {}}}) {
        const std::string line = to_line(request);
        EXPECT_EQ(line.find('\n'), std::string::npos) << line;
        EXPECT_EQ(*parse_sync_request(line), request) << line;
    }
}

TEST(ParseSyncRequest, SaysWhatIsWrong) {
    for (const char* line : {"", "flows", "[]", "7", "{\"command\":\"flows\"", "{\"command\":\"fl\xff\"}"})
        EXPECT_EQ(refusal(line), "the request is not a JSON object") << line;
    EXPECT_EQ(refusal(std::string("{\"command\":\"flush\"}\0", 20)), "the request is not a JSON object");
    EXPECT_EQ(refusal("{}"), "the request has no command");
    EXPECT_EQ(refusal(R"({"command":7})"), "the request has no command");
    EXPECT_EQ(refusal(R"({"command":"commit"})"), "state synchronisation has no command 'commit'");
    EXPECT_EQ(refusal(R"({"command":"flows","owner":7})"), "the owner of flows is a host's name");
    EXPECT_EQ(refusal(R"({"command":"flows","owner":""})"), "the owner of flows is a host's name");
    EXPECT_EQ(refusal(R"({"command":"flows","":""})"), "flows of state synchronisation takes no ''");
    EXPECT_EQ(refusal(R"({"command":"flush","owner":"fw2"})"),
              "flush of state synchronisation takes no 'owner'");
}

TEST(ParseSyncRequest, TellsWhatIsMeantForTheEngine) {
    for (const Command command :
         {Command::monitor, Command::state, Command::demote, Command::stop, Command::reload})
        EXPECT_EQ(refusal(to_line(Request{.command = command, .group = "lan"})),
                  "'" + std::string(to_string(command)) +
                      "' is for carpd's control socket; this one, of state synchronisation, takes status, "
                      "flows, resync and flush");
    EXPECT_EQ(refusal(R"({"command":"status","group":"lan"})"),
              "status of state synchronisation takes no 'group'");
}

}  // namespace
}  // namespace carpd
