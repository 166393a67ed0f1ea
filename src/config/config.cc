#include "config/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace carpd {

namespace {

namespace fs = std::filesystem;

Unexpected<ConfigErrors> unreadable(std::string message, std::string hint = {}) {
    return Unexpected{ConfigErrors{{{}, std::move(message), std::move(hint)}}};
}

}  // namespace

std::string ConfigError::to_string(std::string_view file) const {
    std::string text(file);
    if (at.line != 0) text += fmt::format(":{}:{}", at.line, at.column);
    text += ": " + message;
    if (!hint.empty()) text += "; " + hint;
    // What the file says may be quoted here, and goes to terminals and logs.
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
    std::replace_if(text.begin(), text.end(), is_control, '?');
    return text;
}

Expected<ConfigFile, ConfigErrors> load_config(const std::string& path, InterfaceNames interfaces) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status))
        return unreadable("there is no such file", "see carpd.toml(5) for how to write it");
    if (error) return unreadable(fmt::format("it cannot be read: {}", error.message()));
    // A pipe or /dev/zero would keep us for ever.
    if (!fs::is_regular_file(status)) return unreadable("it is not a regular file");
    errno = 0;
    std::ifstream stream(path, std::ios::binary);
    std::string text(kMaxConfigSize + 1, '\0');
    if (stream) stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!stream.is_open() || stream.bad())
        return unreadable(fmt::format("it cannot be read: {}", std::strerror(errno)));
    text.resize(static_cast<std::size_t>(stream.gcount()));

    auto file = parse_config(text, fs::path(path).parent_path().string(), std::move(interfaces));
    const bool open_to_all = (status.permissions() & fs::perms::others_read) != fs::perms::none;
    if (file && file->holds_secret && open_to_all)
        file->warnings.insert(
            file->warnings.begin(),
            {{}, "it contains a password or key and can be read by everybody", "chmod o-r it"});
    return file;
}

}  // namespace carpd
