// carpd-web LISTEN CONTROL FD: started by carpd's supervisor alone (carpd/web_process.h). What LISTEN and
// CONTROL are says docs/man/carpd.toml.5; FD is this program's end of the supervisor's sockets.
#include <fmt/format.h>

#include "config/values.h"
#include "linux/log.h"
#include "linux/process.h"
#include "linux/sandbox.h"
#include "linux/tcp_listener.h"
#include "linux/unix_socket.h"
#include "web/process.h"

namespace carpd {
namespace {

// Whoever may come to the path may read, as everybody on the host may at a port.
constexpr mode_t kSocketMode = 0666;
constexpr int kBacklog = 64;

Expected<UniqueFd, SysError> listen_at(const std::string& listen) {
    if (listen.starts_with('/')) return listen_unix(listen, kSocketMode, kBacklog);
    const auto endpoint = parse_endpoint(listen);
    if (!endpoint) return Unexpected{SysError{"listen at", listen, EINVAL}};
    return listen_tcp(endpoint->address, endpoint->port);
}

int run(const std::string& listen, const std::string& control, int supervisor) {
    set_process_name("carpd: web");
    const auto signals = open_signals({SIGHUP, SIGTERM, SIGINT, kEndSignal});
    auto listener = signals ? listen_at(listen) : Unexpected{signals.error()};
    if (!listener) {
        log(LogLevel::error, "metrics can't be served: " + listener.error().to_string());
        return 1;
    }
    const Sandbox sandbox = enter_sandbox(SandboxFor::web);
    for (const SysError& warning : sandbox.warnings) log(LogLevel::warning, warning.to_string());
    WebProcess(listen, std::move(*listener), control, MessageSocket::inherited(UniqueFd(supervisor)),
               signals->get())
        .run();
    return 0;
}

}  // namespace
}  // namespace carpd

int main(int argc, char** argv) {
    const auto fd = argc == 4 ? carpd::parse_number(argv[3]) : std::nullopt;
    if (!fd) {
        fmt::print(stderr, "carpd-web is started by carpd, where carpd.toml has a section [metrics]\n");
        return 2;
    }
    return carpd::run(argv[1], argv[2], static_cast<int>(*fd));
}
