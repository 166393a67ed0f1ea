// Any text is a configuration, or what is to do is said; what counts as complete is taken by carpd's parser.
#include <iterator>

#include "config/config.h"
#include "import/import.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carpd;
    if (size == 0) return 0;
    // The first byte chooses the kind, and so does the name that ucarp's files have.
    const auto kind = static_cast<ImportKind>(data[0] % std::size(kImportKinds));
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    const char* name = data[0] % 2 == 0 ? "vip-001.conf" : "file";
    const auto imported = import_files({{name, text}, {"vip-common.conf", text}}, kind);
    if (!imported) return 0;
    if (imported->is_complete) CARPD_ASSERT(parse_config(imported->toml, "/").has_value());
    for (const char c : imported->report()) CARPD_ASSERT(c == '\n' || static_cast<unsigned char>(c) >= ' ');
    return 0;
}
