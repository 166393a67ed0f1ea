#include "linux/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "linux/unique_fd.h"

namespace carpd {

namespace {

constexpr std::size_t kMostRead = 1 << 20;

Unexpected<SysError> failed(const char* operation, const std::string& path) {
    return Unexpected{SysError{operation, path, errno}};
}

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        if (count < 0) return false;
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

}  // namespace

std::string state_file(const std::string& control, const std::string& kind) {
    const char* const given = std::getenv("STATE_DIRECTORY");
    std::string name = control.substr(control.find_first_not_of('/'));
    std::replace(name.begin(), name.end(), '/', '-');
    return std::string(given != nullptr && *given != '\0' ? given : "/var/lib/carpd") + "/" + name + "." +
           kind;
}

Expected<std::string, SysError> read_state(const std::string& path) {
    // A pipe would keep us for ever.
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW));
    if (!fd && errno == ENOENT) return std::string();
    if (!fd) return failed("open", path);
    std::string text;
    char buffer[65536];
    for (ssize_t count; (count = ::read(fd.get(), buffer, sizeof buffer)) != 0;) {
        if (count < 0) return failed("read", path);
        text.append(buffer, static_cast<std::size_t>(count));
        if (text.size() <= kMostRead) continue;
        errno = EFBIG;
        return failed("read", path);
    }
    return text;
}

Expected<bool, SysError> write_state(const std::string& path, const std::string& text) {
    if (text.empty()) {
        if (::unlink(path.c_str()) != 0 && errno != ENOENT) return failed("remove", path);
        return true;
    }
    std::error_code ignored;  // opening says what is wrong
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
    const std::string next = path + ".next";
    UniqueFd fd(::open(next.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644));
    if (!fd) return failed("write", next);
    const bool is_written = write_all(fd.get(), text);
    if (is_written && ::rename(next.c_str(), path.c_str()) == 0) return true;
    const int error = errno;
    ::unlink(next.c_str());
    errno = error;
    return failed("write", path);
}

}  // namespace carpd
