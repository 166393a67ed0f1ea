// What a reload would change, in words (`carpctl config diff`). Pure. The effects are those of
// carpd/engine_reload.cc and what it calls.
#pragma once

#include <string>
#include <vector>

#include "carpctl/parts.h"
#include "config/description.h"

namespace carpd {

struct ChangedSetting {
    Setting from, to;  // of one key
};

struct ConfigChange {
    enum class Kind : std::uint8_t { added, removed, changed };
    Kind kind;
    Section section;                       // as it would be; as it is if it is removed
    std::vector<ChangedSetting> settings;  // of a section that is changed
    std::vector<std::string> effects;      // what it would cost, sentences
};

// `status` is the running daemon's: who is MASTER says what a change costs.
std::vector<ConfigChange> compare(const std::vector<Section>& running, const std::vector<Section>& wanted,
                                  const Json& status);

std::string render_changes(const std::vector<ConfigChange>& changes, const Paint& paint);
Json changes_json(const std::vector<ConfigChange>& changes);

}  // namespace carpd
