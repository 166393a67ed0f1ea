// ucarp's command lines, in scripts, units or alone, and Fedora's files: vip-NNN.conf, each a group with vhid
// NNN, and vip-common.conf, what they have in common.
#include <fmt/format.h>

#include <map>

#include "import/readers.h"
#include "import/ucarp_settings.h"

namespace carpd {

namespace {

constexpr std::string_view kCommon = "vip-common.conf";

bool is_vip_file(const ImportFile& file) {
    const std::string name = base_name(file.name);
    return name.starts_with("vip-") && name.ends_with(".conf");
}

void read_commands(const ImportFile& file, Draft& draft) {
    bool is_found = false;
    for (const ShellCommand& command : shell_commands(file.text))
        for (std::size_t i = 0; i + 1 < command.size(); ++i) {
            const std::string& word = command[i].text;
            if (base_name(word.substr(word.starts_with("ExecStart=") ? 10 : 0)) != "ucarp") continue;
            UcarpSettings settings;
            settings.at = {file.name, command[i].line};
            read_ucarp_words(command, i + 1, settings);
            add_ucarp_group(settings, draft);
            is_found = true;
            break;
        }
    if (!is_found) draft.no_match({file.name}, "there is no command line of ucarp in it");
}

using Variables = std::map<std::string, Word>;

Variables variables_of(const ImportFile& file, Variables variables = {}) {
    for (const ShellCommand& command : shell_commands(file.text))
        for (const Word& word : command)
            if (const auto pair = assignment(word))
                variables[pair->first] = {pair->second, word.line, word.has_variable};
    return variables;
}

void read_vip(const ImportFile& file, const Variables& variables, Draft& draft) {
    UcarpSettings s;
    s.at = {file.name, 1};
    const std::string name = base_name(file.name);
    s.vhid = name.substr(4, name.size() - 9);
    const std::map<std::string_view, std::string UcarpSettings::*> fields = {
        {"ID", &UcarpSettings::vhid},
        {"BIND_INTERFACE", &UcarpSettings::interface},
        {"PASSWORD", &UcarpSettings::password},
        {"VIP_ADDRESS", &UcarpSettings::address},
        {"UPSCRIPT", &UcarpSettings::up_script},
        {"DOWNSCRIPT", &UcarpSettings::down_script}};
    for (const auto& [variable, word] : variables) {
        const auto field = fields.find(variable);
        if (field != fields.end() && word.has_variable)
            s.variables.push_back(fmt::format("{}={}", variable, word.text));
        else if (field != fields.end())
            s.*field->second = word.text;
        else if (variable != "OPTIONS" && variable != "SOURCE_ADDRESS")
            draft.no_match({file.name, word.line}, fmt::format("{}: carpd has nothing like it", variable));
    }
    if (const auto options = variables.find("OPTIONS"); options != variables.end())
        for (const ShellCommand& command : shell_commands(options->second.text))
            read_ucarp_words(command, 0, s);
    add_ucarp_group(s, draft);
}

}  // namespace

void read_ucarp(const ImportFiles& files, Draft& draft) {
    Variables common;
    bool has_common = false, has_vip = false;
    for (const ImportFile* file : files)
        if (base_name(file->name) == kCommon) {
            common = variables_of(*file);
            has_common = true;
        }
    for (const ImportFile* file : files) {
        if (!is_vip_file(*file)) {
            read_commands(*file, draft);
        } else if (base_name(file->name) != kCommon) {
            read_vip(*file, variables_of(*file, common), draft);
            has_vip = true;
        }
    }
    if (has_vip && !has_common)
        draft.check({}, "vip-common.conf was not given: what the vip-NNN.conf have in common may be missing");
    if (has_common && !has_vip) draft.check({}, "no vip-NNN.conf was given: each is a group");
}

}  // namespace carpd
