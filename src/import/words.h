// Lines and words of foreign files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carpd {

struct Word {
    std::string text;
    std::uint32_t line = 0;     // where it begins
    bool has_variable = false;  // $ outside of single quotes
};
using ShellCommand = std::vector<Word>;  // never empty

// As sh(1) divides a script: quotes, backslashes, comments, and ends of commands at newlines, ;, & and |.
// Variables and substitutions stay as they stand.
std::vector<ShellCommand> shell_commands(std::string_view text);
// NAME=value as its two halves; nothing if the word is none.
std::optional<std::pair<std::string, std::string>> assignment(const Word& word);
// Between blanks.
std::vector<std::string> split(std::string_view text);
std::vector<std::string_view> lines_of(std::string_view text);  // without \n and \r

std::string base_name(std::string_view path);
// 255.255.255.0, 0xffffff00 or 24; nothing if it is no netmask.
std::optional<unsigned> prefix_length(std::string_view netmask);
// "192.0.2.1/24": the address as it is where it has a prefix length, otherwise with `prefix`, or as a single
// host.
std::string with_prefix(std::string_view address, std::optional<unsigned> prefix = {});
// Whether it is an IP address, with or without prefix length.
bool is_address(std::string_view text);

}  // namespace carpd
