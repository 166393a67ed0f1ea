// carpctl: looks at a running carpd and tells it what to do.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <exception>
#include <functional>
#include <iterator>
#include <optional>
#include <vector>

#include "carp/demotion.h"
#include "carpctl/commands.h"
#include "carpctl/when.h"
#include "config/config.h"
#include "import/import.h"

namespace {

using namespace carpd;

struct CommandLine {
    Options options{std::string(kDefaultControlSocket)};
    Request request;
    std::optional<SyncRequest> sync{};   // of `carpctl sync`
    std::optional<ImportOrder> order{};  // of `carpctl import`
    std::optional<DecodeOrder> decode{};
    std::optional<CaptureOrder> capture{};
    std::optional<DoctorOrder> doctor{};
    std::optional<ConfigCommand> config{};  // of `carpctl config`
    std::string config_file;
    std::optional<std::string> bundle{};  // of `bundle`: its file, empty for one of a name of its own
    std::optional<int> frames{};          // of `top`; 0: without end
    bool explain = false, peers = false, drain = false, undrain = false;
    DrainOrder drain_order{};
    std::string span, until;  // as typed
    std::string client;
    std::string past;  // of `explain --at`, as typed
    std::string state;
    bool is_interface_group = false;
};

void add_group(CLI::App& command, CommandLine& line, bool required) {
    command.add_option("GROUP", line.request.group, "the group's name, or a pool's for all its carpnodes")
        ->required(required);
}

void add_end(CLI::App& command, CommandLine& line) {
    CLI::Option* span = command.add_option("--for", line.span, "end it after that: 90s, 30m, 2h, 1d");
    CLI::Option* until = command.add_option("--until", line.until, "end it then: 04:00, or 2026-12-01T04:00");
    span->type_name("TIME")->excludes(until);
    until->type_name("TIME");
}

void add_command(
    CLI::App& app, CommandLine& line, Command command, const std::string& description,
    const std::function<void(CLI::App&)>& add_arguments = [](CLI::App&) {}) {
    CLI::App* sub = app.add_subcommand(std::string(to_string(command)), description);
    add_arguments(*sub);
    sub->callback([&line, command] { line.request.command = command; });
}

void add_sync(CLI::App& app, CommandLine& line) {
    CLI::App* sync = app.add_subcommand("sync", "State synchronisation: what it does, or flows it knows");
    sync->require_subcommand(0, 1);
    sync->fallthrough();
    // Before those of its subcommands, which parse first otherwise.
    sync->preparse_callback([&line](std::size_t) { line.sync.emplace(); });
    const auto add = [&](SyncCommand command, const std::string& description) {
        CLI::App* sub = sync->add_subcommand(std::string(to_string(command)), description);
        sub->callback([&line, command] { line.sync->command = command; });
        return sub;
    };
    add(SyncCommand::status, "Show this host's copy and its peers (the default)");
    add(SyncCommand::flows, "Show all flows that are told of, with their owners")
        ->add_option_function<std::string>(
            "--owner", [&line](const std::string& name) { line.sync->owner = name; }, "only this host's")
        ->type_name("NAME");
    add(SyncCommand::resync, "Read the kernel's table again, and ask every peer for all");
    add(SyncCommand::flush, "Forget what peers told, and remove it from the kernel");
}

void add_config(CLI::App& app, CommandLine& line) {
    CLI::App* config = app.add_subcommand("config", "Check or show a configuration, or what it would change");
    config->require_subcommand(1);
    config->fallthrough();
    const auto add = [&](const char* name, ConfigCommand command, const char* description) {
        CLI::App* sub = config->add_subcommand(name, description);
        sub->add_option("FILE", line.config_file, "instead of carpd's");
        sub->callback([&line, command] { line.config = command; });
    };
    add("check", ConfigCommand::check, "Say whether it is valid, as carpd -n does");
    add("show", ConfigCommand::show, "Show it as carpd understands it, with all defaults and no secrets");
    add("diff", ConfigCommand::diff, "Say what a reload would change, and what that would cost");
}

void add_import(CLI::App& app, CommandLine& line) {
    CLI::App* sub =
        app.add_subcommand("import", "Make a carpd.toml of the files of keepalived, ucarp or a BSD");
    sub->preparse_callback([&line](std::size_t) { line.order.emplace(); });
    const auto text = [&](const char* name, std::string ImportOrder::*field, const char* description) {
        return sub->add_option_function<std::string>(
            name, [&line, field](const std::string& value) { (*line.order).*field = value; }, description);
    };
    const std::vector<std::string> kinds(std::begin(kImportKinds), std::end(kImportKinds));
    text("--from", &ImportOrder::from, "the files' kind, if it isn't to be guessed")
        ->type_name("KIND")
        ->check(CLI::IsMember(kinds));
    text("-o,--output", &ImportOrder::output, "write it there instead of to standard output")
        ->type_name("FILE");
    const auto set_force = [&line] { line.order->force = true; };
    sub->add_flag_callback("--force", set_force, "overwrite that file");
    const auto set_files = [&line](const std::vector<std::string>& files) { line.order->files = files; };
    sub->add_option_function<std::vector<std::string>>("FILE", set_files, "of one host")->required();
}

void add_decode(CLI::App& app, CommandLine& line) {
    CLI::App* sub = app.add_subcommand("decode", "Say what stands in a capture, and what a host made of it");
    sub->preparse_callback([&line](std::size_t) { line.decode.emplace(); });
    const auto text = [&](const char* name, std::string DecodeOrder::*field, const char* description) {
        return sub->add_option_function<std::string>(
            name, [&line, field](const std::string& value) { (*line.decode).*field = value; }, description);
    };
    text("FILE", &DecodeOrder::file, "pcap or pcapng; - is standard input")->required();
    text("-f,--config", &DecodeOrder::config, "the configuration with the keys, /etc/carpd/carpd.toml")
        ->type_name("FILE");
    text("-i,--interface", &DecodeOrder::interface, "the configured interface on which it was captured")
        ->type_name("NAME");
    const auto set_self = [&line](const std::vector<std::string>& self) { line.decode->self = self; };
    sub->add_option_function<std::vector<std::string>>("--self", set_self, "this host sends from there")
        ->type_name("ADDRESS")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    const auto set_explain = [&line] { line.decode->explain = true; };
    sub->add_flag_callback("--explain", set_explain, "say why an advertisement changes nothing, too");
}

void add_capture(CLI::App& app, CommandLine& line) {
    CLI::App* sub = app.add_subcommand("capture", "Write packets of CARP and VRRP to a pcapng file");
    sub->preparse_callback([&line](std::size_t) { line.capture.emplace(); });
    const auto set_output = [&line](const std::string& output) { line.capture->output = output; };
    sub->add_option_function<std::string>("-o,--output", set_output, "the file; standard output without it")
        ->type_name("FILE");
    const auto set_names = [&line](const std::vector<std::string>& names) {
        line.capture->interfaces = names;
    };
    sub->add_option_function<std::vector<std::string>>("-i,--interface", set_names,
                                                       "only there; may be repeated")
        ->type_name("NAME")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    const auto set_count = [&line](std::uint64_t count) { line.capture->count = count; };
    sub->add_option_function<std::uint64_t>("-c,--count", set_count, "end after so many packets")
        ->type_name("N")
        ->check(CLI::PositiveNumber);
    const auto set_seconds = [&line](int seconds) { line.capture->seconds = seconds; };
    sub->add_option_function<int>("--seconds", set_seconds, "end after so long")
        ->type_name("N")
        ->check(CLI::Range(1, 86'400));
}

void add_doctor(CLI::App& app, CommandLine& line) {
    CLI::App* sub = app.add_subcommand("doctor", "Find out what is wrong, or will be at the next takeover");
    sub->preparse_callback([&line](std::size_t) { line.doctor.emplace(); });
    const auto text = [&](const char* name, std::string DoctorOrder::*field, const char* description) {
        return sub->add_option_function<std::string>(
            name, [&line, field](const std::string& value) { (*line.doctor).*field = value; }, description);
    };
    text("GROUP", &DoctorOrder::group, "the group's name; without it all are looked at");
    text("-f,--config", &DoctorOrder::config, "carpd's configuration, if it is not that which it runs with")
        ->type_name("FILE");
    const auto set = [&line] { line.doctor->foreign_macs = true; };
    sub->add_flag_callback("--foreign-macs", set,
                           "also ask other hosts in the name of a MAC that nobody has");
}

void describe(CLI::App& app, CommandLine& line) {
    app.set_version_flag("-V,--version", "carpctl " CARPD_VERSION);
    app.add_option("-s,--socket", line.options.socket, "carpd's control socket")->capture_default_str();
    app.add_flag("-j,--json", line.options.json, "print JSON, for programs");
    app.add_flag("--no-pager", line.options.no_pager, "print what doesn't fit the terminal, too");
    app.require_subcommand(0, 1);  // without one, a misspelt command would be reported as none
    app.get_formatter()->label("SUBCOMMAND", "COMMAND");
    app.failure_message([](const CLI::App*, const CLI::Error& error) {
        return fmt::format("carpctl: {}; see `carpctl --help`\n", error.what());
    });
    app.fallthrough();  // -s and -j are taken behind the command, too

    add_command(app, line, Command::status, "Show all groups, or everything about one",
                [&](CLI::App& sub) { add_group(sub, line, false); });
    CLI::App* explain = app.add_subcommand("explain", "Say why this host is, or is not, MASTER");
    add_group(*explain, line, false);
    explain
        ->add_option(
            "--client", line.client,
            "instead: who serves this client, an IP address or a MAC, of the pools, or of the pool GROUP")
        ->type_name("ADDRESS");
    explain->add_option("--at", line.past, "instead: why it was so then: 03:12, or 2026-11-27T03:12:04")
        ->type_name("TIME")
        ->excludes("--client");
    explain->callback([&line] { line.explain = true; });
    CLI::App* peers = app.add_subcommand("peers", "Show who of a group's hosts hears whom");
    add_group(*peers, line, false);
    peers->callback([&line] { line.peers = true; });
    CLI::App* top = app.add_subcommand("top", "Show groups and rates each second, trouble first; q ends it");
    top->preparse_callback([&line](std::size_t) { line.frames = 0; });
    top->add_option_function<int>(
           "-n,--frames", [&line](int frames) { line.frames = frames; }, "end after so many")
        ->type_name("COUNT")
        ->check(CLI::Range(1, 1'000'000));
    add_command(app, line, Command::monitor, "Show every change as it happens, until interrupted");
    add_command(app, line, Command::history, "Show the last changes, of all groups or of one",
                [&](CLI::App& sub) { add_group(sub, line, false); });
    add_command(app, line, Command::state, "Make a group MASTER or BACKUP, once", [&](CLI::App& sub) {
        add_group(sub, line, true);
        sub.add_option("STATE", line.state, "master or backup")
            ->required()
            ->check(CLI::IsMember({"master", "backup"}));
    });
    add_command(app, line, Command::demote, "Make a group a worse master; 0 ends it", [&](CLI::App& sub) {
        constexpr int kMost = DemotionCounter::kMaxAmount;
        add_group(sub, line, true);
        sub.add_option("N", line.request.amount, "-255 to 255")->required()->check(CLI::Range(-kMost, kMost));
        sub.add_flag("-g,--interface-group", line.is_interface_group,
                     "GROUP is an interface group: all groups that are in it; carp is that of all");
        sub.add_option("-n,--name", line.request.name, "what the demotion is called")->capture_default_str();
        add_end(sub, line);
    });
    CLI::App* drain = app.add_subcommand("drain", "Hand over what this host is MASTER of, and stay away");
    add_group(*drain, line, false);
    drain
        ->add_option("-w,--wait", line.drain_order.patience,
                     "for so many seconds at most, until others are MASTER")
        ->type_name("SECONDS")
        ->check(CLI::Range(0, 3600))
        ->capture_default_str();
    add_end(*drain, line);
    drain->add_flag("--persist", line.drain_order.persist, "stay drained when carpd or the host starts again")
        ->excludes("--for")
        ->excludes("--until");
    drain->callback([&line] { line.drain = true; });
    CLI::App* undrain = app.add_subcommand("undrain", "End that");
    add_group(*undrain, line, false);
    undrain->callback([&line] { line.undrain = true; });
    add_command(app, line, Command::stop, "Stop carpd in order: its peers take over at once");
    add_command(app, line, Command::reload, "Make carpd read its configuration again");
    add_command(app, line, Command::upgrade,
                "Let the carpd that is installed now take over from the one that runs");
    CLI::App* bundle = app.add_subcommand("bundle", "Gather what a bug report needs, without secrets");
    bundle->preparse_callback([&line](std::size_t) { line.bundle.emplace(); });
    bundle
        ->add_option_function<std::string>(
            "-o,--output", [&line](const std::string& file) { line.bundle = file; }, "write it there")
        ->type_name("FILE");
    add_sync(app, line);
    add_config(app, line);
    add_import(app, line);
    add_capture(app, line);
    add_decode(app, line);
    add_doctor(app, line);
}

ExitCode past(const CommandLine& line) {
    if (const auto at = parse_past(line.past, std::time(nullptr)))
        return past_command(line.options, line.request.group, *at);
    return report(
        {kUsage,
         fmt::format("'{}' is no time: --at takes 03:12, 03:12:04 or 2026-11-27T03:12, which has passed, "
                     "within a year",
                     line.past)});
}

ExitCode run(const CommandLine& line) {
    if (line.doctor) return doctor_command(line.options, *line.doctor);
    if (line.order) return import_command(*line.order);
    if (line.decode) return decode_command(line.options, *line.decode);
    if (line.capture) return capture_command(*line.capture);
    if (line.bundle) return bundle_command(line.options, *line.bundle);
    if (line.frames) return top_command(line.options, *line.frames);
    if (line.config) return config_command(line.options, *line.config, line.config_file);
    if (line.sync) return sync_command(line.options, *line.sync);
    if (!line.client.empty()) return client_command(line.options, line.client, line.request.group);
    if (line.drain) {
        DrainOrder order = line.drain_order;
        order.group = line.request.group;
        order.lasts = line.request.lasts;
        return drain_command(line.options, order);
    }
    if (line.undrain) return undrain_command(line.options, line.request.group);
    if (line.peers) return peers_command(line.options, line.request.group);
    if (line.explain && !line.past.empty()) return past(line);
    if (line.explain) return explain_command(line.options, line.request.group);
    switch (line.request.command) {
        case Command::status: return status_command(line.options, line.request.group);
        case Command::monitor: return monitor_command(line.options);
        case Command::upgrade: return upgrade_command(line.options);
        case Command::history: return history_command(line.options, line.request.group);
        default: return order_command(line.options, line.request);
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Looks at a running carpd and tells it what to do. See carpctl(8).", "carpctl");
    CommandLine line;
    describe(app, line);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kOk : kUsage;
    }
    if (app.get_subcommands().empty()) {
        fmt::print(stderr, "{}", app.help());
        return kUsage;
    }
    if (line.is_interface_group) std::swap(line.request.group, line.request.interface_group);
    line.request.lasts =
        line.span.empty() ? parse_until(line.until, std::time(nullptr)) : parse_span(line.span);
    if (!line.request.lasts && !(line.span + line.until).empty())
        return report(
            {kUsage, fmt::format("'{}' is no time: --for takes 90s, 30m, 2h or 1d, at most a year, --until "
                                 "04:00 or 2026-12-01T04:00 that is to come",
                                 line.span + line.until)});
    line.request.state = line.state == "master" ? State::master : State::backup;
    try {
        return run(line);
    } catch (const nlohmann::json::exception& error) {  // an answer without what this version expects
        return report(
            {kFailed, fmt::format("carpd's answer makes no sense ({}); are carpd and carpctl of one version?",
                                  error.what())});
    } catch (const std::exception& error) {  // no memory, or a file that can't be read
        return report({kFailed, error.what()});
    }
}
