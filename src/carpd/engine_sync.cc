// The engine's part for state synchronisation: what it and `carpd: sync` tell each other of takeovers.
#include <fmt/format.h>

#include "carpd/engine.h"
#include "control/human.h"
#include "linux/log.h"

namespace carpd {

void Engine::configure_sync(const std::optional<SyncConfig>& sync) {
    kernel_.sync.set_wanted(sync.has_value());
    const Duration wait = sync ? sync->commit_wait : Duration(0);
    pump_.input(now_, [&](Node& node, Actions& out) { node.set_commit_wait(now_, wait, out); });
    follow_sync();
}

void Engine::perform(std::span<const CommitFlows> actions) {
    const std::uint64_t takeover = kernel_.sync.begin_takeover();
    for (const CommitFlows& action : actions) groups_[action.group].takeover = takeover;
    kernel_.sync.tell(now_, true);
}

void Engine::hear_sync() {
    const std::uint64_t before = kernel_.sync.committed();
    kernel_.sync.wake(now_);
    if (kernel_.sync.committed() == before) return;
    pump_.input(now_, [this](Node& node, Actions& out) {
        for (GroupId id = 0; id < groups_.size(); ++id) {
            if (groups_[id].takeover == 0 || groups_[id].takeover > kernel_.sync.committed()) continue;
            groups_[id].takeover = 0;
            node.handle_committed(now_, id, out);
        }
    });
}

// Who is MASTER, and how complete the copy is, changes with nearly everything, and with time.
void Engine::follow_sync() {
    kernel_.sync.tell(now_, node_.masters() > 0);
    const int demotion = kernel_.sync.demotion(now_);
    if (demotion == sync_demotion_) return;
    sync_demotion_ = demotion;
    if (const auto status = kernel_.sync.status(now_)) {
        if (demotion != 0)
            log(LogLevel::warning,
                fmt::format("this host lacks flows of its peers ({}): its groups are demoted by {}",
                            explain_incomplete(status->incomplete), demotion));
        else
            log(LogLevel::notice,
                status->incomplete == "no"
                    ? "this host has all flows of its peers"
                    : "this host lacks flows of its peers, but is MASTER: what it has counts");
    }
    pump_.input(now_, [&](Node& node, Actions& out) { node.demote_for_sync(now_, demotion, out); });
}

}  // namespace carpd
