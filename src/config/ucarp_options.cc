#include "config/ucarp_options.h"

#include <array>

namespace carpd {

namespace {

struct Known {
    char letter;
    std::string_view name;
    bool wants_value;
};
constexpr std::array<Known, 22> kKnown = {{
    {'i', "interface", true}, {'s', "srcip", true},      {'m', "mcast", true},
    {'v', "vhid", true},      {'p', "pass", true},       {'o', "passfile", true},
    {'P', "preempt", false},  {'n', "neutral", false},   {'a', "addr", true},
    {'h', "help", false},     {'b', "advbase", true},    {'k', "advskew", true},
    {'u', "upscript", true},  {'d', "downscript", true}, {'r', "deadratio", true},
    {'z', "shutdown", false}, {'B', "daemonize", false}, {'S', "ignoreifstate", false},
    {'M', "nomcast", false},  {'f', "facility", true},   {'x', "xparam", true},
    {'D', "debug", false},
}};

const Known* find_option(char letter) {
    for (const Known& option : kKnown)
        if (option.letter == letter) return &option;
    return nullptr;
}

// A whole name, or a beginning of one that no other option has.
const Known* find_option(std::string_view name) {
    const Known* found = nullptr;
    for (const Known& option : kKnown) {
        if (option.name == name) return &option;
        if (!option.name.starts_with(name)) continue;
        if (found != nullptr) return nullptr;
        found = &option;
    }
    return found;
}

class OptionReader {
 public:
    OptionReader(const std::vector<std::string>& words, std::size_t first) : words_(words), at_(first) {}

    UcarpOptions read() {
        bool is_over = false;  // by "--"
        for (; at_ < words_.size(); ++at_) {
            const std::string& text = words_[at_];
            if (is_over || text.size() < 2 || text[0] != '-')
                options_.others.push_back(text);
            else if (text == "--")
                is_over = true;
            else if (text[1] == '-')
                read_long(text.substr(2));
            else
                read_short(text);
        }
        return std::move(options_);
    }

 private:
    void read_long(const std::string& text) {
        const std::size_t equals = text.find('=');
        const Known* option = find_option(std::string_view(text).substr(0, equals));
        const bool has_value = equals != std::string::npos;
        if (option == nullptr || (has_value && !option->wants_value))
            return options_.unknown.push_back("--" + text);
        take(*option, has_value ? std::optional(text.substr(equals + 1)) : std::nullopt);
    }

    void read_short(const std::string& text) {
        for (std::size_t i = 1; i < text.size(); ++i) {
            const Known* option = find_option(text[i]);
            if (option == nullptr) return options_.unknown.push_back(text);
            const bool has_rest = i + 1 < text.size();
            take(*option, option->wants_value && has_rest ? std::optional(text.substr(i + 1)) : std::nullopt);
            if (option->wants_value) return;
        }
    }

    void take(const Known& option, std::optional<std::string> value) {
        if (option.wants_value && !value && at_ + 1 < words_.size()) value = words_[++at_];
        options_.given.push_back({option.letter, option.name, option.wants_value, std::move(value), at_});
    }

    const std::vector<std::string>& words_;
    std::size_t at_;
    UcarpOptions options_;
};

}  // namespace

UcarpOptions read_ucarp_options(const std::vector<std::string>& words, std::size_t first) {
    return OptionReader(words, first).read();
}

}  // namespace carpd
