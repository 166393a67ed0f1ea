#include "control/event_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

namespace carpd {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Pair;

GroupConfig lan() {
    GroupConfig config;
    config.name = "lan";
    config.interface = "eth0";
    config.vhid = Vhid{7};
    return config;
}

TEST(EventFields, OfANewState) {
    ReportTransition report{};
    report.from = State::backup;
    report.to = State::master;
    report.cause = Cause::master_bowed_out;
    report.rival = Rival{IpAddress::parse("192.0.2.2").value(), {}};
    const EventFields fields = event_fields(lan(), report);
    EXPECT_THAT(fields, Contains(Pair("CARP_GROUP", "lan")));
    EXPECT_THAT(fields, Contains(Pair("CARP_VHID", "7")));
    EXPECT_THAT(fields, Contains(Pair("CARP_FROM", "backup")));
    EXPECT_THAT(fields, Contains(Pair("CARP_TO", "master")));
    EXPECT_THAT(fields, Contains(Pair("CARP_REASON", std::string(to_string(Cause::master_bowed_out)))));
    EXPECT_THAT(fields, Contains(Pair("CARP_RIVAL", "192.0.2.2")));
}

TEST(EventFields, HaveIdsOfTheirOwnWhichTheManualNames) {
    std::ifstream in(CARPD_SOURCE_DIR "/docs/man/carpd.8");
    std::stringstream manual;
    manual << in.rdbuf();
    std::set<std::string> ids;
    for (const EventFields& fields :
         {event_fields(lan(), ReportTransition{}), event_fields(lan(), ReportRival{}),
          event_fields(lan(), ReportHeld{}), event_fields(lan(), ReportDemotion{}),
          event_fields(lan(), ReportUncommitted{})}) {
        ASSERT_EQ(fields.front().first, "MESSAGE_ID");
        EXPECT_TRUE(ids.insert(fields.front().second).second);
        EXPECT_THAT(manual.str(), HasSubstr(fields.front().second));
    }
}

}  // namespace
}  // namespace carpd
