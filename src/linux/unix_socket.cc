#include "linux/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/assert.h"

namespace carpd {

namespace {

Unexpected<SysError> failed(std::string operation, const std::string& path, int error) {
    return Unexpected{SysError{std::move(operation), path, error}};
}

sockaddr_un address_of(const std::string& path) {
    CARPD_ASSERT(path.size() < sizeof(sockaddr_un::sun_path));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

UniqueFd stream_socket() {
    return UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

const sockaddr* generic(const sockaddr_un& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

// Removes a socket file on which nobody listens. Returns 0, or why the path can't be had.
int make_room(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return errno == ENOENT ? 0 : errno;
    if (!S_ISSOCK(status.st_mode)) return EEXIST;
    const sockaddr_un address = address_of(path);
    const UniqueFd probe = stream_socket();
    if (!probe) return errno;
    // Anything but a refusal means that somebody has it: EAGAIN is a full queue, EACCES another user's.
    if (::connect(probe.get(), generic(address), sizeof address) == 0) return EADDRINUSE;
    if (errno != ECONNREFUSED) return EADDRINUSE;
    return ::unlink(path.c_str()) == 0 ? 0 : errno;
}

// Binds so that the file never has another mode than `mode`, not even for a moment.
int bind_with_mode(int fd, const std::string& path, mode_t mode) {
    const sockaddr_un address = address_of(path);
    const mode_t saved = ::umask(~mode & 0777);
    const int error = ::bind(fd, generic(address), sizeof address) == 0 ? 0 : errno;
    ::umask(saved);
    return error;
}

}  // namespace

Expected<UniqueFd, SysError> listen_unix(const std::string& path, mode_t mode, int backlog) {
    if (path.size() >= sizeof(sockaddr_un::sun_path)) return failed("listen at", path, ENAMETOOLONG);
    const auto directory = std::filesystem::path(path).parent_path();
    std::error_code error;
    if (!directory.empty()) std::filesystem::create_directories(directory, error);
    if (error) return failed("make the directory", directory.string(), error.value());
    if (const int reason = make_room(path)) return failed("listen at", path, reason);

    UniqueFd listener = stream_socket();
    if (!listener) return failed("open a Unix socket", "", errno);
    if (const int reason = bind_with_mode(listener.get(), path, mode))
        return failed("listen at", path, reason);
    if (::listen(listener.get(), backlog) != 0) return failed("listen at", path, errno);
    return listener;
}

Expected<UniqueFd, SysError> connect_unix(const std::string& path) {
    if (path.size() >= sizeof(sockaddr_un::sun_path)) return failed("connect to", path, ENAMETOOLONG);
    const sockaddr_un address = address_of(path);
    UniqueFd fd = stream_socket();
    if (!fd) return failed("open a Unix socket", "", errno);
    if (::connect(fd.get(), generic(address), sizeof address) != 0) return failed("connect to", path, errno);
    return fd;
}

void remove_abandoned_socket(const std::string& path) {
    make_room(path);
}

}  // namespace carpd
