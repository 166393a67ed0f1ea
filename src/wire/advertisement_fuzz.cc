// Any bytes as an advertisement: never out of bounds, and what is accepted encodes to the same bytes.
#include <algorithm>

#include "base/assert.h"
#include "wire/advertisement.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const carpd::Bytes input(data, size);
    if (const auto advertisement = carpd::decode_advertisement(input)) {
        const carpd::AdvertisementBytes encoded = carpd::encode(*advertisement);
        CARPD_ASSERT(std::equal(encoded.begin(), encoded.begin() + 6, input.begin()));
        CARPD_ASSERT(std::equal(encoded.begin() + 8, encoded.end(), input.begin() + 8));
        CARPD_ASSERT(carpd::decode_advertisement(encoded).value() == *advertisement);
    }
    return 0;
}
