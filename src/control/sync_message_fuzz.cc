// Any text is a message or a refusal, and a message reads back as itself.
#include "control/sync_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carpd;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto message = parse_to_sync(text)) {
        const auto again = parse_to_sync(to_message(*message));
        CARPD_ASSERT(again && *again == *message);
    }
    if (const auto message = parse_from_sync(text)) {
        const auto again = parse_from_sync(to_message(*message));
        CARPD_ASSERT(again && *again == *message);
    }
    return 0;
}
