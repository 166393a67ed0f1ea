// keepalived.conf as a tree of statements.
#pragma once

#include <string>
#include <vector>

#include "import/import.h"

namespace carpd {

// A line's words and, if it has a block in braces, the statements in there.
struct Statement {
    Source at;
    std::vector<std::string> words;
    std::vector<Statement> children;
    bool has_variable = false;  // $NAME, ${NAME}, or @NAME, by which a line is for some hosts only

    // The word at that place, or nothing.
    std::string word(std::size_t index) const { return index < words.size() ? words[index] : ""; }
};

// Deeper blocks are taken as if their braces weren't there.
inline constexpr std::size_t kMostKeepalivedDepth = 8;

std::vector<Statement> parse_keepalived(const ImportFile& file);

}  // namespace carpd
