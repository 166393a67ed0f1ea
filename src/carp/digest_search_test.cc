#include "carp/digest_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "carp/authenticator.h"

namespace carpd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::size_t kTries = 5'000;  // the sanitizers make each slow

Key key_of(std::string_view password) {
    Key key{};
    std::copy(password.begin(), password.end(), key.begin());
    return key;
}

IpAddress ip(const char* text) {
    return IpAddress::parse(text).value();
}

GroupConfig group_of(std::string name, std::uint8_t vhid, std::string_view password,
                     const std::vector<const char*>& addresses) {
    GroupConfig group;
    group.name = std::move(name);
    group.interface = "eth0";
    group.vhid = Vhid{vhid};
    group.key = key_of(password);
    for (const char* text : addresses) group.addresses.push_back({ip(text), 24});
    return group;
}

// Signed by a peer that is configured so.
Advertisement signed_by(const GroupConfig& peer) {
    Advertisement advertisement;
    advertisement.vhid = peer.vhid.value;
    advertisement.counter = 0x0123456789abcdef;
    advertisement.digest = Authenticator(peer.key, peer.vhid, peer.addresses).sign(advertisement.counter);
    return advertisement;
}

class DigestSearch : public testing::Test {
 protected:
    const GroupConfig lan_ =
        group_of("lan", 7, "secret", {"192.0.2.100", "192.0.2.101", "192.0.2.102", "2001:db8::100"});
    const GroupConfig dmz_ = group_of("dmz", 8, "other", {"198.51.100.1"});
    const std::vector<GroupConfig> groups_{lan_, dmz_};

    std::optional<DigestFinding> search(const GroupConfig& peer, const std::vector<IpAddress>& seen = {},
                                        std::size_t tries = kTries) const {
        return search_digest(signed_by(peer), lan_, groups_, seen, tries);
    }
    std::string words(const GroupConfig& peer, const std::vector<IpAddress>& seen = {}) const {
        return in_words(search(peer, seen), lan_);
    }
    GroupConfig peer_with(const std::vector<const char*>& addresses) const {
        return group_of("peer", 7, "secret", addresses);
    }
};

TEST_F(DigestSearch, NamesTheAddressThatIsMissing) {
    const auto finding = search(peer_with({"192.0.2.100", "192.0.2.102", "2001:db8::100"}));
    ASSERT_TRUE(finding);
    EXPECT_EQ(finding->key, KeyFound::own);
    EXPECT_THAT(finding->missing, ElementsAre(ip("192.0.2.101")));
    EXPECT_THAT(finding->extra, ElementsAre());
    EXPECT_EQ(in_words(finding, lan_), "the sender's list of addresses lacks 192.0.2.101");
}

TEST_F(DigestSearch, NamesSeveralThatAreMissing) {
    EXPECT_EQ(words(peer_with({"192.0.2.101", "2001:db8::100"})),
              "the sender's list of addresses lacks 192.0.2.100, 192.0.2.102");
    EXPECT_EQ(words(peer_with({"192.0.2.101"})),
              "the sender's list of addresses lacks 192.0.2.100, 192.0.2.102, 2001:db8::100");
}

TEST_F(DigestSearch, NamesTheAddressThatOnlyTheSenderHas) {
    const char* kList = "the sender's list of addresses has ";
    // That of another group, one that was seen, one beside ours.
    for (const char* more : {"198.51.100.1", "203.0.113.77", "192.0.2.17", "2001:db8::1f"}) {
        SCOPED_TRACE(more);
        EXPECT_EQ(words(peer_with({"192.0.2.100", "192.0.2.101", "192.0.2.102", "2001:db8::100", more}),
                        {ip("203.0.113.77"), ip("2001:db8::1f")}),
                  std::string(kList) + more + ", which our list lacks");
    }
}

TEST_F(DigestSearch, NamesTheAddressThatStandsInThePlaceOfAnother) {
    const auto finding = search(peer_with({"192.0.2.100", "192.0.2.201", "192.0.2.102", "2001:db8::100"}));
    ASSERT_TRUE(finding);
    EXPECT_THAT(finding->missing, ElementsAre(ip("192.0.2.101")));
    EXPECT_THAT(finding->extra, ElementsAre(ip("192.0.2.201")));
    EXPECT_EQ(in_words(finding, lan_),
              "the sender's list of addresses has 192.0.2.201 in the place of 192.0.2.101");
}

