// What goes into `carpctl bundle` and what doesn't. Pure; bundle_command.cc gathers and writes it.
#pragma once

#include <string>
#include <vector>

#include "carpctl/parts.h"
#include "config/description.h"

namespace carpd {

// Descriptions have no keys (config/description.h). What else may be secret is replaced: arguments of
// programs, and what stands behind the server in an URL.
std::vector<Section> without_private(std::vector<Section> sections);

// The passwords and keys of a configuration, in all forms in which they may be written down.
class Secrets {
 public:
    Secrets() = default;  // none are known
    explicit Secrets(const Config& config);

    // What others wrote, without the lines that have a secret. Those of fewer than four bytes are not looked
    // for: they stand everywhere.
    std::string keep_out_of(const std::string& text) const;

 private:
    void add(Bytes bytes);
    std::vector<std::string> forms_;
};

struct BundleFile {
    std::string name, what;  // what it is, for people
    std::string text;
    std::string note{};  // that it was cut, or what fails
};

// The list of what is in the archive, and at its end what could not be had.
std::string manifest(const std::vector<BundleFile>& files);
Json manifest_json(const std::string& archive, const std::vector<BundleFile>& files);

}  // namespace carpd
