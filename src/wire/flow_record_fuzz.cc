// Any bytes as records of flows: never out of bounds, and what is accepted encodes to the same bytes.
#include <algorithm>

#include "base/assert.h"
#include "wire/flow_record.h"

namespace {

template <class T>
void check_encoding(const T& value, carpd::Bytes before, carpd::Bytes after) {
    std::uint8_t buffer[carpd::kLongestIdentity];
    const std::size_t size = carpd::encode(value, buffer);
    CARPD_ASSERT(size == before.size() - after.size());
    CARPD_ASSERT(std::equal(buffer, buffer + size, before.begin()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    carpd::Bytes rest(data, size);
    while (true) {
        carpd::Bytes before = rest;
        const auto header = carpd::decode_record_header(rest);
        if (!header) return 0;
        check_encoding(*header, before, rest);
        if (header->kind == carpd::RecordKind::full) {
            before = rest;
            const auto identity = carpd::decode_identity(rest);
            if (!identity) return 0;
            check_encoding(*identity, before, rest);
        }
        if (header->kind != carpd::RecordKind::end) {
            before = rest;
            const auto state = carpd::decode_state(rest);
            if (!state) return 0;
            check_encoding(*state, before, rest);
        }
    }
}
