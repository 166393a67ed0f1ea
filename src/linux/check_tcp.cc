// TCP: a connection is accepted. HTTP: and a GET is answered; no more of the answer is read than its first
// line, and not much if that doesn't end.
#include <array>
#include <cerrno>
#include <cstring>

#include "health/http_status.h"
#include "linux/check.h"
#include "linux/socket_address.h"

namespace carpd {

namespace {

class TcpProbe : public Check {
 public:
    explicit TcpProbe(const TcpCheck& config) : config_(config) {}

    std::optional<CheckResult> start(Instant) override {
        const SocketAddress to(config_.address, config_.port);
        connected_ = false;
        socket_ = UniqueFd(
            socket(domain_of(config_.address.family()), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        if (!socket_) return cannot("open a socket");
        if (connect(socket_.get(), to.get(), to.size) != 0 && errno != EINPROGRESS)
            return end(refused(errno));
        return std::nullopt;
    }

    Watch watch() const override { return {socket_.get(), connected_ ? EPOLLIN : EPOLLOUT}; }

    News wake(Instant) override {
        auto result = connected_ ? on_readable() : on_writable();
        if (result) return {end(*result)};
        return {};
    }

    void cancel() override { socket_ = {}; }

 protected:
    virtual std::optional<CheckResult> on_connected() { return CheckResult{true, where() + " accepts"}; }
    virtual std::optional<CheckResult> on_readable() { return std::nullopt; }
    int fd() const { return socket_.get(); }
    std::string where() const {
        const std::string address = config_.address.to_string(), port = std::to_string(config_.port);
        return config_.address.family() == Family::ipv4 ? address + ":" + port : "[" + address + "]:" + port;
    }
    CheckResult refused(int error) const { return {false, where() + ": " + std::strerror(error)}; }

 private:
    std::optional<CheckResult> on_writable() {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) return refused(error);
        connected_ = true;
        return on_connected();
    }
    CheckResult end(CheckResult result) {
        socket_ = {};
        return result;
    }

    const TcpCheck config_;
    UniqueFd socket_;
    bool connected_ = false;
};

class HttpProbe : public TcpProbe {
 public:
    explicit HttpProbe(const HttpCheck& config) : TcpProbe(config.server), config_(config) {}

 protected:
    std::optional<CheckResult> on_connected() override {
        answer_.clear();
        const std::string request = "GET " + config_.path + " HTTP/1.1\r\nHost: " + config_.authority +
                                    "\r\nUser-Agent: carpd\r\nConnection: close\r\n\r\n";
        const ssize_t sent = send(fd(), request.data(), request.size(), MSG_NOSIGNAL);
        if (sent != static_cast<ssize_t>(request.size())) return refused(sent < 0 ? errno : EMSGSIZE);
        return std::nullopt;
    }

    std::optional<CheckResult> on_readable() override {
        std::array<char, kMaxStatusLine> buffer;
        const ssize_t size = recv(fd(), buffer.data(), buffer.size() - answer_.size(), 0);
        if (size < 0) return errno == EAGAIN ? std::nullopt : std::optional(refused(errno));
        answer_.append(buffer.data(), static_cast<std::size_t>(size));
        const HttpStatus status = parse_http_status(answer_, size == 0);
        switch (status.kind) {
            case HttpStatus::Kind::incomplete: return std::nullopt;
            case HttpStatus::Kind::not_http: return CheckResult{false, where() + " does not answer in HTTP"};
            case HttpStatus::Kind::answer: break;
        }
        const bool passed =
            config_.status != 0 ? status.code == config_.status : 200 <= status.code && status.code < 400;
        return CheckResult{passed, where() + " answers " + std::to_string(status.code)};
    }

 private:
    const HttpCheck config_;
    std::string answer_;
};

}  // namespace

std::unique_ptr<Check> make_check(const TcpCheck& config) {
    return std::make_unique<TcpProbe>(config);
}
std::unique_ptr<Check> make_check(const HttpCheck& config) {
    return std::make_unique<HttpProbe>(config);
}

}  // namespace carpd
