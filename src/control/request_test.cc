#include "control/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carpd {
namespace {

using testing::HasSubstr;

std::string refusal(std::string_view line) {
    const auto request = parse_request(line);
    return request ? "accepted" : request.error();
}

TEST(ParseRequest, UnderstandsEveryCommand) {
    EXPECT_EQ(*parse_request(R"({"command":"status"})"), (Request{.command = Command::status}));
    EXPECT_EQ(*parse_request(R"({"command":"status","group":"lan"})"),
              (Request{.command = Command::status, .group = "lan"}));
    EXPECT_EQ(*parse_request(R"({"command":"monitor"})"), (Request{.command = Command::monitor}));
    EXPECT_EQ(*parse_request(R"({"command":"state","group":"lan","state":"master"})"),
              (Request{.command = Command::state, .group = "lan", .state = State::master}));
    EXPECT_EQ(*parse_request(R"( { "amount" : -255 , "group" : "büro" , "command" : "demote" } )"),
              (Request{.command = Command::demote, .group = "büro", .amount = -255}));
    EXPECT_EQ(
        *parse_request(R"({"command":"demote","interface_group":"wan","amount":9,"name":"night-work"})"),
        (Request{.command = Command::demote, .interface_group = "wan", .amount = 9, .name = "night-work"}));
    EXPECT_EQ(
        *parse_request(R"({"command":"client","address":"2001:db8::7","group":"web"})"),
        (Request{.command = Command::client, .group = "web", .address = IpAddress::parse("2001:db8::7")}));
    EXPECT_EQ(*parse_request(R"({"command":"client","mac":"52:54:00:12:34:5F"})"),
              (Request{.command = Command::client, .mac = MacAddress::parse("52:54:00:12:34:5f")}));
    EXPECT_EQ(*parse_request(R"({"command":"stop"})"), (Request{.command = Command::stop}));
    EXPECT_EQ(*parse_request(R"({"command":"reload"})"), (Request{.command = Command::reload}));
    EXPECT_EQ(*parse_request(R"({"command":"history"})"), (Request{.command = Command::history}));
}

TEST(ParseRequest, ReadsBackWhatToLineWrote) {
    for (const Request& request :
         {Request{.command = Command::status}, Request{.command = Command::status, .group = "a\"b\n"},
          Request{.command = Command::monitor}, Request{.command = Command::stop},
          Request{.command = Command::state, .group = "x", .state = State::backup},
          Request{.command = Command::demote, .group = "x", .amount = 255},
          Request{.command = Command::demote, .group = "x", .amount = 255, .lasts = std::chrono::hours(2)},
          Request{.command = Command::client,
          .address = IpAddress::parse("192.0.2.7"),
          .mac = MacAddress::parse("52:54:00:12:34:56")},
          Request{.command = Command::demote, .interface_group = "carp", .amount = 1, .name = "n"},
          Request{.command = Command::demote, .group = "lan", .amount = 1, .persist = true},
          Request{.form = StatusForm::brief}, Request{.form = StatusForm::peers}}) {
        const std::string line = to_line(request);
        EXPECT_EQ(line.find('\n'), std::string::npos) << line;
        EXPECT_EQ(*parse_request(line), request) << line;
    }
}

TEST(ParseRequest, RefusesWhatIsNoObject) {
    for (const char* line :
         {"", "status", "[]", "null", "7", "\"status\"", "{", "{}x", "\xff\xfe", "{\"command\":\"st\xff\"}"})
        EXPECT_EQ(refusal(line), "the request is not a JSON object") << line;
    EXPECT_EQ(refusal(std::string(kMaxRequestSize, '[')), "the request is not a JSON object");
    EXPECT_EQ(refusal(std::string("{\"command\":\"stop\"}\0", 19)), "the request is not a JSON object");
}

TEST(ParseRequest, AsksForAClientItCanFind) {
    EXPECT_EQ(refusal(R"({"command":"client"})"), "client needs an address or a mac");
    EXPECT_EQ(refusal(R"({"command":"client","group":"web"})"), "client needs an address or a mac");
    for (const char* address : {R"("192.0.2")", R"("192.0.2.1/24")", "7", "null", R"("")"})
        EXPECT_EQ(refusal(std::string(R"({"command":"client","address":)") + address + "}"),
                  "the client's address is no IP address");
    EXPECT_EQ(refusal(R"({"command":"client","address":"192.0.2.1","mac":"5254"})"),
              "the client's mac is not like 52:54:00:12:34:56");
    EXPECT_EQ(refusal(R"({"command":"client","client":"192.0.2.1"})"), "client takes no 'client'");
}

TEST(ParseRequest, SaysWhatIsWrong) {
    EXPECT_EQ(refusal("{}"), "the request has no command");
    EXPECT_EQ(refusal(R"({"command":1})"), "the request has no command");
    EXPECT_EQ(refusal(R"({"command":"halt"})"), "there is no command 'halt'");
    for (const char* of_sync : {"flows", "resync", "flush"})
        EXPECT_EQ(refusal(std::string(R"({"command":")") + of_sync + "\"}"),
                  "'" + std::string(of_sync) +
                      "' is for the socket of state synchronisation, which has this one's path with .sync "
                      "behind it");
    EXPECT_EQ(refusal(R"({"command":"stop","now":true})"), "stop takes no 'now'");
    EXPECT_EQ(refusal(R"({"command":"stop","":1})"), "stop takes no ''");
    EXPECT_EQ(refusal(R"({"command":"monitor","group":"lan"})"), "monitor takes no 'group'");
    EXPECT_EQ(refusal(R"({"command":"status","group":7})"), "status needs a group's name");
    EXPECT_EQ(refusal(R"({"command":"status","group":""})"), "status needs a group's name");
    EXPECT_EQ(refusal(R"({"command":"status","peers":1})"), "peers must be true, and alone");
    EXPECT_EQ(refusal(R"({"command":"status","brief":true,"peers":true})"), "peers must be true, and alone");
    EXPECT_EQ(refusal(R"({"command":"status","group":"lan","peers":true})"), "accepted");
    EXPECT_EQ(refusal(R"({"command":"state","state":"backup"})"), "state needs a group's name");
    EXPECT_EQ(refusal(R"({"command":"state","group":"lan"})"), "state must be master or backup");
    EXPECT_EQ(refusal(R"({"command":"state","group":"lan","state":"init"})"),
              "state must be master or backup");
    EXPECT_EQ(refusal(R"({"command":"state","group":"lan","state":true})"), "state must be master or backup");
}

TEST(ParseRequest, KeepsTheAmountInRange) {
    const std::string wrong = "amount must be a whole number, -255 to 255";
    const auto demote = [](std::string_view amount) {
        return R"({"command":"demote","group":"lan","amount":)" + std::string(amount) + "}";
    };
    EXPECT_EQ(refusal(demote("255")), "accepted");
    EXPECT_EQ(refusal(demote("0")), "accepted");
    for (const char* amount : {"256", "-256", "1.5", "1e2", "\"7\"", "null", "[1]", "18446744073709551615",
                               "-9223372036854775808", "99999999999999999999999"})
        EXPECT_EQ(refusal(demote(amount)), wrong) << amount;
    EXPECT_EQ(refusal(R"({"command":"demote","group":"lan"})"), wrong);
    EXPECT_EQ(refusal(demote(R"(1,"for_ms":31622400000)")), "accepted");
    for (const char* lasts :
         {R"(1,"for_ms":0)", R"(1,"for_ms":-1)", R"(1,"for_ms":31622400001)",
          R"(1,"for_ms":18446744073709551615)", R"(1,"for_ms":1.5)", R"(1,"for_ms":"1")", R"(0,"for_ms":1)"})
        EXPECT_THAT(refusal(demote(lasts)), HasSubstr("for_ms must be a whole number")) << lasts;
}

TEST(ParseRequest, DemotesOneThingByAName) {
    const auto demote = [](const std::string& rest) {
        return refusal(R"({"command":"demote","amount":1)" + rest + "}");
    };
    const std::string whom = "demote needs a group's name, or that of an interface group";
    EXPECT_EQ(demote(""), whom);
    EXPECT_EQ(demote(R"(,"interface_group":7)"), whom);
    EXPECT_EQ(demote(R"(,"group":"lan","interface_group":"wan")"), whom);
    EXPECT_EQ(demote(R"(,"group":"lan","name":"A-z_0.9")"), "accepted");
    for (const std::string persist : {"false", "1", "null", R"(true,"for_ms":5)", R"(true,"amount":0)"})
        EXPECT_THAT(demote(R"(,"group":"lan","persist":)" + persist), HasSubstr("persist must be true"));
    for (const std::string name : {R"("")", R"("a b")", R"("a:b")", "7", R"("send_error")", R"("addresses")",
                                   R"("hold_down")", R"("sync")", R"("123456789012345678901234567890123")"})
        EXPECT_THAT(demote(R"(,"group":"lan","name":)" + name), HasSubstr("1 to 32 letters")) << name;
}

TEST(Command, ReadersMayAskForWhatChangesNothing) {
    for (const Command command : {Command::status, Command::monitor, Command::client, Command::history})
        EXPECT_TRUE(only_reads(command)) << to_string(command);
    for (const Command command : {Command::state, Command::demote, Command::stop, Command::reload})
        EXPECT_FALSE(only_reads(command)) << to_string(command);
}

TEST(Replies, AreOneLineOfJson) {
    EXPECT_EQ(ok_line(), R"({"ok":true})");
    EXPECT_EQ(kept_line("/x"), R"({"ok":true,"file":"/x"})");
    EXPECT_EQ(error_line("no"), R"({"ok":false,"error":"no"})");
    EXPECT_EQ(error_line("a\nb\xff").find('\n'), std::string::npos);
}

TEST(UnknownGroup, NamesThoseThereAre) {
    EXPECT_EQ(unknown_group("group", "wan", {"lan", "dmz"}), "there is no group 'wan'; there are: lan, dmz");
    EXPECT_EQ(unknown_group("interface group", "wan", {}), "there is no interface group 'wan'");
    EXPECT_THAT(unknown_group("group", "wan", std::vector<std::string>(4096, "x")),
                HasSubstr(" and 4086 more"));
}

}  // namespace
}  // namespace carpd
