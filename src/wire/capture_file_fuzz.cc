// Any bytes as a capture: frames lie within the file, in its order, and what is read of them lies within
// them.
#include "base/assert.h"
#include "wire/link_frame.h"

namespace carpd {
namespace {

bool is_within(Bytes part, Bytes whole) {
    return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

void read(Bytes file) {
    CaptureReader reader(file);
    const std::uint8_t* end = file.data();
    while (const auto frame = reader.next()) {
        CARPD_ASSERT(!reader.fault());
        CARPD_ASSERT(is_within(frame->bytes, file) && frame->bytes.data() >= end);
        end = frame->bytes.data() + frame->bytes.size();
        if (const auto carp = carp_in_frame(frame->link, frame->bytes)) {
            CARPD_ASSERT(is_readable(frame->link) && is_within(carp->ip, frame->bytes));
            CARPD_ASSERT(carp->vlan < 4096);
        }
    }
    CARPD_ASSERT(!reader.next());  // and so it stays
}

}  // namespace
}  // namespace carpd

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    carpd::read({data, size});
    return 0;
}
