#include "lab/ftp.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "lab/error.h"

namespace carpd::lab {

namespace {

constexpr std::uint16_t kControl = 21, kData = 20;
constexpr timeval kPatience{10, 0};

SocketAddress ipv4(std::uint32_t address, std::uint16_t port) {
    const std::uint8_t bytes[] = {
        static_cast<std::uint8_t>(address >> 24), static_cast<std::uint8_t>(address >> 16),
        static_cast<std::uint8_t>(address >> 8), static_cast<std::uint8_t>(address)};
    return SocketAddress(IpAddress::from_bytes(bytes), port);
}

// The socket's own end.
sockaddr_in own(int socket) {
    sockaddr_in address{};
    socklen_t length = sizeof address;
    check(getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length), "getsockname");
    return address;
}

UniqueFd bound(UniqueFd socket, const SocketAddress& address) {
    const int on = 1;
    check(setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
    check(bind(socket.get(), address.get(), address.size), "bind");
    return socket;
}

UniqueFd listening(UniqueFd socket, const SocketAddress& address) {
    UniqueFd result = bound(std::move(socket), address);
    check(listen(result.get(), 16), "listen");
    return result;
}

// "10,0,0,9,195,80" of a PORT, or of the answer to a PASV.
std::optional<std::pair<std::uint32_t, std::uint16_t>> parse_numbers(const std::string& text) {
    unsigned n[6];
    if (std::sscanf(text.c_str(), "%u,%u,%u,%u,%u,%u", n, n + 1, n + 2, n + 3, n + 4, n + 5) != 6) return {};
    return {{n[0] << 24 | n[1] << 16 | n[2] << 8 | n[3], static_cast<std::uint16_t>(n[4] << 8 | n[5])}};
}

std::string numbers(const sockaddr_in& address) {
    std::string dotted = inet_ntoa(address.sin_addr);
    std::replace(dotted.begin(), dotted.end(), '.', ',');
    const unsigned port = ntohs(address.sin_port);
    return fmt::format("{},{},{}", dotted, port >> 8, port & 0xff);
}

// "|1|10.0.0.9|50000|" of an EPRT.
std::optional<std::pair<std::uint32_t, std::uint16_t>> parse_extended(const std::string& text) {
    char address[16];
    unsigned port;
    in_addr in;
    if (std::sscanf(text.c_str(), "|1|%15[0-9.]|%u|", address, &port) != 2 || inet_aton(address, &in) == 0)
        return {};
    return {{ntohl(in.s_addr), static_cast<std::uint16_t>(port)}};
}

}  // namespace

// ---- FtpServer

FtpServer::FtpServer(Host& host)
    : control_(listening(host.space().socket(AF_INET, SOCK_STREAM, 0), ipv4(INADDR_ANY, kControl))),
      loop_(host.space()) {
    const auto lock = loop_.lock();
    loop_.watch(control_.get(), EPOLLIN, [this] { accept_client(); });
}

void FtpServer::accept_client() {
    UniqueFd socket(accept4(control_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) return;
    const int fd = socket.get();
    Client& client = clients_[fd] = Client{std::move(socket)};
    loop_.watch(fd, EPOLLIN, [this, &client] { hear(client); });
    say(client, "220 ready");
}

void FtpServer::say(const Client& client, const std::string& line) const {
    const std::string text = line + "\r\n";
    send(client.control.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

void FtpServer::hear(Client& client) {
    char buffer[1024];
    const ssize_t size = recv(client.control.get(), buffer, sizeof buffer, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
        for (const UniqueFd* socket : {&client.control, &client.passive, &client.data})
            if (*socket) loop_.forget(socket->get());
        clients_.erase(client.control.get());
        return;
    }
    client.unread.append(buffer, static_cast<std::size_t>(size));
    for (std::size_t end; (end = client.unread.find("\r\n")) != std::string::npos;) {
        const std::string line = client.unread.substr(0, end);
        client.unread.erase(0, end + 2);
        obey(client, line);
    }
}

void FtpServer::obey(Client& client, const std::string& line) {
    const std::string command = line.substr(0, line.find(' '));
    const std::string rest = line.substr(std::min(line.size(), command.size() + 1));
    if (command == "USER") return say(client, "331 password, please");
    if (command == "PASS") return say(client, "230 welcome");
    if (command == "PASV" || command == "EPSV") return listen_for_data(client, command == "EPSV");
    if (command == "RETR") return retrieve(client, std::stoull(rest));
    if (command != "PORT" && command != "EPRT") return say(client, "502 unknown");
    const auto address = command == "PORT" ? parse_numbers(rest) : parse_extended(rest);
    if (!address) return say(client, "501 no address");
    client.active = static_cast<std::uint64_t>(address->first) << 16 | address->second;
    say(client, "200 as you like");
}

void FtpServer::listen_for_data(Client& client, bool extended) {
    if (client.passive) loop_.forget(client.passive.get());
    const sockaddr_in here = own(client.control.get());
    client.passive = listening(UniqueFd(check(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")),
                               ipv4(ntohl(here.sin_addr.s_addr), 0));
    const sockaddr_in there = own(client.passive.get());
    say(client, extended ? fmt::format("229 (|||{}|)", ntohs(there.sin_port))
                         : fmt::format("227 ({})", numbers(there)));
}

void FtpServer::retrieve(Client& client, std::uint64_t size) {
    client.left = size;
    client.pattern = {};
    say(client, "150 here it comes");
    if (!client.active) {
        loop_.watch(client.passive.get(), EPOLLIN, [this, &client] { accept_data(client); });
        return;
    }
    client.data =
        bound(UniqueFd(check(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket")),
              ipv4(ntohl(own(client.control.get()).sin_addr.s_addr), kData));
    const SocketAddress address =
        ipv4(static_cast<std::uint32_t>(*client.active >> 16), static_cast<std::uint16_t>(*client.active));
    client.active.reset();
    if (connect(client.data.get(), address.get(), address.size) != 0 && errno != EINPROGRESS)
        return say(client, "425 no way to there");
    loop_.watch(client.data.get(), EPOLLOUT, [this, &client] { send_data(client); });
}

void FtpServer::accept_data(Client& client) {
    client.data = UniqueFd(accept4(client.passive.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    loop_.forget(client.passive.get());
    client.passive = UniqueFd();
    if (client.data) loop_.watch(client.data.get(), EPOLLOUT, [this, &client] { send_data(client); });
}

void FtpServer::send_data(Client& client) {
    std::uint8_t buffer[64 * 1024];
    const std::span piece(buffer, std::min(client.left, sizeof buffer));
    client.pattern.fill(piece);
    const ssize_t sent = send(client.data.get(), piece.data(), piece.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) return;
    if (sent > 0) {
        client.pattern.advance(static_cast<std::size_t>(sent));
        client.left -= static_cast<std::size_t>(sent);
        if (client.left > 0) return;
    }
    loop_.forget(client.data.get());
    client.data = UniqueFd();
    say(client, sent < 0 ? "426 the connection broke" : "226 that was all");
}

// ---- FtpClient

FtpClient::FtpClient(Host& client, const std::string& server)
    : host_(client),
      server_(server),
      control_(connect_to(SocketAddress(IpAddress::parse(server).value(), kControl))) {
    answer("220");
    ask("USER anonymous", "331");
    ask("PASS guest@", "230");
}

UniqueFd FtpClient::connect_to(const SocketAddress& there) const {
    UniqueFd socket = host_.space().socket(AF_INET, SOCK_STREAM, 0);
    for (int which : {SO_SNDTIMEO, SO_RCVTIMEO})
        check(setsockopt(socket.get(), SOL_SOCKET, which, &kPatience, sizeof kPatience), "patience");
    check(connect(socket.get(), there.get(), there.size), "an FTP connection through the firewall");
    return socket;
}

std::string FtpClient::answer(const char* expected) {
    std::size_t end;
    while ((end = unread_.find("\r\n")) == std::string::npos) {
        char buffer[1024];
        const int size =
            check(static_cast<int>(recv(control_.get(), buffer, sizeof buffer, 0)), "FTP's answer");
        if (size == 0) fail("the FTP server closed the control connection");
        unread_.append(buffer, static_cast<std::size_t>(size));
    }
    std::string line = unread_.substr(0, end);
    unread_.erase(0, end + 2);
    if (!line.starts_with(expected)) fail("the FTP server said \"{}\" instead of {}", line, expected);
    return line;
}

std::string FtpClient::ask(const std::string& command, const char* expected) {
    const std::string text = command + "\r\n";
    check(static_cast<int>(send(control_.get(), text.data(), text.size(), MSG_NOSIGNAL)), "asking by FTP");
    return answer(expected);
}

void FtpClient::prepare(Mode mode) {
    listener_ = UniqueFd();
    if (mode == Mode::port || mode == Mode::eprt) {
        listener_ = listening(host_.space().socket(AF_INET, SOCK_STREAM, 0),
                              ipv4(ntohl(own(control_.get()).sin_addr.s_addr), 0));
        const sockaddr_in here = own(listener_.get());
        ask(mode == Mode::port
                ? "PORT " + numbers(here)
                : fmt::format("EPRT |1|{}|{}|", inet_ntoa(here.sin_addr), ntohs(here.sin_port)),
            "200");
    } else if (mode == Mode::pasv) {
        const std::string told = ask("PASV", "227");
        const auto address = parse_numbers(told.substr(told.find('(') + 1)).value();
        there_ = ipv4(address.first, address.second);
    } else {
        const std::string told = ask("EPSV", "229");
        const int port = std::stoi(told.substr(told.find("|||") + 3));
        there_ = SocketAddress(IpAddress::parse(server_).value(), static_cast<std::uint16_t>(port));
    }
}

void FtpClient::open(std::uint64_t size) {
    left_ = size;
    pattern_ = {};
    ask(fmt::format("RETR {}", size), "150");
    if (listener_) {
        check(setsockopt(listener_.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience), "patience");
        data_ = UniqueFd(
            check(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC), "FTP's data connection"));
        listener_ = UniqueFd();
    } else {
        data_ = connect_to(there_.value());
    }
    pollfd first{data_.get(), POLLIN, 0};
    if (poll(&first, 1, static_cast<int>(kPatience.tv_sec * 1000)) != 1) fail("nothing comes by FTP");
}

bool FtpClient::finish() {
    std::uint8_t buffer[64 * 1024];
    check(setsockopt(data_.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience), "patience");
    while (left_ > 0) {
        const int size = check(static_cast<int>(recv(data_.get(), buffer, sizeof buffer, 0)), "FTP's data");
        if (size == 0 || !pattern_.matches(Bytes(buffer, static_cast<std::size_t>(size)))) return false;
        pattern_.advance(static_cast<std::size_t>(size));
        left_ -= static_cast<std::size_t>(size);
    }
    data_ = UniqueFd();
    answer("226");
    return true;
}

}  // namespace carpd::lab
