// Which script of ucarp's to run next: a pure object, that the helper of `carpd ucarp`
// (carpd/ucarp_helper.h) tells what becomes of the group.
//
// One runs at a time. What is wanted is a state, the address up or down: of changes that come while a script
// runs the last one counts, and the script for what is so already isn't run again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "control/helper_message.h"

namespace carpd {

class UcarpScripts {
 public:
    // `config.ucarp` is set.
    explicit UcarpScripts(const Config& config);

    void hear(const GroupNews& news);
    // The engine died: whatever it was, this host isn't MASTER now.
    void engine_ended();
    // Nobody serves the group any more, and nothing will be heard.
    void end();

    // The program and its arguments to run now, if any; then ended() is to be called once.
    std::optional<std::vector<std::string>> take();
    void ended() { is_running_ = false; }
    // Nothing runs, and nothing is to be run.
    bool is_idle() const { return !is_running_ && wanted_ == is_; }

 private:
    enum class Address : std::uint8_t { unknown, up, down };

    std::vector<std::string> command(const std::string& script) const;

    UcarpMode mode_;
    std::string interface_, address_;
    Address wanted_ = Address::unknown, is_ = Address::unknown;  // is_: by the last script that was run
    bool is_running_ = false;
};

}  // namespace carpd
