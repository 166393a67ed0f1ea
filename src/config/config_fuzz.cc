// Any text is a configuration or a list of errors, each of which can be shown.
#include "config/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carpd;
    const auto file = parse_config({reinterpret_cast<const char*>(data), size}, "/nonexistent");
    if (file) {
        CARPD_ASSERT(!file->config.groups.empty());
        for (const ConfigError& warning : file->warnings) CARPD_ASSERT(!warning.to_string("f").empty());
        return 0;
    }
    CARPD_ASSERT(!file.error().empty());
    for (const ConfigError& error : file.error())
        CARPD_ASSERT(error.to_string("f").find('\n') == std::string::npos);
    return 0;
}
