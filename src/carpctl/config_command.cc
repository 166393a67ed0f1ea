// `carpctl config`: a file as carpd reads it, and what it would change.
#include <fmt/format.h>
#include <net/if.h>

#include <cstdio>

#include "carpctl/commands.h"
#include "carpctl/config_diff.h"
#include "config/config.h"
#include "config/description.h"
#include "control/config_answer.h"

namespace carpd {

namespace {

// What `carpd -n` holds a file against, too.
InterfaceNames existing_interfaces() {
    struct if_nameindex* const all = if_nameindex();
    if (all == nullptr) return std::nullopt;
    std::vector<std::string> names;
    for (const auto* at = all; at->if_index != 0; ++at) names.emplace_back(at->if_name);
    if_freenameindex(all);
    return names;
}

void complain(const std::string& file, const ConfigErrors& errors, std::string_view kind) {
    for (const ConfigError& error : errors) fmt::print(stderr, "{}{}\n", kind, error.to_string(file));
}

Json to_json(const ConfigErrors& errors) {
    Json json = Json::array();
    for (const ConfigError& error : errors)
        json.push_back({{"line", error.at.line},
                        {"column", error.at.column},
                        {"message", error.message},
                        {"hint", error.hint}});
    return json;
}

// Nothing after errors, which were said.
std::optional<ConfigFile> read(const std::string& file) {
    auto read = load_config(file);
    if (!read) {
        complain(file, read.error(), "");
        return std::nullopt;
    }
    complain(file, read->warnings, "warning: ");
    return std::move(*read);
}

ExitCode check(const Options& options, const std::string& file) {
    const auto read = load_config(file, existing_interfaces());
    const ConfigErrors errors = read ? ConfigErrors{} : read.error();
    const ConfigErrors warnings = read ? read->warnings : ConfigErrors{};
    if (options.json) {
        fmt::print("{}\n", dump({{"schema", 1},
                                 {"file", file},
                                 {"valid", errors.empty()},
                                 {"errors", to_json(errors)},
                                 {"warnings", to_json(warnings)}}));
    } else {
        complain(file, errors, "");
        complain(file, warnings, "warning: ");
        if (read) fmt::print("{} is valid: {}\n", file, summary(read->config));
    }
    return read ? kOk : kFailed;
}

ExitCode show(const Options& options, const std::string& file) {
    const auto read = carpd::read(file);
    if (!read) return kFailed;
    const std::vector<Section> sections = describe(read->config);
    if (!options.json) {
        fmt::print("# {}, as carpd understands it\n{}", file, to_toml(sections));
        return kOk;
    }
    std::string text = config_head(file);
    for (const Section& section : sections) text += to_json_text(section) + ",";
    text.pop_back();
    fmt::print("{}{}\n", text, kConfigTail);
    return kOk;
}

ExitCode diff(const Options& options, std::string file) {
    auto client = Client::connect(options.socket);
    if (!client) return report(client.error());
    const auto running = ask(*client, to_line(Request{.command = Command::config}));
    if (!running) return report(running.error());
    const auto status = ask(*client, to_line(Request{}));
    if (!status) return report(status.error());
    if (file.empty()) file = running->json.at("file").get<std::string>();
    if (file == kUcarpCommandLine)
        return report(
            {kFailed, "this carpd runs by a command line of ucarp, not by a file; name one to compare with"});
    const auto read = carpd::read(file);
    if (!read) return report({kFailed, "carpd would refuse it, and change nothing"});
    const auto changes = compare(read_sections(running->json), describe(read->config), status->json);
    if (options.json)
        fmt::print("{}\n", dump({{"schema", 1}, {"file", file}, {"changes", changes_json(changes)}}));
    else
        fmt::print("{}", render_changes(changes, Paint(wants_colour())));
    return kOk;
}

}  // namespace

ExitCode config_command(const Options& options, ConfigCommand command, const std::string& file) {
    const std::string path = file.empty() ? std::string(kDefaultConfigFile) : file;
    switch (command) {
        case ConfigCommand::check: return check(options, path);
        case ConfigCommand::show: return show(options, path);
        case ConfigCommand::diff: break;
    }
    return diff(options, file);
}

}  // namespace carpd
