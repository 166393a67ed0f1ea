// ucarp(8)'s command line as options, in every form that getopt_long(3) takes. Of what the options mean it
// knows nothing: that is for config/ucarp_command.h, which carpd runs, and for import/ucarp_settings.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace carpd {

// One that was given.
struct UcarpOption {
    char letter;            // 'i', also where it was given as --interface or --int
    std::string_view name;  // "interface"
    bool wants_value;
    std::optional<std::string> value;  // nothing: it wants none, or there was none left
    std::size_t word;                  // which word has the value, or else the option
};

struct UcarpOptions {
    std::vector<UcarpOption> given;    // in their order: the last one of a kind counts
    std::vector<std::string> unknown;  // words that begin as options do, and are none
    std::vector<std::string> others;   // words that are no options at all, which ucarp ignores
};

// From `words[first]` on.
UcarpOptions read_ucarp_options(const std::vector<std::string>& words, std::size_t first = 0);

}  // namespace carpd
