#include "import/ucarp_settings.h"

#include <fmt/format.h>

#include "config/ucarp_options.h"

namespace carpd {

namespace {

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

void read_ucarp_words(const std::vector<Word>& words, std::size_t first, UcarpSettings& settings) {
    std::vector<std::string> texts;
    for (const Word& word : words) texts.push_back(word.text);
    const UcarpOptions options = read_ucarp_options(texts, first);
    for (const UcarpOption& option : options.given) {
        const std::string value = option.value.value_or("");
        // A script's own source address and the like are of no interest.
        if (words[option.word].has_variable && option.letter != 's' && option.letter != 'f')
            settings.variables.push_back(fmt::format("--{} {}", option.name, value));
        else
            apply(option.letter, value, settings);
    }
    settings.unknown.insert(settings.unknown.end(), options.unknown.begin(), options.unknown.end());
    for (const std::string& other : options.others)
        if (other.find_first_of("<>") == std::string::npos) settings.unknown.push_back(other);
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
