// Any text is a message or a refusal, and a message reads back as itself.
#include "control/helper_message.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carpd;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    if (const auto message = parse_engine_message(text)) {
        const auto again = parse_engine_message(to_message(*message));
        CARPD_ASSERT(again && *again == *message);
    }
    if (const auto message = parse_helper_message(text)) {
        const auto again = parse_helper_message(to_message(*message));
        CARPD_ASSERT(again && *again == *message);
    }
    return 0;
}
