#include "wire/advertisement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/captures/captures.h"
#include "wire/checksum.h"

namespace carpd {
namespace {

using captures::Vector;
using testing::ElementsAreArray;

Advertisement advertisement_of(const Vector& v) {
    Advertisement a{v.vhid, v.advskew, v.demote, v.advbase, v.counter, {}};
    std::copy(v.digest.begin(), v.digest.end(), a.digest.begin());
    return a;
}

std::vector<Vector> vectors_with_header() {
    std::vector<Vector> all = captures::vectors();
    std::erase_if(all, [](const Vector& v) { return v.header.empty(); });
    EXPECT_EQ(all.size(), 9u);
    return all;
}

void fill_checksum(std::vector<std::uint8_t>& payload, std::size_t size) {
    payload[6] = payload[7] = 0;
    ByteWriter(std::span(payload).subspan(6)).u16(checksum(Bytes(payload).first(size)));
}

std::vector<std::uint8_t> valid() {
    return captures::vector("TV1").header;
}

// TV1 with one byte changed and the checksum made right again.
std::vector<std::uint8_t> valid_but(std::size_t offset, std::uint8_t value) {
    std::vector<std::uint8_t> payload = valid();
    payload[offset] = value;
    fill_checksum(payload, kAdvertisementSize);
    return payload;
}

// The reason, or nothing if it is accepted.
std::optional<DropReason> refusal(Bytes payload) {
    const auto result = decode_advertisement(payload);
    if (result) return std::nullopt;
    return result.error();
}

TEST(Advertisement, EveryVectorEncodes) {
    for (const Vector& v : vectors_with_header()) {
        SCOPED_TRACE(v.id);
        EXPECT_THAT(encode(advertisement_of(v)), ElementsAreArray(v.header));
    }
}

TEST(Advertisement, EveryVectorDecodes) {
    for (const Vector& v : vectors_with_header()) {
        SCOPED_TRACE(v.id);
        const auto decoded = decode_advertisement(v.header);
        ASSERT_TRUE(decoded);
        EXPECT_EQ(*decoded, advertisement_of(v));
        EXPECT_EQ(decoded->is_bow_out(), v.id == "TV8");
    }
}

TEST(Advertisement, EveryLength) {
    std::vector<std::uint8_t> payload = valid();
    for (std::uint8_t i = 0; payload.size() < 80; ++i) payload.push_back(0xa0 + i);
    for (std::size_t size = 0; size <= payload.size(); ++size) {
        const Bytes bytes = Bytes(payload).first(size);
        if (size < kAdvertisementSize)
            EXPECT_EQ(refusal(bytes), DropReason::bad_length) << size;
        else
            EXPECT_EQ(refusal(bytes), std::nullopt) << size;  // what trails is ignored
    }
}

TEST(Advertisement, NoSingleBitErrorIsAccepted) {
    for (const Vector& v : vectors_with_header())
        for (std::size_t bit = 0; bit < 8 * kAdvertisementSize; ++bit) {
            std::vector<std::uint8_t> payload = v.header;
            payload[bit / 8] ^= static_cast<std::uint8_t>(0x80 >> bit % 8);
            DropReason expected = DropReason::bad_checksum;
            if (bit < 4) expected = payload[0] >> 4 == 3 ? DropReason::vrrp3 : DropReason::bad_version;
            if (payload[3] == 5) expected = DropReason::vrrp2;  // five addresses: 36 bytes as well
            EXPECT_EQ(refusal(payload), expected) << v.id << " bit " << bit;
        }
}

TEST(Advertisement, FieldsThatMustHaveOneValue) {
    for (unsigned version = 0; version < 16; ++version) {
        const auto payload = valid_but(0, static_cast<std::uint8_t>(version << 4 | 1));
        if (version == 2)
            EXPECT_EQ(refusal(payload), std::nullopt);
        else
            EXPECT_EQ(refusal(payload), version == 3 ? DropReason::vrrp3 : DropReason::bad_version)
                << version;
    }
    for (std::uint8_t type : std::initializer_list<std::uint8_t>{0, 2, 3, 15})
        EXPECT_EQ(refusal(valid_but(0, 0x20 | type)), DropReason::bad_type) << int{type};
    for (std::uint8_t authlen : std::initializer_list<std::uint8_t>{0, 1, 6, 8, 255})
        EXPECT_EQ(refusal(valid_but(3, authlen)), DropReason::bad_authlen) << int{authlen};
}

TEST(Advertisement, OtherFieldsMayHaveAnyValue) {
    for (std::size_t offset : {1u, 2u, 4u, 5u, 8u, 15u, 16u, 35u})
        for (unsigned value = 0; value < 256; ++value) {
            const auto payload = valid_but(offset, static_cast<std::uint8_t>(value));
            const auto decoded = decode_advertisement(payload);
            ASSERT_TRUE(decoded) << offset << " " << value;
            EXPECT_THAT(encode(*decoded), ElementsAreArray(payload));
        }
}

std::vector<std::uint8_t> vrrp2(std::uint8_t address_count, std::uint8_t authentication = 0) {
    std::vector<std::uint8_t> payload = {0x21, 7, 100, address_count, authentication != 0, 1, 0, 0};
    for (std::uint8_t i = 0; i < address_count; ++i) payload.insert(payload.end(), {192, 0, 2, i});
    payload.insert(payload.end(), 8, authentication);
    fill_checksum(payload, payload.size());
    return payload;
}

TEST(Advertisement, Vrrp2IsToldApartWhateverItsAddressCount) {
    for (std::uint8_t count = 1; count <= 12; ++count) {
        EXPECT_EQ(refusal(vrrp2(count)), DropReason::vrrp2) << int{count};
        EXPECT_EQ(refusal(vrrp2(count, 'x')), DropReason::vrrp2) << int{count};
    }
}

TEST(Advertisement, EightTrailingBytesDoNotMakeItVrrp2) {
    std::vector<std::uint8_t> payload = valid();
    payload.insert(payload.end(), 8, 0x55);
    EXPECT_EQ(refusal(payload), std::nullopt);
}

TEST(Advertisement, Vrrp3IsToldApart) {
    for (std::size_t count = 1; count <= 12; ++count) {
        std::vector<std::uint8_t> payload = {0x31, 7,   100,  static_cast<std::uint8_t>(count),
                                             0,    100, 0x12, 0x34};
        payload.resize(8 + 4 * count, 10);
        EXPECT_EQ(refusal(payload), DropReason::vrrp3) << count;
    }
}

TEST(DropReason, EveryOneHasItsName) {
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < kDropReasonCount; ++i) names.insert(to_string(static_cast<DropReason>(i)));
    EXPECT_EQ(names.size(), kDropReasonCount);
    EXPECT_EQ(to_string(DropReason::bad_interface), "bad_interface");
    EXPECT_EQ(to_string(DropReason::vrrp3), "vrrp3");
    EXPECT_EQ(to_string(DropReason::own_advert), "own_advert");
    EXPECT_EQ(static_cast<std::size_t>(DropReason::own_advert) + 1, kDropReasonCount);
}

}  // namespace
}  // namespace carpd
