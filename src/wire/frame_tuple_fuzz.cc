// Any bytes as a frame: a tuple has two addresses of one family, and is its inverse's inverse.
#include "base/assert.h"
#include "wire/frame_tuple.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (const auto tuple = carpd::tuple_of_frame({data, size})) {
        CARPD_ASSERT(tuple->source.family() == tuple->destination.family());
        CARPD_ASSERT(tuple->inverse().inverse() == *tuple);
    }
    return 0;
}
