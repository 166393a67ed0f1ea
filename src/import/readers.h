// The readers: each takes all files of its kind, adds to the draft what it understands and says of the rest
// why not. Called by import.cc. Any text will do.
#pragma once

#include <vector>

#include "import/draft.h"
#include "import/import.h"

namespace carpd {

using ImportFiles = std::vector<const ImportFile*>;

void read_keepalived(const ImportFiles& files, Draft& draft);
void read_ucarp(const ImportFiles& files, Draft& draft);
void read_ifupdown(const ImportFiles& files, Draft& draft);
void read_openbsd(const ImportFiles& files, Draft& draft);
void read_freebsd(const ImportFiles& files, Draft& draft);
void read_config_xml(const ImportFiles& files, Draft& draft);

}  // namespace carpd
