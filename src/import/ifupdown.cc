// Debian's /etc/network/interfaces, where ucarp-* options of an interface have /etc/network/if-up.d/ucarp
// start ucarp.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "base/addresses.h"
#include "import/readers.h"
#include "import/ucarp_settings.h"

namespace carpd {

namespace {

struct IfOption {
    Source at;
    std::string name, value;
};

struct Stanza {
    Source at;
    std::string interface;
    std::vector<IfOption> options;

    std::string get(std::string_view name) const {
        for (const IfOption& option : options)
            if (option.name == name) return option.value;
        return "";
    }
};

bool begins_other_stanza(const std::string& word) {
    return word == "auto" || word == "mapping" || word == "template" || word.starts_with("allow-") ||
           word == "no-auto-down" || word == "no-scripts" || word == "rename";
}

class Interfaces {
 public:
    explicit Interfaces(Draft& draft) : draft_(draft) {}

    void read(const ImportFile& file) {
        std::string line;
        std::uint32_t number = 0, first = 0;
        for (std::string_view part : lines_of(file.text)) {
            ++number;
            if (line.empty()) first = number;
            line += part;
            if (line.ends_with('\\')) {
                line.back() = ' ';
                continue;
            }
            read_line({file.name, first}, line);
            line.clear();
        }
        if (!line.empty()) read_line({file.name, first}, line);
        in_stanza_ = false;
    }

    void finish() {
        for (const Stanza& stanza : stanzas_)
            if (!stanza.get("ucarp-vid").empty() || !stanza.get("ucarp-vip").empty()) add(stanza);
    }

 private:
    void read_line(const Source& at, const std::string& line) {
        const auto words = split(line);
        if (words.empty() || words.front().starts_with('#')) return;
        const std::string& keyword = words.front();
        if (keyword == "iface") {
            in_stanza_ = true;
            stanzas_.push_back({at, words.size() > 1 ? words[1] : "", {}});
        } else if (keyword == "source" || keyword == "source-directory") {
            in_stanza_ = false;
            draft_.check(at, fmt::format("{} {}: if there is anything of ucarp in there, import it, too",
                                         keyword, words.size() > 1 ? words[1] : ""));
        } else if (begins_other_stanza(keyword)) {
            in_stanza_ = false;
        } else if (in_stanza_) {
            std::string value;
            for (std::size_t i = 1; i < words.size(); ++i) value += (i > 1 ? " " : "") + words[i];
            stanzas_.back().options.push_back({at, keyword, value});
        }
    }

    void add(const Stanza& stanza) {
        UcarpSettings s;
        s.at = stanza.at;
        s.interface = stanza.interface;
        s.address = stanza.get("ucarp-vip");
        s.prefix = prefix_of(stanza, s.address);
        for (const IfOption& option : stanza.options)
            if (option.name.starts_with("ucarp-")) apply(option, s);
        // Then the script in if-up.d doesn't start ucarp at all.
        if (s.password.empty() || s.vhid.empty() || s.address.empty())
            draft_.check(stanza.at,
                         "without ucarp-vid, ucarp-vip and ucarp-password ucarp was not even started");
        add_ucarp_group(s, draft_);
        tell_of_alias(stanza.interface + ":ucarp");
        draft_.check_once(
            "remove the ucarp-* lines from the interfaces file, and the stanza of the shared address");
    }

    void apply(const IfOption& option, UcarpSettings& s) {
        static const std::map<std::string_view, std::string UcarpSettings::*> kTexts = {
            {"ucarp-vid", &UcarpSettings::vhid},
            {"ucarp-vip", &UcarpSettings::address},
            {"ucarp-password", &UcarpSettings::password},
            {"ucarp-advskew", &UcarpSettings::advskew},
            {"ucarp-advbase", &UcarpSettings::advbase},
            {"ucarp-deadratio", &UcarpSettings::dead_ratio},
            {"ucarp-xparam", &UcarpSettings::parameter},
            {"ucarp-upscript", &UcarpSettings::up_script},
            {"ucarp-downscript", &UcarpSettings::down_script}};
        if (const auto text = kTexts.find(option.name); text != kTexts.end())
            s.*text->second = option.value;
        else if (option.name == "ucarp-master")
            s.preempt = is_yes(option.value);
        else if (option.name == "ucarp-nomcast")
            s.broadcast = is_yes(option.value);
        else if (option.name != "ucarp-facility")
            draft_.no_match(option.at, fmt::format("{}: the ucarp package doesn't know it", option.name));
    }

    // As the script in if-up.d has it.
    static bool is_yes(const std::string& value) {
        return !value.starts_with("no") && !value.starts_with("off") && !value.starts_with("false") &&
               !value.starts_with("0");
    }

    const Stanza* find_alias(const std::string& interface) const {
        const auto found = std::find_if(stanzas_.begin(), stanzas_.end(),
                                        [&](const Stanza& s) { return s.interface == interface; });
        return found == stanzas_.end() ? nullptr : &*found;
    }

    // That of the alias, or of the interface if the address is in its subnet.
    std::optional<unsigned> prefix_of(const Stanza& stanza, const std::string& address) const {
        const Stanza* alias = find_alias(stanza.interface + ":ucarp");
        if (alias != nullptr && own_address(*alias) == address) return own_prefix(*alias);
        const auto shared = IpAddress::parse(address), own = IpAddress::parse(own_address(stanza));
        const auto prefix = own_prefix(stanza);
        if (!shared || !own || !prefix || *prefix > shared->bit_count()) return std::nullopt;
        return shared->shares_prefix(*own, static_cast<std::uint8_t>(*prefix)) ? prefix : std::nullopt;
    }

    static std::string own_address(const Stanza& stanza) {
        const std::string address = stanza.get("address");
        return address.substr(0, address.find('/'));
    }
    static std::optional<unsigned> own_prefix(const Stanza& stanza) {
        const std::string address = stanza.get("address");
        const std::size_t slash = address.find('/');
        return prefix_length(slash == std::string::npos ? stanza.get("netmask") : address.substr(slash + 1));
    }

    // Commands that were run along with the address.
    void tell_of_alias(const std::string& interface) {
        const Stanza* alias = find_alias(interface);
        if (alias == nullptr) return;
        for (const IfOption& option : alias->options)
            if (option.name == "up" || option.name == "down" || option.name.starts_with("pre-") ||
                option.name.starts_with("post-"))
                draft_.no_match(option.at,
                                fmt::format("{} {}: write a [[hook]] on \"{}\"", option.name, option.value,
                                            option.name.ends_with("up") ? "master" : "backup"));
    }

    Draft& draft_;
    std::vector<Stanza> stanzas_;
    bool in_stanza_ = false;
};

}  // namespace

void read_ifupdown(const ImportFiles& files, Draft& draft) {
    Interfaces interfaces(draft);
    for (const ImportFile* file : files) interfaces.read(*file);
    interfaces.finish();
}

}  // namespace carpd
