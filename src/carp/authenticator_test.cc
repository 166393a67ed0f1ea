#include "carp/authenticator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/captures/captures.h"

namespace carpd {
namespace {

using captures::Vector;
using testing::ElementsAreArray;

Authenticator authenticator_of(const Vector& v) {
    return {v.key(), Vhid{v.vhid}, v.interface_addresses()};
}

Sha1Digest digest_of(const Vector& v) {
    Sha1Digest digest;
    std::copy(v.digest.begin(), v.digest.end(), digest.begin());
    return digest;
}

TEST(Authenticator, SignsEveryVectorThatWeWouldSend) {
    for (const char* id : {"TV1", "TV2", "TV3", "TV4", "TV6", "TV7", "TV8", "TV9"}) {
        SCOPED_TRACE(id);
        const Vector v = captures::vector(id);
        EXPECT_THAT(authenticator_of(v).sign(v.counter), ElementsAreArray(v.digest));
        EXPECT_TRUE(authenticator_of(v).verify(v.counter, digest_of(v)));
    }
}

TEST(Authenticator, AcceptsADigestThatCoversLinkLocalAddressesButSendsNone) {
    const Vector with = captures::vector("TV5");
    EXPECT_TRUE(authenticator_of(with).verify(with.counter, digest_of(with)));
    EXPECT_NE(authenticator_of(with).sign(with.counter), digest_of(with));
}

TEST(Authenticator, RefusesAHashedInterfaceAddress) {
    const Vector v = captures::vector("TV10");
    EXPECT_FALSE(authenticator_of(v).verify(v.counter, digest_of(v)));
}

TEST(Authenticator, RefusesUnsortedAddresses) {
    const Vector v = captures::vector("TV11");
    EXPECT_FALSE(authenticator_of(v).verify(v.counter, digest_of(v)));
}

TEST(Authenticator, TheOrderOfTheAddressListDoesNotMatter) {
    Vector v = captures::vector("TV3");
    std::sort(v.addresses.begin(), v.addresses.end());
    do EXPECT_THAT(authenticator_of(v).sign(v.counter), ElementsAreArray(v.digest));
    while (std::next_permutation(v.addresses.begin(), v.addresses.end()));
}

TEST(Authenticator, Ipv4GoesBeforeIpv6) {
    Vector v = captures::vector("TV6");
    std::reverse(v.addresses.begin(), v.addresses.end());
    EXPECT_THAT(authenticator_of(v).sign(v.counter), ElementsAreArray(v.digest));
}

TEST(Authenticator, PrefixLengthsAreNotHashed) {
    const Vector v = captures::vector("TV3");
    std::vector<InterfaceAddress> addresses = v.interface_addresses();
    for (InterfaceAddress& a : addresses) a.prefix_length = 24;
    EXPECT_THAT(Authenticator(v.key(), Vhid{v.vhid}, addresses).sign(v.counter), ElementsAreArray(v.digest));
}

TEST(Authenticator, EverythingThatIsHashedMatters) {
    const Vector good = captures::vector("TV3");
    const Sha1Digest digest = digest_of(good);

    Vector other = good;
    other.password = "mekmitasdigoa";  // what NetBSD's ifconfig makes of it
    EXPECT_FALSE(authenticator_of(other).verify(good.counter, digest)) << "password";
    other = good;
    other.vhid = 11;
    EXPECT_FALSE(authenticator_of(other).verify(good.counter, digest)) << "vhid";
    other = good;
    other.addresses.pop_back();
    EXPECT_FALSE(authenticator_of(other).verify(good.counter, digest)) << "one address less";
    other = good;
    other.addresses.push_back(IpAddress::parse("10.0.0.4").value());
    EXPECT_FALSE(authenticator_of(other).verify(good.counter, digest)) << "one address more";
    EXPECT_FALSE(authenticator_of(good).verify(good.counter + 1, digest)) << "counter";
}

}  // namespace
}  // namespace carpd
