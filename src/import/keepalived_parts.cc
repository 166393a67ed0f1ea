#include "import/keepalived_parts.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>

#include "config/values.h"
#include "import/words.h"

namespace carpd {

// ---- values

std::string name_of(std::string text) {
    std::replace_if(
        text.begin(), text.end(), [](char c) { return c == ' ' || c == '\t'; }, '_');
    return text;
}

std::optional<int> parse_ms(std::string_view text) {
    const std::size_t point = std::min(text.find('.'), text.size());
    const auto whole = point == 0 ? std::optional(0u) : parse_number(text.substr(0, point));
    std::string fraction(text.substr(std::min(point + 1, text.size())));
    if (!whole || *whole > 1'000'000) return std::nullopt;
    fraction.resize(3, '0');
    const auto rest = parse_number(fraction);
    if (!rest) return std::nullopt;
    return static_cast<int>(std::min(*whole, 1'000'000u)) * 1000 + static_cast<int>(*rest);
}

std::string seconds_up(const std::string& text, int least, int most) {
    const auto ms = parse_ms(text);
    return ms ? fmt::format("{}", std::clamp((*ms + 999) / 1000, least, most)) : text;
}

std::vector<PlacedAddress> addresses_of(const Statement& s) {
    std::vector<PlacedAddress> addresses;
    for (std::size_t i = 0; i < s.words.size(); ++i) {
        const std::string& word = s.words[i];
        if (word == "dev" && i + 1 < s.words.size()) {
            if (!addresses.empty()) addresses.back().device = s.words[i + 1];
            ++i;
        } else if (word == "brd" || word == "broadcast" || word == "label" || word == "peer" ||
                   word == "scope") {
            ++i;
        } else if (addresses.empty() || is_address(word)) {
            addresses.push_back({word, ""});
        }
    }
    return addresses;
}

// ---- the election

void set_pace(const KeepalivedPace& pace, DraftGroup& group, Draft& draft) {
    const auto priority = parse_number(pace.priority);
    const auto ms = parse_ms(pace.interval);
    if (!priority || *priority < 1 || *priority > 255)
        return draft.to_do(group, pace.priority_at,
                           fmt::format("priority '{}' is not 1 to 255; write an advskew", pace.priority));
    if (!ms || *ms < 1)
        return draft.to_do(group, pace.interval_at,
                           fmt::format("advert_int '{}' is no interval; write an advbase", pace.interval));
    if (*priority == 255)
        draft.check(pace.priority_at,
                    "priority 255 is VRRP's owner of the addresses, which CARP doesn't have: carpd must be "
                    "the only one to bring them up");
    // VRRP 2 has whole seconds, to which keepalived rounds.
    const bool is_ipv6 = !group.addresses.empty() && group.addresses.front().find(':') != std::string::npos;
    if (*ms < 1000 && pace.version != "3" && !is_ipv6)
        draft.check(pace.interval_at,
                    fmt::format("advert_int {} is a second in VRRP 2, and so it is written", pace.interval));
    else if (*ms < 1000) {  // with advbase 0 the pace is all in advskew: what VRRP waits beyond two intervals
        const int skew = std::clamp((*ms * (511 - static_cast<int>(*priority)) + 500) / 1000, 1, 254);
        group.advbase = "0";
        group.advskew = fmt::format("{}", skew);
        return draft.check(
            pace.interval_at,
            fmt::format(
                "advert_int {} is now advbase 0 and advskew {}, in 1/256 s: give each host of the group "
                "another one, the best master the smallest",
                pace.interval, skew));
    }
    group.advbase = fmt::format("{}", std::max((*ms + 500) / 1000, 1));
    group.advskew = fmt::format("{}", 255 - *priority);
    if (*ms % 1000 != 0 && *ms > 1000)
        draft.check(pace.interval_at, fmt::format("advert_int {} is now advbase {}: it takes whole seconds",
                                                  pace.interval, group.advbase));
    if (255 - *priority > 240)
        draft.check(pace.priority_at,
                    fmt::format("priority {} is now advskew {}: above 240 a demoted host may count as better",
                                *priority, 255 - *priority));
}

// ---- scripts

namespace {

// Without a shell if it is a program with plain arguments. /dev/tcp is bash's.
std::vector<std::string> command_of(const std::string& script) {
    auto words = split(script);
    const bool is_plain_command = script.find_first_of("\"'`$<>|&;*?()\\") == std::string::npos;
    if (is_plain_command && !words.empty() && words.front().starts_with('/')) return words;
    const bool is_bash = script.find("/dev/tcp/") != std::string::npos;
    return {is_bash ? "/bin/bash" : "/bin/sh", "-c", script};
}

std::string joined(const Statement& s, std::size_t from) {
    std::string text;
    for (std::size_t i = from; i < s.words.size(); ++i) text += (text.empty() ? "" : " ") + s.words[i];
    return text;
}

// The script may stand in quotes with its arguments, and behind it a user.
std::string script_of(const Statement& s) {
    return s.word(1).find(' ') != std::string::npos || s.words.size() == 2 ? s.word(1) : joined(s, 1);
}

std::string shell_quoted(std::string_view text) {
    std::string out = "'";
    for (char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return out + "'";
}

}  // namespace

bool read_notify(const Statement& s, const Notified& what, const std::string& group, Draft& draft) {
    const std::string keyword = s.word(0);
    DraftHook hook{s.at, {}, {group}, command_of(script_of(s))};
    if (keyword == "notify_master")
        hook.on = {"master"};
    else if (keyword == "notify_backup")
        hook.on = {"backup"};
    else if (keyword == "notify_fault")
        hook.on = {"init"};
    else if (keyword == "notify") {
        hook.command = {
            "/bin/sh", "-c",
            fmt::format("case $CARPD_STATE in master) s=MASTER;; backup) s=BACKUP;; *) s=FAULT;; esac; "
                        "exec {} {} {} $s {}",
                        script_of(s), what.type, shell_quoted(what.name),
                        what.priority.empty() ? "0" : shell_quoted(what.priority))};
    } else {
        return false;
    }
    if (s.word(1).empty() || s.has_variable) {
        draft.no_match(s.at, keyword + ": there is no script, or a variable in it, which is not understood");
        return true;
    }
    draft.taken(s.at, keyword + " is a [[hook]]");
    draft.check(
        s.at,
        fmt::format(
            "{}: hooks are told the state that a group is in, perhaps not for the first time, and have 10 s",
            keyword));
    if (script_of(s).find("conntrackd") != std::string::npos)
        draft.check(s.at, "conntrackd: carpd's [sync] does what it does; then remove the hook");
    draft.hooks.push_back(std::move(hook));
    return true;
}

void read_include(const Statement& s, const std::vector<std::string>& given, Draft& draft) {
    const std::string pattern = base_name(s.word(1));
    const std::string own = base_name(s.at.file);
    const auto is_it = [&](const std::string& name) {
        return name != own && fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
    };
    if (std::any_of(given.begin(), given.end(), is_it))
        draft.taken(s.at, fmt::format("include {}: was given, too", s.word(1)));
    else
        draft.to_do(s.at, fmt::format("include {}: import these files together with this one", s.word(1)));
}

bool KeepalivedTracks::is_definition(const std::string& keyword) {
    return keyword == "vrrp_script" || keyword == "vrrp_track_process";
}

void KeepalivedTracks::define(const Statement& s) {
    if (s.word(0) == "vrrp_script") define_script(s);
    if (s.word(0) == "vrrp_track_process") define_process(s);
}

void KeepalivedTracks::define_script(const Statement& block) {
    Definition script{block.at, "", "", "0"};
    std::string interval = "1", timeout, rise = "1", fall = "1";
    for (const Statement& s : block.children) {
        const std::string keyword = s.word(0);
        if (keyword == "script" && s.has_variable)
            draft_.no_match(s.at, "script: variables of keepalived are not understood");
        if (keyword == "script")
            script.subject = "script = " + toml_list(command_of(script_of(s)));
        else if (keyword == "interval")
            interval = seconds_up(s.word(1), 1, 3600);
        else if (keyword == "timeout")
            timeout = seconds_up(s.word(1), 1, 3600);
        else if (keyword == "rise")
            rise = s.word(1);
        else if (keyword == "fall")
            fall = s.word(1);
        else if (keyword == "weight")
            script.weight = joined(s, 1);
        else
            draft_.no_match(s.at, fmt::format("{}: carpd has nothing like it for a script", keyword));
    }
    const auto number = [](const std::string& text, unsigned otherwise) {
        return parse_number(text).value_or(otherwise);
    };
    const unsigned every = number(interval, 1);
    if (number(timeout, every) > every)
        draft_.check(block.at, fmt::format("timeout {} is now {}: a check ends before the next begins",
                                           timeout, every));
    script.timing = fmt::format("interval = {}\ntimeout = {}\nrise = {}\nfall = {}", every,
                                std::min(number(timeout, every), every), number(rise, 1), number(fall, 1));
    scripts_[block.word(1)] = std::move(script);
}

void KeepalivedTracks::define_process(const Statement& block) {
    Definition process{block.at, "", "", "1"};
    for (const Statement& s : block.children) {
        if (s.word(0) == "process") {
            process.subject = "process = " + toml_string(s.word(1));
            if (s.words.size() > 2) draft_.check(s.at, "process: its arguments are not looked at");
        } else if (s.word(0) == "weight") {
            process.weight = joined(s, 1);
        } else {
            draft_.no_match(s.at, fmt::format("{}: carpd has nothing like it for a process", s.word(0)));
        }
    }
    processes_[block.word(1)] = std::move(process);
}

bool KeepalivedTracks::read(const Statement& s, const std::vector<std::string>& groups) {
    const std::string keyword = s.word(0);
    if (keyword != "track_interface" && keyword != "track_script" && keyword != "track_process") return false;
    for (const Statement& child : s.children) {
        const auto weight_word = std::find(child.words.begin(), child.words.end(), "weight");
        std::string weight;
        for (auto word = weight_word; word != child.words.end(); ++word)
            if (word != weight_word) weight += *word + " ";
        const std::string name = child.word(0);
        if (keyword == "track_interface") {
            add(child.at, name_of(name), "interface = " + toml_string(name), "", weight, groups);
            continue;
        }
        auto& definitions = keyword == "track_script" ? scripts_ : processes_;
        const auto found = definitions.find(name);
        if (found == definitions.end() || found->second.subject.empty()) {
            draft_.no_match(child.at, fmt::format("{} {}: is not defined in these files", keyword, name));
            continue;
        }
        Definition& of = found->second;
        of.is_used = true;
        add(of.at, name_of(name), of.subject, of.timing, weight.empty() ? of.weight : weight, groups);
    }
    return true;
}

void KeepalivedTracks::add(const Source& at, const std::string& name, const std::string& subject,
                           const std::string& timing, const std::string& weight,
                           const std::vector<std::string>& groups) {
    if (groups.empty()) return;
    const auto words = split(weight);
    std::string digits = words.empty() ? "0" : words.front();
    if (digits.starts_with('-') || digits.starts_with('+')) digits.erase(0, 1);
    const auto number = parse_number(digits);
    if (!number || std::find(words.begin(), words.end(), "reverse") != words.end())
        return draft_.no_match(
            at, fmt::format("weight {}of {}: carpd has only what fails, or doesn't", weight, name));
    const int demote = static_cast<int>(std::min(*number, 240u));
    const auto same = std::find_if(draft_.tracks.begin(), draft_.tracks.end(), [&](const DraftTrack& track) {
        return track.subject == subject && track.timing == timing && track.demote == demote;
    });
    if (same != draft_.tracks.end()) {
        for (const std::string& group : groups)
            if (std::find(same->groups.begin(), same->groups.end(), group) == same->groups.end())
                same->groups.push_back(group);
        return;
    }
    const auto is_taken = [&](const std::string& wanted) {
        return std::any_of(draft_.tracks.begin(), draft_.tracks.end(),
                           [&](const DraftTrack& t) { return t.name == wanted; });
    };
    std::string unique = name;
    for (int i = 2; is_taken(unique); ++i) unique = fmt::format("{}-{}", name, i);
    draft_.tracks.push_back({at, unique, subject, demote, groups, timing});
    draft_.taken(at, fmt::format("{} is a [[track]]", unique));
    if (demote != 0)
        draft_.check_once(
            "weights: who fails a check loses against each host that fails less, whatever advskew they have; "
            "among those that fail, the smaller sum of what demotes them wins");
    else
        draft_.check_once("tracks without weight withdraw their groups: where all hosts fail, nobody serves");
}

void KeepalivedTracks::finish() {
    for (const auto* definitions : {&scripts_, &processes_})
        for (const auto& [name, definition] : *definitions)
            if (!definition.is_used)
                draft_.no_match(definition.at, fmt::format("{}: nothing tracks it", name));
}

}  // namespace carpd
