// carpd [-f FILE] [-n] [-v], or carpd ucarp OPTIONS: see docs/man/carpd.8.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <csignal>
#include <memory>
#include <optional>

#include "carpd/engine.h"
#include "carpd/helper.h"
#include "carpd/keep.h"
#include "carpd/supervisor.h"
#include "carpd/sync_process.h"
#include "carpd/ucarp.h"
#include "carpd/web_process.h"
#include "config/config.h"
#include "config/description.h"
#include "control/hand_over.h"
#include "linux/log.h"
#include "linux/memory_file.h"
#include "linux/process.h"

namespace carpd {
namespace {

struct Options {
    std::string config{kDefaultConfigFile};
    bool check = false;
    bool verbose = false;
    std::optional<int> understands;  // a format (control/hand_over.h)
    std::optional<int> takes_over;   // a descriptor, of what a supervisor left
    Program program;
};

void print(std::string_view path, const ConfigErrors& errors, std::string_view kind) {
    for (const ConfigError& error : errors) fmt::print(stderr, "{}{}\n", kind, error.to_string(path));
}

// What there is for -n to hold a configuration against.
InterfaceNames existing_interfaces() {
    auto netlink = Netlink::open();
    const auto links = netlink ? netlink->links() : Unexpected{netlink.error()};
    if (!links) return std::nullopt;
    std::vector<std::string> names;
    for (const Link& link : *links) names.push_back(link.name);
    return names;
}

int fail(ExitCode code, const std::string& text) {
    log(LogLevel::error, text);
    return code;
}

// The engine's process.
int run_engine(const std::shared_ptr<const Config>& config, const std::string& path,
               const Supervision& supervision) {
    // One that takes over is in nobody's way until it has prepared itself.
    if (!supervision.predecessor) go_before_others();
    auto engine = Engine::open(config, path, supervision);
    if (!engine) {
        const bool denied = engine.error().error == EPERM || engine.error().error == EACCES;
        return fail(denied ? kNoPermission : kFailed, engine.error().to_string());
    }
    log(LogLevel::notice,
        fmt::format("carpd {} runs {} group{}; control socket {}", CARPD_VERSION, config->groups.size(),
                    config->groups.size() == 1 ? "" : "s", config->control));
    if ((*engine)->run() == Engine::End::handed_over) return kHandedOver;
    log(LogLevel::notice, "stopped");
    return kStopped;
}

// The helper's process.
int run_helper(const Config& config, const std::string& path, MessageSocket engine) {
    auto helper = Helper::open(config, path, std::move(engine));
    if (!helper) return fail(kFailed, helper.error().to_string());
    helper->run();
    return kStopped;
}

KeptProcess helper_process(const std::string& path) {
    return {"helper",
            [](const Config& config) { return config.needs_helper(); },
            [path](const Config& config, MessageSocket engine) {
                return run_helper(config, path, std::move(engine));
            },
            Helper::kMostToFinish + std::chrono::seconds(1),
            {},
            {},
            to_message(EngineMessage(EngineEnded{})),
            ""};
}

KeptProcess sync_process() {
    return {"sync",
            [](const Config& config) { return config.sync.has_value(); },
            [](const Config& config, MessageSocket engine) { return run_sync(config, std::move(engine)); },
            SyncProcess::kMostToFinish,
            [](const Config& config) { return to_message(ToSync(sync_settings(config))); },
            [](const Config& config) { return sync_socket(config.control); },
            to_message(ToSync(EngineEnded{})),
            to_message(FromSync(SyncEnded{}))};
}

Supervisor::EngineMain engine_main(const Options& options) {
    return [path = options.config](const auto& config, const Supervision& supervision) {
        return run_engine(config, path, supervision);
    };
}

std::array<KeptProcess, 3> kept_processes(const Options& options) {
    return {helper_process(options.config), sync_process(), web_process()};
}

int supervise(Expected<Supervisor, SysError> supervisor) {
    return supervisor ? supervisor->run() : fail(kFailed, supervisor.error().to_string());
}

// If this ends, the engine that serves stops in order, as it does whenever its supervisor is gone.
int take_over(const Options& options, std::shared_ptr<const Config> config) {
    const UniqueFd file(*options.takes_over);
    const auto text = read_memory_file(file.get(), kMaxHandOver);
    if (!text) return fail(kFailed, text.error().to_string());
    const auto memory = parse_supervisor_memory(*text);
    if (!memory) return fail(kFailed, fmt::format("what was handed over can't be used: {}", memory.error()));
    return supervise(Supervisor::inherit(std::move(config), options.config, engine_main(options),
                                         kept_processes(options), options.program, *memory));
}

int run(const Options& options, std::shared_ptr<const Config> config) {
    std::signal(SIGPIPE, SIG_IGN);
    if (options.takes_over) return take_over(options, std::move(config));
    if (const auto capability = missing_capability(config->dataplane == DataPlaneChoice::bpf))
        return fail(kNoPermission,
                    fmt::format("carpd needs {}; run it as root or give it that capability", *capability));
    auto lock = lock_instance();  // the engine inherits it: it is free when both processes are gone
    if (!lock) return fail(kFailed, lock.error().to_string());
    return supervise(Supervisor::open(std::move(config), options.config, engine_main(options),
                                      kept_processes(options), options.program, std::move(*lock)));
}

// The engine inherits the lock here, too.
int run_ucarp(const std::vector<std::string>& words) {
    auto start = begin_ucarp(words);
    if (!start) return start.error();
    std::signal(SIGPIPE, SIG_IGN);
    return supervise(Supervisor::open(
        std::move(start->config), "",
        [](const auto& config, const Supervision& supervision) {
            return run_engine(config, "", supervision);
        },
        {ucarp_helper_process(), sync_process(), web_process()}, Program{}, std::move(start->lock)));
}

int start(const Options& options) {
    if (options.understands && !understands(*options.understands))
        return fail(kFailed, fmt::format("it takes over in format {}, and the running one hands over in {}",
                                         kHandOverFormat, *options.understands));
    auto file = load_config(options.config, options.check ? existing_interfaces() : std::nullopt);
    if (!file) {
        print(options.config, file.error(), "");
        return kConfigInvalid;
    }
    print(options.config, file->warnings, "warning: ");
    if (options.check) {
        fmt::print("{} is valid: {}\n", options.config, summary(file->config));
        return kStopped;
    }
    if (options.verbose) set_log_level(LogLevel::debug);
    auto config = keep(std::move(*file));
    give_back_memory();
    return run(options, std::move(config));
}

}  // namespace
}  // namespace carpd

int main(int argc, char** argv) {
    if (const auto words = carpd::ucarp_words(argc, argv)) return carpd::run_ucarp(*words);
    carpd::Options options;
    CLI::App app{"carpd, the Common Address Redundancy Protocol for Linux"};
    app.add_option("-f,--config", options.config, "configuration file")->capture_default_str();
    app.add_flag("-n,--check", options.check, "only check the configuration");
    app.add_flag("-v,--verbose", options.verbose,
                 "log also what is normal on a shared network, such as packets of other groups");
    // What one carpd asks of another (docs/upgrade.md).
    app.add_option("--understands", options.understands)->group("");
    app.add_option("--take-over", options.takes_over)->group("");
    app.set_version_flag("-V,--version", "carpd " CARPD_VERSION);
    app.footer("carpd ucarp OPTIONS takes the place of ucarp; see carpd ucarp --help");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : carpd::kUsage;
    }
    options.program.file = carpd::program_file();
    for (int i = 0; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--take-over")
            ++i;  // the descriptor of this once
        else
            options.program.arguments.emplace_back(argv[i]);
    }
    return carpd::start(options);
}
