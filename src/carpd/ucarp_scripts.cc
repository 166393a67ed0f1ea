#include "carpd/ucarp_scripts.h"

#include <utility>

namespace carpd {

UcarpScripts::UcarpScripts(const Config& config)
    : mode_(*config.ucarp),
      interface_(config.groups.front().interface),
      address_(config.groups.front().addresses.front().address.to_string()) {}

void UcarpScripts::hear(const GroupNews& news) {
    // That carpd stops doesn't take the address away: end() may.
    if (news.kind == GroupNews::Kind::reasserted || news.cause == to_identifier(Cause::stopped)) return;
    if (news.state == State::master)
        wanted_ = Address::up;
    else if (wanted_ == Address::up || !mode_.is_neutral)
        wanted_ = Address::down;
}

void UcarpScripts::engine_ended() {
    if (wanted_ == Address::up) wanted_ = Address::down;
}

void UcarpScripts::end() {
    if (mode_.runs_down_script_at_end) engine_ended();
}

std::optional<std::vector<std::string>> UcarpScripts::take() {
    if (is_running_ || wanted_ == is_) return std::nullopt;
    is_ = wanted_;
    const std::string& script = wanted_ == Address::up ? mode_.up_script : mode_.down_script;
    if (script.empty()) return std::nullopt;
    is_running_ = true;
    return command(script);
}

std::vector<std::string> UcarpScripts::command(const std::string& script) const {
    std::vector<std::string> argv = {script, interface_, address_};
    if (!mode_.parameter.empty()) argv.push_back(mode_.parameter);
    return argv;
}

}  // namespace carpd
