// The engine's part that takes over another configuration.
#include <fmt/format.h>

#include <csignal>
#include <utility>

#include "carpd/engine.h"
#include "carpd/keep.h"
#include "linux/log.h"
#include "linux/process.h"

namespace carpd {

std::string Engine::reload() {
    if (path_.empty())
        return error_line(
            "there is no file to read again: the command line says all; start ucarp once more, "
            "with other options, and it takes the place of this one");
    auto file = load_config(path_);
    if (!file) {
        std::string text = "the configuration was not changed:";
        for (const ConfigError& error : file.error()) text += "\n" + error.to_string(path_);
        for (const ConfigError& error : file.error()) log(LogLevel::error, error.to_string(path_));
        log(LogLevel::error, "the configuration was not changed, because of the errors above");
        return error_line(text);
    }
    if (file->config.has_pools() && !kernel_.data_plane.has_gate()) {
        constexpr const char* kText =
            "the configuration was not changed: carpnodes need the BPF gate, and carpd runs without it since "
            "its start; give dataplane = \"bpf\" and start it again, which says what is missing if it can't "
            "be had";
        log(LogLevel::error, kText);
        return error_line(kText);
    }
    kill(supervision_.supervisor, SIGUSR1);  // it reads the file, too, while we are busy with what it says
    for (const ConfigError& warning : file->warnings) log(LogLevel::warning, warning.to_string(path_));
    Config& next = file->config;
    if (std::exchange(next.dataplane, config_->dataplane) != config_->dataplane)
        log(LogLevel::warning, "another dataplane takes effect at the next start");
    if (std::exchange(next.control, config_->control) != config_->control)
        log(LogLevel::warning, "a new path of the control socket takes effect at the next start");
    kernel_.helper.set_wanted(next.needs_helper());
    configure_tracks(next.tracks);
    configure_sync(next.sync);
    configure(keep(std::move(*file)));
    set_kept_demotions();  // also of groups that are there again
    give_back_memory();
    log(LogLevel::notice, fmt::format("reloaded {}: {} group{}", path_, config_->groups.size(),
                                      config_->groups.size() == 1 ? "" : "s"));
    return ok_line();
}

}  // namespace carpd
