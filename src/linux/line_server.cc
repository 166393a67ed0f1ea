#include "linux/line_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "linux/unix_socket.h"

namespace carpd {

namespace {

constexpr std::uint64_t kListener = 0;  // in place of a ClientId

bool watch(int epoll, int operation, int fd, std::uint32_t events, std::uint64_t id) {
    epoll_event event{};
    event.events = events;
    event.data.u64 = id;
    return ::epoll_ctl(epoll, operation, fd, &event) == 0;
}

// At the other end, when it connected.
std::optional<uid_t> user_at(int fd) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
    return peer.uid;
}

}  // namespace

Expected<LineServer, SysError> LineServer::open(const std::string& path, mode_t mode, std::string too_long) {
    auto listener = listen_unix(path, mode, kMaxClients);
    if (!listener) return Unexpected{listener.error()};
    auto server = inherit(std::move(*listener), path, std::move(too_long));
    if (server) server->own_file();
    return server;
}

Expected<LineServer, SysError> LineServer::inherit(UniqueFd listener, const std::string& path,
                                                   std::string too_long) {
    UniqueFd epoll(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll || !watch(epoll.get(), EPOLL_CTL_ADD, listener.get(), EPOLLIN, kListener))
        return Unexpected{SysError{"poll the socket", path, errno}};
    return LineServer(path, std::move(listener), std::move(epoll), std::move(too_long));
}

LineServer::LineServer(std::string path, UniqueFd listener, UniqueFd epoll, std::string too_long)
    : path_(std::move(path)),
      listener_(std::move(listener)),
      epoll_(std::move(epoll)),
      too_long_(std::move(too_long)) {}

void LineServer::own_file() {
    struct stat status {};
    if (::lstat(path_.c_str(), &status) != 0) return;
    device_ = status.st_dev;
    inode_ = status.st_ino;
}

LineServer::~LineServer() {
    if (!listener_) return;  // moved from
    struct stat status {};
    const bool present = ::lstat(path_.c_str(), &status) == 0;
    if (present && status.st_dev == device_ && status.st_ino == inode_) ::unlink(path_.c_str());
}

std::optional<SysError> LineServer::admit_readers(uid_t uid, gid_t gid) {
    readers_ = uid;
    if (::lchown(path_.c_str(), static_cast<uid_t>(-1), gid) == 0) return std::nullopt;
    return SysError{"give to another group", path_, errno};
}

bool LineServer::is_reader(ClientId id) const {
    const auto found = clients_.find(id);
    return found != clients_.end() && found->second.reader;
}

LineServer::Client* LineServer::find(ClientId id) {
    const auto found = clients_.find(id);
    return found == clients_.end() ? nullptr : &found->second;
}

void LineServer::wake(const OnLine& on_line) {
    epoll_event events[kMaxClients + 1];
    const int count = ::epoll_wait(epoll_.get(), events, kMaxClients + 1, 0);
    for (int i = 0; i < count; ++i) {
        const ClientId id = events[i].data.u64;
        const std::uint32_t what = events[i].events;
        if (id == kListener) {
            accept_clients();
            continue;
        }
        if ((what & EPOLLOUT) != 0) flush(id);
        if ((what & EPOLLIN) != 0)
            read_from(id, on_line);
        else if ((what & (EPOLLHUP | EPOLLERR)) != 0)
            drop(id);
        settle(id);
    }
}

void LineServer::accept_clients() {
    for (std::size_t i = 0; i < kMaxClients; ++i) {
        UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!fd) {
            // Out of descriptors, the listener would stay readable and wake us for ever.
            if (errno == EMFILE || errno == ENFILE) drop_idlest();
            return;
        }
        if (clients_.size() == kMaxClients) drop_idlest();
        const ClientId id = next_id_++;
        if (!watch(epoll_.get(), EPOLL_CTL_ADD, fd.get(), EPOLLIN, id)) continue;
        Client& client = clients_[id];
        client.fd = std::move(fd);
        client.last_active = ++activities_;
        client.polled = EPOLLIN;
        client.reader = readers_ && user_at(client.fd.get()) == readers_;
    }
}

void LineServer::drop_idlest() {
    const auto idler = [](const auto& a, const auto& b) {
        return std::pair(a.second.subscriber, a.second.last_active) <
               std::pair(b.second.subscriber, b.second.last_active);
    };
    const auto idlest = std::min_element(clients_.begin(), clients_.end(), idler);
    if (idlest != clients_.end()) clients_.erase(idlest);
}

