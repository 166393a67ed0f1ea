// Which hook is to run next: a pure object, that the helper (carpd/helper.h) tells what happens and asks what
// to start.
//
// For one group hooks run one after the other, in the order of what happened, and for one event in the order
// of the file; groups don't wait for each other, unless kMaxRunning run. Behind a running hook up to
// kMaxWaiting events of its group wait. Of more, the last one takes the place of the one before it, so that
// the state that the group is in is told in the end, and of those in between the next that is told says how
// many there were.
//
// What is told is state: a hook that is new learns the state of its groups, as does every hook when the
// helper is new, and nobody is told the same state twice in a row.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"
#include "control/helper_message.h"

namespace carpd {

// One hook for one event.
struct HookRun {
    std::shared_ptr<const HookConfig> hook;
    GroupNews news;
    std::string previous;      // state, or "unknown"
    std::uint64_t missed = 0;  // events of the group that were left out before this one
};

// What the hook finds in its environment (docs/man/carpd.toml.5), as NAME=value.
std::vector<std::string> hook_environment(const HookRun& run);

class HookQueue {
 public:
    static constexpr std::size_t kMaxWaiting = 16;
    static constexpr int kMaxRunning = 16;

    // The configuration as it is now; hooks that run and events that wait stay. `groups` are all names.
    void configure(const std::vector<HookConfig>& hooks, const std::vector<std::string>& groups);
    void add(const GroupNews& news);
    // All groups are in INIT by now. `time` and `sequence` as in GroupNews.
    void engine_ended(const std::string& time, std::uint64_t sequence);

    // What to start now, if anything. For each, ended() is to be called once.
    std::optional<HookRun> take();
    void ended(const std::string& group);

    // Nothing runs, nothing waits.
    bool is_idle() const { return running_ == 0 && ready_.empty(); }
    std::uint64_t missed() const { return missed_; }

 private:
    using Hook = std::shared_ptr<const HookConfig>;
    struct Event {
        GroupNews news;
        std::string previous;
        std::uint64_t missed;
        std::vector<Hook> hooks;  // that have not run yet, at least one
    };
    struct Group {
        std::optional<GroupNews> last;  // what its state was told by
        std::deque<Event> events;       // the first of them is being told while `is_running`
        bool is_running = false;
        bool is_configured = true;
        std::uint64_t missed = 0;  // since an event was put in
    };

    std::vector<Hook> hooks_for(const GroupNews& news, const std::vector<Hook>& among) const;
    void put(Group& group, Event event);
    void miss(Group& group);

    std::vector<Hook> hooks_;
    std::map<std::string, Group> groups_;
    std::deque<std::string> ready_;  // groups with events, none of which is being told
    int running_ = 0;
    std::uint64_t missed_ = 0;
};

}  // namespace carpd
