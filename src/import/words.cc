#include "import/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <charconv>

#include "base/addresses.h"
#include "config/values.h"

namespace carpd {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

class Shell {
 public:
    explicit Shell(std::string_view text) : text_(text) {}

    std::vector<ShellCommand> take() {
        while (at_ < text_.size()) step();
        end_command();
        return std::move(commands_);
    }

 private:
    char next() {
        const char c = text_[at_++];
        if (c == '\n') ++line_;
        return c;
    }

    void step() {
        const char c = text_[at_];
        if (is_blank(c)) {
            next();
            end_word();
        } else if (c == '\n' || c == ';' || c == '&' || c == '|') {
            end_command();
            next();
        } else if (c == '#' && !in_word_) {
            while (at_ < text_.size() && text_[at_] != '\n') next();
        } else {
            take_part();
        }
    }

    // Of a word: a character or what is between quotes.
    void take_part() {
        if (text_[at_] == '\\') {
            next();
            if (at_ == text_.size()) return;
            if (text_[at_] == '\n' || text_[at_] == '\r') {
                if (next() == '\r' && at_ < text_.size() && text_[at_] == '\n') next();
                return;  // the command goes on
            }
            begin_word();
            word_.text += next();
            return;
        }
        begin_word();
        const char c = next();
        if (c == '\'' || c == '"')
            take_quoted(c);
        else
            add(c);
    }

    void take_quoted(char quote) {
        while (at_ < text_.size() && text_[at_] != quote) {
            char c = next();
            if (quote == '\'') {
                word_.text += c;
                continue;
            }
            if (c == '\\' && at_ < text_.size()) {
                c = next();
                if (c == '\n') continue;
                if (std::string_view("\"\\$`").find(c) == std::string_view::npos) word_.text += '\\';
                word_.text += c;
                continue;
            }
            add(c);
        }
        if (at_ < text_.size()) next();
    }

    void add(char c) {
        word_.has_variable |= c == '$' || c == '`';
        word_.text += c;
    }

    void begin_word() {
        if (!in_word_) word_ = {{}, line_, false};
        in_word_ = true;
    }

    void end_word() {
        if (in_word_) command_.push_back(std::move(word_));
        in_word_ = false;
    }

    void end_command() {
        end_word();
        if (!command_.empty()) commands_.push_back(std::move(command_));
        command_.clear();
    }

    const std::string_view text_;
    std::size_t at_ = 0;
    std::uint32_t line_ = 1;
    bool in_word_ = false;
    Word word_;
    ShellCommand command_;
    std::vector<ShellCommand> commands_;
};

std::optional<std::uint32_t> parse_hex(std::string_view digits) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
}

}  // namespace

std::vector<ShellCommand> shell_commands(std::string_view text) {
    return Shell(text).take();
}

std::optional<std::pair<std::string, std::string>> assignment(const Word& word) {
    const std::size_t equals = word.text.find('=');
    if (equals == std::string::npos || equals == 0) return std::nullopt;
    const auto is_name = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
    if (!std::all_of(word.text.begin(), word.text.begin() + static_cast<std::ptrdiff_t>(equals), is_name))
        return std::nullopt;
    return std::pair(word.text.substr(0, equals), word.text.substr(equals + 1));
}

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = text.find_first_not_of(" \t\r\n", at);
        if (begin == std::string_view::npos) break;
        at = std::min(text.find_first_of(" \t\r\n", begin), text.size());
        words.emplace_back(text.substr(begin, at - begin));
    }
    return words;
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        if (line.ends_with('\r')) line.remove_suffix(1);
        lines.push_back(line);
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

std::string base_name(std::string_view path) {
    return std::string(path.substr(path.rfind('/') + 1));
}

std::optional<unsigned> prefix_length(std::string_view netmask) {
    if (const auto number = parse_number(netmask)) return *number <= 128 ? number : std::nullopt;
    std::uint32_t mask = 0;
    if (netmask.starts_with("0x")) {
        const auto value = parse_hex(netmask.substr(2));
        if (!value) return std::nullopt;
        mask = *value;
    } else {
        const auto address = IpAddress::parse(netmask);
        if (!address || address->family() != Family::ipv4) return std::nullopt;
        for (std::uint8_t byte : address->bytes()) mask = mask << 8 | byte;
    }
    const auto ones = static_cast<unsigned>(std::countl_one(mask));
    return ones == 32 || (mask << ones) == 0 ? std::optional(ones) : std::nullopt;
}

std::string with_prefix(std::string_view address, std::optional<unsigned> prefix) {
    if (address.find('/') != std::string_view::npos) return std::string(address);
    const bool is_ipv6 = address.find(':') != std::string_view::npos;
    return fmt::format("{}/{}", address, prefix.value_or(is_ipv6 ? 128 : 32));
}

bool is_address(std::string_view text) {
    return IpAddress::parse(text.substr(0, text.find('/'))).has_value();
}

}  // namespace carpd
