// `carpctl import`: other programs' configurations to a carpd.toml, and what a person has to know of the way
// over (docs/man/carpctl.8, IMPORT). Text in, text out: who calls it has read the files.
//
// A reader for each kind of file (readers.h) fills a Draft (draft.h), which is written as TOML and then read
// by carpd's own parser: what is printed without a `# TO DO:` is a configuration that carpd takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"

namespace carpd {

enum class ImportKind : std::uint8_t {
    keepalived,  // keepalived.conf
    ucarp,       // command lines in scripts and units; Fedora's vip-common.conf with vip-NNN.conf
    ifupdown,    // Debian's /etc/network/interfaces with ucarp-vid
    openbsd,     // hostname.carpN
    freebsd,     // rc.conf
    config_xml,  // config.xml of pfSense and OPNsense
};

inline constexpr std::string_view kImportKinds[] = {"keepalived", "ucarp",   "ifupdown",
                                                    "openbsd",    "freebsd", "config-xml"};

std::string_view to_string(ImportKind kind);
std::optional<ImportKind> parse_import_kind(std::string_view name);

inline constexpr std::size_t kMaxImportSize = 1 << 20;  // bytes of a file

struct ImportFile {
    std::string name;  // as the user typed it
    std::string text;
};

// The kind by the file's name, or by what it says; nothing if neither tells.
std::optional<ImportKind> guess_import_kind(const ImportFile& file);

// A line of a file; line 0: the file, or all of them, as a whole.
struct Source {
    std::string file;
    std::uint32_t line = 0;
};

struct Finding {
    enum class Kind : std::uint8_t {
        taken,     // it stands in the carpd.toml, or carpd needs no such thing
        check,     // taken over, but a person must look at it
        no_match,  // left out
        to_do,     // the carpd.toml is not complete without it
    };
    Kind kind;
    Source at;
    std::string text;
};

struct Imported {
    std::string toml;
    std::vector<Finding> findings;  // in the order in which they were found
    bool is_complete = false;       // the text is valid and nothing is to do

    // For people, by kind, a line for each; without control characters.
    std::string report() const;
};

// Of one host. All files are of the kind `from`, or of the kind that is guessed for each. The error is a line
// for people: a file of unknown kind, or one that is too large.
Expected<Imported, std::string> import_files(const std::vector<ImportFile>& files,
                                             std::optional<ImportKind> from = {});

}  // namespace carpd
