#include "carpd/kept_demotions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace carpd {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Request drain(const std::string& group, int amount = kDrainAmount) {
    Request request{.command = Command::demote, .group = group};
    if (group.empty()) request.interface_group = kAllGroups;
    request.amount = amount;
    request.name = kDrainDemotion;
    return request;
}

class KeptDemotionsTest : public testing::Test {
 protected:
    KeptDemotionsTest() {
        std::string name = testing::TempDir() + "kept-XXXXXX";
        directory_ = ::mkdtemp(name.data());
        path_ = directory_ + "/demotions";
    }
    ~KeptDemotionsTest() override { fs::remove_all(directory_); }

    KeptDemotions open() { return KeptDemotions::open(path_, complaint_); }

    std::string directory_, path_, complaint_;
};

TEST_F(KeptDemotionsTest, AreThereAgain) {
    ASSERT_TRUE(open().update({drain("lan"), drain("dmz")}, true));
    KeptDemotions kept = open();
    EXPECT_EQ(kept.all(), (std::vector{drain("lan"), drain("dmz")}));
    ASSERT_TRUE(kept.update({drain("")}, true));
    ASSERT_TRUE(kept.update({drain("lan", 0)}, false));
    EXPECT_EQ(open().all(), (std::vector{drain("dmz"), drain("")}));
    EXPECT_EQ(complaint_, "");
}

TEST_F(KeptDemotionsTest, WhatWasSaidLastCounts) {
    KeptDemotions kept = open();
    ASSERT_TRUE(kept.update({drain("lan")}, true));
    ASSERT_TRUE(kept.update({drain("lan", 100)}, true));
    EXPECT_EQ(open().all(), std::vector{drain("lan", 100)});
    ASSERT_TRUE(kept.update({drain("lan")}, false)) << "without --persist";
    EXPECT_THAT(open().all(), IsEmpty());
    EXPECT_FALSE(fs::exists(path_));
}

TEST_F(KeptDemotionsTest, ThatCantBeWrittenChangeNothing) {
    KeptDemotions kept = open();
    ASSERT_TRUE(kept.update({drain("lan")}, true));
    fs::remove(path_);
    fs::create_directories(path_ + "/in-the-way");
    const auto refused = kept.update({drain("lan", 0)}, false);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error(), HasSubstr("nothing was changed: cannot remove " + path_));
    EXPECT_THAT(kept.all(), SizeIs(1));
    EXPECT_FALSE(kept.update({drain("dmz")}, true));
    EXPECT_THAT(kept.all(), SizeIs(1));
}

TEST_F(KeptDemotionsTest, ThatMakeNoSenseAreADrainedHost) {
    for (const char* text : {"\n", "nonsense\n", "{\"command\":\"stop\"}\n", "{\"command\":\"demote\"}\n",
                             "{\"command\":\"demote\",\"group\":\"lan\",\"amount\":200}"}) {
        std::ofstream(path_) << text;
        complaint_.clear();
        KeptDemotions kept = open();
        EXPECT_EQ(kept.all(), std::vector{drain("")}) << text;
        EXPECT_THAT(complaint_, HasSubstr("end that by `carpctl undrain`"));
        EXPECT_TRUE(kept.update({drain("", 0)}, false));
        EXPECT_FALSE(fs::exists(path_));
    }
    std::ofstream(path_) << "nonsense\n";
    ASSERT_TRUE(open().update({drain("")}, true)) << "the same, but now in a file that makes sense";
    complaint_.clear();
    EXPECT_EQ(open().all(), std::vector{drain("")});
    EXPECT_EQ(complaint_, "");
}

}  // namespace
}  // namespace carpd
