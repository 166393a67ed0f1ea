#include "import/ucarp_settings.h"

#include <fmt/format.h>

#include <array>

namespace carpd {

namespace {

struct Option {
    char letter;
    std::string_view name;
    bool has_value;
};
constexpr std::array<Option, 21> kOptions = {{
    {'i', "interface", true}, {'s', "srcip", true},      {'m', "mcast", true},
    {'v', "vhid", true},      {'p', "pass", true},       {'o', "passfile", true},
    {'P', "preempt", false},  {'n', "neutral", false},   {'a', "addr", true},
    {'h', "help", false},     {'b', "advbase", true},    {'k', "advskew", true},
    {'u', "upscript", true},  {'d', "downscript", true}, {'r', "deadratio", true},
    {'z', "shutdown", false}, {'B', "daemonize", false}, {'S', "ignoreifstate", false},
    {'M', "nomcast", false},  {'f', "facility", true},   {'x', "xparam", true},
}};
constexpr Option kDebug{'D', "debug", false};

const Option* find_option(char letter) {
    if (letter == kDebug.letter) return &kDebug;
    for (const Option& option : kOptions)
        if (option.letter == letter) return &option;
    return nullptr;
}

// getopt_long takes any beginning of a name that no other one has; only whole names are known here.
const Option* find_option(std::string_view name) {
    if (name == kDebug.name) return &kDebug;
    for (const Option& option : kOptions)
        if (option.name == name) return &option;
    return nullptr;
}

void apply(char letter, const std::string& value, UcarpSettings& s) {
    switch (letter) {
        case 'i': s.interface = value; break;
        case 'm': s.multicast = value; break;
        case 'v': s.vhid = value; break;
        case 'p': s.password = value; break;
        case 'o': s.password_file = value; break;
        case 'P': s.preempt = true; break;
        case 'a': s.address = value; break;
        case 'b': s.advbase = value; break;
        case 'k': s.advskew = value; break;
        case 'u': s.up_script = value; break;
        case 'd': s.down_script = value; break;
        case 'r': s.dead_ratio = value; break;
        case 'S': s.ignore_link = true; break;
        case 'M': s.broadcast = true; break;
        case 'x': s.parameter = value; break;
        default: break;  // where it runs, what it logs, and its own address: carpd's own business
    }
}

class OptionReader {
 public:
    OptionReader(const std::vector<Word>& words, std::size_t first, UcarpSettings& settings)
        : words_(words), at_(first), settings_(settings) {}

    void read() {
        for (; at_ < words_.size(); ++at_) {
            const std::string& text = words_[at_].text;
            if (text.starts_with("--"))
                read_long(text.substr(2));
            else if (text.starts_with('-'))
                read_short(text);
            else if (text.find('>') == std::string::npos && text.find('<') == std::string::npos)
                settings_.unknown.push_back(text);
        }
    }

 private:
    void read_long(const std::string& text) {
        const std::size_t equals = text.find('=');
        const Option* option = find_option(std::string_view(text).substr(0, equals));
        if (option == nullptr) return settings_.unknown.push_back("--" + text);
        take(*option, equals == std::string::npos ? std::nullopt : std::optional(text.substr(equals + 1)));
    }

    void read_short(const std::string& text) {
        for (std::size_t i = 1; i < text.size(); ++i) {
            const Option* option = find_option(text[i]);
            if (option == nullptr) return settings_.unknown.push_back(text);
            const bool has_rest = i + 1 < text.size();
            take(*option, option->has_value && has_rest ? std::optional(text.substr(i + 1)) : std::nullopt);
            if (option->has_value) return;
        }
    }

    void take(const Option& option, std::optional<std::string> value) {
        if (option.has_value && !value && at_ + 1 < words_.size()) value = words_[++at_].text;
        // A script's own source address and the like are of no interest.
        if (words_[at_].has_variable && option.letter != 's' && option.letter != 'f')
            settings_.variables.push_back(fmt::format("--{} {}", option.name, value.value_or("")));
        else
            apply(option.letter, value.value_or(""), settings_);
    }

    const std::vector<Word>& words_;
    std::size_t at_;
    UcarpSettings& settings_;
};

void tell_of_scripts(const UcarpSettings& s, Draft& draft) {
    for (const std::string& script : {s.up_script, s.down_script}) {
        if (script.empty() || base_name(script) == "vip-up" || base_name(script) == "vip-down") continue;
        draft.no_match(
            s.at,
            fmt::format("{}: carpd brings the address up and down by itself; what else the script does, "
                        "a [[hook]] can",
                        script));
    }
    if (!s.parameter.empty())
        draft.no_match(s.at, fmt::format("xparam {}: write it into a hook's command", s.parameter));
}

void tell_of_differences(const UcarpSettings& s, Draft& draft) {
    if (!s.dead_ratio.empty() && s.dead_ratio != "3")
        draft.no_match(
            s.at, fmt::format("deadratio {}: a backup always waits for three advertisements", s.dead_ratio));
    if (s.ignore_link)
        draft.no_match(s.at, "ignoreifstate: a group whose interface has no link is always in INIT");
    if (s.broadcast)
        draft.no_match(
            s.at,
            "nomcast: carpd doesn't broadcast; where multicast doesn't pass, list the other hosts in peers");
    if (!s.multicast.empty() && s.multicast != "224.0.0.18")
        draft.no_match(s.at, fmt::format("mcast {}: CARP is sent to 224.0.0.18, or to peers", s.multicast));
    for (const std::string& word : s.unknown)
        draft.no_match(s.at, fmt::format("{}: is no option of ucarp", word));
}

}  // namespace

void read_ucarp_options(const std::vector<Word>& words, std::size_t first, UcarpSettings& settings) {
    OptionReader(words, first, settings).read();
}

void add_ucarp_group(const UcarpSettings& s, Draft& draft) {
    DraftGroup group;
    group.at = s.at;
    group.interface = s.interface;
    group.vhid = s.vhid;
    group.password = s.password;
    if (s.password.empty()) group.password_file = s.password_file;
    group.advbase = s.advbase;
    group.advskew = s.advskew;
    group.preempt = s.preempt;
    group.interface_mac = true;  // as ucarp has it
    for (const std::string& variable : s.variables)
        draft.to_do(group, s.at,
                    fmt::format("{}: variables are not understood; write what is meant", variable));
    draft.taken(s.at, fmt::format("the address {} is a [[group]]", s.address.empty() ? "?" : s.address));
    if (!s.address.empty()) {
        if (!s.prefix && s.address.find('/') == std::string::npos)
            draft.check(
                s.at,
                fmt::format("{} has no prefix length; write that of its subnet if hosts are reached by it",
                            s.address));
        group.addresses.push_back(with_prefix(s.address, s.prefix));
    }
    tell_of_scripts(s, draft);
    tell_of_differences(s, draft);
    draft.groups.push_back(std::move(group));
    draft.check_once(
        "ucarp and carpd understand each other, so hosts can move one after the other; stop ucarp before "
        "carpd "
        "is started on a host");
}

}  // namespace carpd
