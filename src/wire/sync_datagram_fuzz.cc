// Any bytes as a header, a hello, regions and what they hold: never out of bounds, and what is accepted
// encodes to the same bytes.
#include <algorithm>
#include <vector>

#include "base/assert.h"
#include "wire/sync_datagram.h"

namespace {

using carpd::Bytes;

template <class T>
void check_encoding(const T& value, Bytes from) {
    std::uint8_t buffer[256];
    const std::size_t size = carpd::encode(value, buffer);
    CARPD_ASSERT(size <= from.size() && std::equal(buffer, buffer + size, from.begin()));
}

void check_contents(Bytes contents) {
    if (const auto ack = carpd::decode_ack(contents)) {
        check_encoding(*ack, contents);
        CARPD_ASSERT(ack->covers(ack->highest) && !ack->covers(ack->highest + 1));
    }
    if (const auto status = carpd::decode_status(contents)) {
        std::uint8_t again[carpd::kStatusSize];
        carpd::encode(*status, again);
        CARPD_ASSERT(carpd::decode_status(again) == status);
    }
    if (const auto digests = carpd::decode_digests(contents)) {
        std::vector<std::uint64_t> values;
        for (std::size_t i = 0; i < digests->size(); ++i) values.push_back((*digests)[i]);
        std::vector<std::uint8_t> again(contents.size());
        CARPD_ASSERT(carpd::encode_digests(digests->first, values, again) == contents.size());
        CARPD_ASSERT(std::equal(again.begin(), again.end(), contents.begin()));
        CARPD_ASSERT(digests->first + digests->size() <= carpd::kBuckets);
    }
    if (const auto ask = carpd::decode_ask(contents)) {
        std::vector<std::uint16_t> buckets;
        for (std::size_t i = 0; i < ask->size(); ++i) buckets.push_back((*ask)[i]);
        std::vector<std::uint8_t> again(contents.size());
        CARPD_ASSERT(carpd::encode_ask(buckets, again) == contents.size());
        CARPD_ASSERT(std::equal(again.begin(), again.end(), contents.begin()));
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Bytes input(data, size);
    if (const auto header = carpd::decode_sync_header(input)) {
        std::uint8_t again[carpd::kHelloHeaderSize + carpd::Aead::kTagSize] = {};
        const std::size_t written = carpd::encode(*header, again);
        CARPD_ASSERT(written == header->size() && std::equal(again + 4, again + written, input.begin() + 4));
        CARPD_ASSERT(std::equal(again, again + 2, input.begin()));
    }
    if (const auto hello = carpd::decode_hello(input)) {
        CARPD_ASSERT(carpd::HostName::from(hello->name.view()) == hello->name);
        check_encoding(*hello, input);
    }
    Bytes rest = input;
    while (const auto region = carpd::next_region(rest)) {
        CARPD_ASSERT(rest.data() == region->contents.data() + region->contents.size());
        check_contents(region->contents);
    }
    check_contents(input);
    return 0;
}