// Lines are looked at before they are taken, so that what isn't handled now stays in the kernel's bounded
// buffer, and epoll goes on reporting it.
void LineServer::read_from(ClientId id, const OnLine& on_line) {
    Client* client = find(id);
    if (client == nullptr || client->deaf) return;
    const int fd = client->fd.get();
    char buffer[kMaxLine];
    const ssize_t seen = ::recv(fd, buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT);
    if (seen < 0) {
        if (errno != EAGAIN && errno != EINTR) drop(id);
        return;
    }
    if (seen == 0) {  // it says no more, but may still listen
        client->deaf = true;
        client->closing = !client->subscriber;
        return;
    }
    std::size_t taken = take_lines(id, {buffer, static_cast<std::size_t>(seen)}, on_line);
    while (taken > 0 && find(id) != nullptr) {
        const ssize_t count = ::recv(fd, buffer, taken, MSG_DONTWAIT);
        if (count <= 0) return drop(id);
        taken -= static_cast<std::size_t>(count);
    }
}

// Returns how many of `bytes` were dealt with.
std::size_t LineServer::take_lines(ClientId id, std::string_view bytes, const OnLine& on_line) {
    std::size_t taken = 0;
    for (int lines = 0; lines < kMaxLinesPerWake && taken < bytes.size(); ++lines) {
        Client* client = find(id);
        if (client == nullptr || client->deaf || client->in_line || client->unsent_size() > 0) break;
        const std::size_t end = bytes.find('\n', taken);
        const std::string_view part = bytes.substr(taken, end - taken);
        if (client->half_line.size() + part.size() > kMaxLine) {
            send(id, too_long_);
            close_after_flush(id);
            return bytes.size();
        }
        client->half_line += part;
        if (end == std::string_view::npos) return bytes.size();
        taken = end + 1;
        client->last_active = ++activities_;
        on_line(id, std::exchange(client->half_line, {}));
    }
    return taken;
}

void LineServer::send(ClientId id, std::string_view line) {
    append(id, line, true);
}

void LineServer::send_part(ClientId id, std::string_view part) {
    append(id, part, false);
}

void LineServer::append(ClientId id, std::string_view text, bool ends_line) {
    Client* client = find(id);
    if (client == nullptr || (client->closing && !client->in_line)) return;
    if (client->unsent_size() > kMaxUnsent) return drop(id);
    client->unsent += text;
    if (ends_line) client->unsent += '\n';
    client->in_line = !ends_line;
    flush(id);
    settle(id);
}

std::size_t LineServer::unsent(ClientId id) const {
    const auto found = clients_.find(id);
    return found == clients_.end() ? 0 : found->second.unsent_size();
}

void LineServer::close_after_flush(ClientId id) {
    Client* client = find(id);
    if (client == nullptr) return;
    client->deaf = client->closing = true;
    settle(id);
}

void LineServer::subscribe(ClientId id) {
    if (Client* client = find(id)) client->subscriber = true;
}

void LineServer::flush(ClientId id) {
    Client* client = find(id);
    while (client != nullptr && client->unsent_size() > 0) {
        const std::string_view rest = std::string_view(client->unsent).substr(client->unsent_from);
        const ssize_t count = ::send(client->fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno != EAGAIN) return drop(id);
        if (count < 0) break;
        client->unsent_from += static_cast<std::size_t>(count);
    }
    // Forget what was sent, but don't move the rest about for every few bytes of it.
    if (client != nullptr && client->unsent_from > client->unsent.size() / 2) {
        client->unsent.erase(0, client->unsent_from);
        client->unsent_from = 0;
        if (client->unsent.empty()) client->unsent.shrink_to_fit();
    }
}

// Makes epoll watch for what the client can do next, or lets it go if it is done.
void LineServer::settle(ClientId id) {
    Client* client = find(id);
    if (client == nullptr) return;
    const bool waiting = client->unsent_size() > 0;
    if (client->closing && !waiting && !client->in_line) return drop(id);
    std::uint32_t wanted = client->deaf || client->in_line ? 0u : EPOLLIN;
    if (waiting) wanted = EPOLLOUT;
    if (wanted == client->polled) return;
    if (!watch(epoll_.get(), EPOLL_CTL_MOD, client->fd.get(), wanted, id)) return drop(id);
    client->polled = wanted;
}

void LineServer::drop(ClientId id) {
    clients_.erase(id);
}

}  // namespace carpd
