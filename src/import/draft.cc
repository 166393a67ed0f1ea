#include "import/draft.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/values.h"

namespace carpd {

namespace {

// A number as TOML has it; what is none becomes a string, of which carpd's parser says that it is wrong.
std::string toml_number(const std::string& text) {
    const auto number = parse_number(text);
    return number ? fmt::format("{}", *number) : toml_string(text);
}

class Writer {
 public:
    WrittenToml take() { return std::move(written_); }

    void line(std::string_view text) {
        written_.text += fmt::format("{}\n", text);
        ++lines_;
    }

    void begin(std::string_view section, const Source& at, const std::vector<std::string>& to_do = {}) {
        line("");
        line("# " + one_line(fmt::format("{}:{}", at.file, at.line)));
        comment(to_do);
        line(fmt::format("[[{}]]", section));
        written_.sections.emplace_back(lines_, at);
    }

    void comment(const std::vector<std::string>& to_do) {
        for (const std::string& text : to_do) line("# TO DO: " + one_line(text));
    }

    void text(std::string_view key, const std::string& value) {
        if (!value.empty()) line(fmt::format("{} = {}", key, toml_string(value)));
    }
    void number(std::string_view key, const std::string& value) {
        if (!value.empty()) line(fmt::format("{} = {}", key, toml_number(value)));
    }
    void list(std::string_view key, const std::vector<std::string>& values) {
        if (!values.empty()) line(fmt::format("{} = {}", key, toml_list(values)));
    }

 private:
    // A comment must not end before its text does.
    static std::string one_line(std::string text) {
        const auto is_control = [](char c) { return static_cast<unsigned char>(c) < ' ' || c == 0x7f; };
        std::replace_if(text.begin(), text.end(), is_control, '?');
        return text;
    }

    WrittenToml written_;
    std::uint32_t lines_ = 0;
};

void write(Writer& to, const DraftGroup& group) {
    to.begin("group", group.at, group.to_do);
    to.text("name", group.name);
    to.text("interface", group.interface);
    to.number("vhid", group.vhid);
    to.list("carpnodes", group.carpnodes);
    to.text("balancing", group.balancing);
    to.list("addresses", group.addresses);
    to.text("password", group.password);
    to.text("password-file", group.password_file);
    to.number("advbase", group.advbase);
    to.number("advskew", group.advskew);
    if (group.preempt) to.line("preempt = true");
    to.number("preempt-delay", group.preempt_delay);
    if (group.interface_mac) to.line("mac = \"interface\"");
    to.list("peers", group.peers);
    to.list("interface-groups", group.interface_groups);
}

void write(Writer& to, const DraftTogether& set) {
    to.begin("together", set.at);
    to.text("name", set.name);
    to.list("groups", set.groups);
}

void write(Writer& to, const DraftTrack& track) {
    to.begin("track", track.at);
    to.text("name", track.name);
    to.line(track.subject);
    to.line(track.demote == 0 ? "withdraw = true" : fmt::format("demote = {}", track.demote));
    to.list("groups", track.groups);
    if (!track.timing.empty()) to.line(track.timing);
}

void write(Writer& to, const DraftHook& hook) {
    to.begin("hook", hook.at);
    to.list("on", hook.on);
    to.list("groups", hook.groups);
    to.list("command", hook.command);
}

}  // namespace

void Draft::to_do(DraftGroup& group, const Source& at, std::string text) {
    group.to_do.push_back(text);
    add(Finding::Kind::to_do, at, std::move(text));
}

void Draft::to_do(const Source& at, std::string text) {
    to_dos.push_back(text);
    add(Finding::Kind::to_do, at, std::move(text));
}

void Draft::check_once(std::string text) {
    const auto is_same = [&](const Finding& finding) { return finding.text == text; };
    if (std::none_of(findings.begin(), findings.end(), is_same)) check({}, std::move(text));
}

WrittenToml write_toml(const Draft& draft) {
    Writer to;
    to.line("# Made by `carpctl import`; see carpd.toml(5).");
    to.comment(draft.to_dos);
    to.number("hold-down", draft.hold_down);
    for (const auto& group : draft.groups) write(to, group);
    for (const auto& set : draft.together) write(to, set);
    for (const auto& track : draft.tracks) write(to, track);
    for (const auto& hook : draft.hooks) write(to, hook);
    return to.take();
}

Source WrittenToml::origin_of(std::uint32_t line) const {
    Source origin;
    for (const auto& [begin, at] : sections)
        if (begin <= line) origin = at;
    return origin;
}

std::string toml_string(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        if (c == '"' || c == '\\')
            out += fmt::format("\\{}", c);
        else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f)
            out += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
        else
            out += c;
    }
    return out + "\"";
}

std::string toml_list(const std::vector<std::string>& texts) {
    std::string out;
    for (const std::string& text : texts) out += (out.empty() ? "" : ", ") + toml_string(text);
    return "[" + out + "]";
}

}  // namespace carpd
