// What ucarp is told, by whatever way, as a group. For read_ucarp and read_ifupdown.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "import/draft.h"
#include "import/words.h"

namespace carpd {

struct UcarpSettings {
    Source at;
    std::string interface, vhid, address, password, password_file, advbase, advskew, dead_ratio, multicast,
        parameter;
    std::string up_script, down_script;
    std::optional<unsigned> prefix;  // where the file tells it
    bool preempt = false, broadcast = false, ignore_link = false;
    std::vector<std::string> unknown;    // options that ucarp doesn't have
    std::vector<std::string> variables;  // options whose value the shell would fill in
};

// Reads options as ucarp(8) does (config/ucarp_options.h), from `words[first]` on.
void read_ucarp_words(const std::vector<Word>& words, std::size_t first, UcarpSettings& settings);

// The settings as a group, and what to know of it.
void add_ucarp_group(const UcarpSettings& settings, Draft& draft);

}  // namespace carpd
