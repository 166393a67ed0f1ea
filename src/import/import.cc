#include "import/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>

#include "config/config.h"
#include "import/draft.h"
#include "import/readers.h"
#include "import/words.h"

namespace carpd {

namespace {

std::string printable_line(std::string text) {
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
    std::replace_if(text.begin(), text.end(), is_control, '?');
    return text;
}

bool has_ucarp_command(std::string_view text) {
    for (const ShellCommand& command : shell_commands(text))
        for (const Word& word : command) {
            const std::string program = word.text.substr(word.text.find('=') + 1);
            if (base_name(program) == "ucarp" && command.size() > 1) return true;
        }
    return false;
}

void read(ImportKind kind, const ImportFiles& files, Draft& draft) {
    switch (kind) {
        case ImportKind::keepalived: return read_keepalived(files, draft);
        case ImportKind::ucarp: return read_ucarp(files, draft);
        case ImportKind::ifupdown: return read_ifupdown(files, draft);
        case ImportKind::openbsd: return read_openbsd(files, draft);
        case ImportKind::freebsd: return read_freebsd(files, draft);
        case ImportKind::config_xml: return read_config_xml(files, draft);
    }
}

// Without the place, which counts lines of a text that nobody sees.
std::string text_of(const ConfigError& error) {
    return error.hint.empty() ? error.message : error.message + "; " + error.hint;
}

// Each error as a comment above its line, and among the findings.
std::string with_errors(const WrittenToml& toml, const ConfigErrors& errors, std::vector<Finding>& findings) {
    std::multimap<std::uint32_t, std::string> comments;
    for (const ConfigError& error : errors) {
        comments.emplace(std::max(error.at.line, 1u), printable_line(text_of(error)));
        findings.push_back({Finding::Kind::to_do, toml.origin_of(error.at.line), text_of(error)});
    }
    std::string out;
    std::uint32_t number = 0;
    for (std::string_view line : lines_of(toml.text)) {
        const auto [begin, end] = comments.equal_range(++number);
        for (auto comment = begin; comment != end; ++comment)
            out += fmt::format("# TO DO: {}\n", comment->second);
        out += fmt::format("{}\n", line);
    }
    return out;
}

Imported finish(const Draft& draft) {
    Imported imported;
    imported.findings = draft.findings;
    const WrittenToml toml = write_toml(draft);
    const auto file = parse_config(toml.text, "/");
    imported.toml = file ? toml.text : with_errors(toml, file.error(), imported.findings);
    if (file)
        for (const ConfigError& warning : file->warnings)
            imported.findings.push_back(
                {Finding::Kind::check, toml.origin_of(warning.at.line), text_of(warning)});
    const auto is_to_do = [](const Finding& finding) { return finding.kind == Finding::Kind::to_do; };
    imported.is_complete =
        file.has_value() && std::none_of(imported.findings.begin(), imported.findings.end(), is_to_do);
    return imported;
}

}  // namespace

std::string_view to_string(ImportKind kind) {
    return kImportKinds[static_cast<std::size_t>(kind)];
}

std::optional<ImportKind> parse_import_kind(std::string_view name) {
    const auto found = std::find(std::begin(kImportKinds), std::end(kImportKinds), name);
    if (found == std::end(kImportKinds)) return std::nullopt;
    return static_cast<ImportKind>(found - std::begin(kImportKinds));
}

std::optional<ImportKind> guess_import_kind(const ImportFile& file) {
    const std::string name = base_name(file.name);
    const auto says = [&](std::string_view words) { return file.text.find(words) != std::string::npos; };
    if (says("<pfsense>") || says("<opnsense>")) return ImportKind::config_xml;
    if (name.starts_with("hostname.carp")) return ImportKind::openbsd;
    if (name.starts_with("vip-") && name.ends_with(".conf")) return ImportKind::ucarp;
    if (name.starts_with("keepalived") || says("vrrp_instance")) return ImportKind::keepalived;
    if (name == "interfaces" || says("ucarp-vid")) return ImportKind::ifupdown;
    if (name.starts_with("rc.conf") || (says("ifconfig_") && says("vhid"))) return ImportKind::freebsd;
    if (has_ucarp_command(file.text)) return ImportKind::ucarp;
    if (says("carpdev")) return ImportKind::openbsd;
    return std::nullopt;
}

std::string Imported::report() const {
    static constexpr std::array<std::pair<Finding::Kind, std::string_view>, 4> kTitles = {
        {{Finding::Kind::taken, "Taken over:"},
         {Finding::Kind::check, "Check:"},
         {Finding::Kind::no_match, "No match, left out:"},
         {Finding::Kind::to_do, "To do before carpd takes the file:"}}};
    std::string out;
    for (const auto& [kind, title] : kTitles) {
        bool is_first = true;
        for (const Finding& finding : findings) {
            if (finding.kind != kind) continue;
            if (is_first) out += fmt::format("{}\n", title);
            is_first = false;
            const Source& at = finding.at;
            const std::string place = at.line == 0 ? at.file : fmt::format("{}:{}", at.file, at.line);
            out += printable_line(fmt::format("  {}{}{}", place, place.empty() ? "" : ": ", finding.text)) +
                   "\n";
        }
    }
    return out;
}

Expected<Imported, std::string> import_files(const std::vector<ImportFile>& files,
                                             std::optional<ImportKind> from) {
    std::map<ImportKind, ImportFiles> by_kind;
    Draft draft;
    for (const ImportFile& file : files) {
        if (file.text.size() > kMaxImportSize)
            return Unexpected{printable_line(fmt::format("{}: it is larger than 1 MiB", file.name))};
        const auto kind = from ? from : guess_import_kind(file);
        if (!kind)
            return Unexpected{printable_line(
                fmt::format("{}: what kind of file this is can't be told; say it with --from", file.name))};
        if (!from) draft.taken({file.name}, fmt::format("read as a file of {}", to_string(*kind)));
        by_kind[*kind].push_back(&file);
    }
    for (const auto& [kind, of_kind] : by_kind) read(kind, of_kind, draft);
    return finish(draft);
}

}  // namespace carpd
