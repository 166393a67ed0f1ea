#include "carpd/web_process.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "linux/log.h"
#include "linux/sandbox.h"

namespace carpd {

namespace {

// Beside this program, where it was built, or where it is installed: /usr/sbin/carpd has
// /usr/libexec/carpd/carpd-web.
std::string web_program() {
    std::error_code error;
    const auto folder = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    const auto built = folder / "carpd-web";
    return access(built.c_str(), X_OK) == 0 ? built : folder.parent_path() / "libexec/carpd/carpd-web";
}

// Doesn't return if all is well.
int become_web(const Config& config, const MessageSocket& engine) {
    const std::string program = web_program();
    fcntl(engine.fd(), F_SETFD, 0);  // it goes on being open
    execl(program.c_str(), "carpd-web", config.metrics->listen.c_str(), config.control.c_str(),
          std::to_string(engine.fd()).c_str(), nullptr);
    log(LogLevel::error, SysError{"run", program, errno}.to_string());
    return 1;
}

}  // namespace

KeptProcess web_process() {
    return {"web",
            [](const Config& config) { return config.metrics.has_value(); },
            [](const Config& config, MessageSocket engine) { return become_web(config, engine); },
            std::chrono::seconds(3),
            [](const Config& config) { return config.metrics->listen; },
            [](const Config& config) { return config.metrics->socket(); },
            "",
            ""};
}

void admit_web(LineServer& control) {
    if (geteuid() != 0) return;  // only root's carpd becomes another user
    const SandboxUser user = sandbox_user();
    if (const auto error = control.admit_readers(user.uid, user.gid))
        log(LogLevel::warning, error->to_string());
}

}  // namespace carpd
