// `carpctl import`: reads the files and writes what import/ makes of them.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "carpctl/commands.h"
#include "import/import.h"

namespace carpd {

namespace {

Unexpected<Failure> failed(const std::string& file, std::string_view why) {
    return Unexpected{Failure{kFailed, fmt::format("{}: {}", file, why)}};
}

Expected<ImportFile, Failure> read_file(const std::string& name) {
    std::error_code error;
    // A pipe or a device would keep us for ever.
    if (!std::filesystem::is_regular_file(name, error))
        return failed(name, error ? error.message() : "it is not a regular file");
    errno = 0;
    std::ifstream stream(name, std::ios::binary);
    std::string text(kMaxImportSize + 1, '\0');  // one byte more, to be refused
    if (stream) stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!stream.is_open() || stream.bad())
        return failed(name, fmt::format("it cannot be read: {}", std::strerror(errno)));
    text.resize(static_cast<std::size_t>(stream.gcount()));
    return ImportFile{name, std::move(text)};
}

// Only the owner may read it, for there are passwords in it. A file that exists stays unless `force`; a new
// one takes its place when it is complete.
Expected<bool, Failure> write_file(const std::string& name, const std::string& text, bool force) {
    if (std::filesystem::exists(std::filesystem::symlink_status(name)) && !force)
        return failed(name, "it exists already; --force overwrites it");
    std::string temporary = name + ".XXXXXX";
    const int fd = mkstemp(temporary.data());
    if (fd < 0) return failed(name, fmt::format("it cannot be written: {}", std::strerror(errno)));
    std::FILE* file = fdopen(fd, "w");
    errno = 0;
    const bool is_written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    const bool is_closed = std::fclose(file) == 0;
    // link() fails where there is such a file by now.
    const bool is_there = is_written && is_closed &&
                          (force ? std::rename(temporary.c_str(), name.c_str()) == 0
                                 : link(temporary.c_str(), name.c_str()) == 0);
    const int error = errno;
    unlink(temporary.c_str());
    if (!is_there) return failed(name, fmt::format("it cannot be written: {}", std::strerror(error)));
    return true;
}

}  // namespace

ExitCode import_command(const ImportOrder& order) {
    std::vector<ImportFile> files;
    for (const std::string& name : order.files) {
        auto file = read_file(name);
        if (!file) return report(file.error());
        files.push_back(std::move(*file));
    }
    const auto imported = import_files(files, parse_import_kind(order.from));
    if (!imported) return report({kFailed, imported.error()});
    if (order.output.empty())
        fmt::print("{}", imported->toml);
    else if (const auto written = write_file(order.output, imported->toml, order.force); !written)
        return report(written.error());
    fmt::print(stderr, "{}", imported->report());
    return imported->is_complete ? kOk : kFailed;
}

}  // namespace carpd