TEST_F(DigestSearch, TellsASingleFamilyAndNoAddressesAtAll) {
    EXPECT_EQ(words(peer_with({"192.0.2.100", "192.0.2.101", "192.0.2.102"})),
              "the sender signs no IPv6 addresses: its list lacks 2001:db8::100");
    EXPECT_THAT(words(peer_with({"2001:db8::100"})), HasSubstr("the sender signs no IPv4 addresses"));
    EXPECT_EQ(words(peer_with({})), "the sender signs no addresses at all");
}

TEST_F(DigestSearch, TellsTheKeyFromTheList) {
    GroupConfig peer = lan_;
    peer.key = dmz_.key;
    EXPECT_EQ(words(peer), "the sender's key is that of the group dmz");
    peer.key = Key{};
    EXPECT_EQ(words(peer), "the sender has no password");
    peer.key = key_of("secre");
    EXPECT_THAT(words(peer), HasSubstr("ours without its last character"));
    peer.addresses = dmz_.addresses;
    EXPECT_THAT(words(peer),
                HasSubstr("last character (NetBSD's ifconfig cuts it off), and the sender's list "
                          "of addresses has 198.51.100.1 in the place of 192.0.2.100"));
    peer.key = key_of("nobody's");
    EXPECT_FALSE(search(peer));
    EXPECT_THAT(words(peer), HasSubstr("most likely the password differs"));
}

TEST_F(DigestSearch, KnowsWhatIsAcceptedButNotTogether) {
    GroupConfig ours = lan_;
    ours.accept_key = key_of("new");
    ours.accept_addresses = {{ip("192.0.2.100"), 24}};
    GroupConfig peer = lan_;
    peer.key = *ours.accept_key;
    const auto finding = search_digest(signed_by(peer), ours, groups_, {}, kTries);
    ASSERT_TRUE(finding);
    EXPECT_EQ(finding->key, KeyFound::accepted);
    EXPECT_TRUE(finding->same_list());
}

TEST_F(DigestSearch, LinkLocalAddressesMakeNoDifference) {
    GroupConfig ours = lan_;
    ours.addresses.push_back({ip("fe80::1"), 64});
    const auto finding = search_digest(signed_by(peer_with({"192.0.2.100", "192.0.2.101", "192.0.2.102"})),
                                       ours, groups_, {}, kTries);
    ASSERT_TRUE(finding);
    EXPECT_THAT(finding->extra, ElementsAre());
    EXPECT_THAT(finding->missing, testing::Contains(ip("2001:db8::100")));
}

TEST_F(DigestSearch, FindsItAmongThousandsOfGroups) {
    std::vector<GroupConfig> groups = groups_;
    for (int i = 0; i < 2000; ++i) {
        const std::string number = std::to_string(i);
        const std::string address = "10.0." + std::to_string(i / 250) + '.' + std::to_string(i % 250);
        groups.push_back(group_of("g" + number, 9, "key" + number, {address.c_str()}));
    }
    const auto peer = peer_with({"192.0.2.100", "192.0.2.102", "2001:db8::100"});
    const auto finding = search_digest(signed_by(peer), lan_, groups, {}, kDigestTries);
    ASSERT_TRUE(finding);
    EXPECT_THAT(finding->missing, ElementsAre(ip("192.0.2.101")));
}

TEST_F(DigestSearch, KnowsAGroupUnderAnotherVhid) {
    GroupConfig peer = dmz_;
    peer.vhid = Vhid{88};
    EXPECT_EQ(signed_as(signed_by(peer), groups_), &groups_.at(1));
    peer.key = key_of("nobody's");
    EXPECT_EQ(signed_as(signed_by(peer), groups_), nullptr);
}

TEST_F(DigestSearch, EndsAfterSoManyTries) {
    const GroupConfig peer = peer_with({"192.0.2.100", "192.0.2.102", "2001:db8::100"});
    EXPECT_TRUE(search(peer));
    EXPECT_FALSE(search(peer, {}, 3));
    EXPECT_FALSE(search(peer, {}, 0));
}

}  // namespace
}  // namespace carpd
