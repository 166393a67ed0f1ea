// The engine's end of what it says to the helper. The engine never waits: what the socket can't take is lost
// and counted, and as soon as it takes something again, it is told how all groups are. So in the end the
// helper knows every group's state, whichever of the two was away or slow.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "carp/node.h"
#include "carpd/message_link.h"
#include "control/helper_message.h"
#include "control/status.h"
#include "linux/log.h"

namespace carpd {

class HelperLink {
 public:
    // `socket` outlives it.
    static Expected<HelperLink, SysError> open(MessageSocket& socket);

    // Readable when there is something for wake().
    int fd() const { return link_.fd(); }
    // Whether there is a helper, or should be: otherwise nothing is said. One that is new is told everything.
    void set_wanted(bool wanted);
    // A group's news; `sequence` and `time` are filled in here.
    void tell(GroupNews news);
    // Whether go_on() has something to do now.
    bool can_go_on() const { return wanted_ && next_ && !link_.is_full(); }
    // Goes on telling how all groups are, some at a time.
    void go_on(const Node& node);
    void wake(Instant now) { hear(now, kMessagesAtOnce); }
    // In a new engine, before it does anything: takes what a helper has said to it already.
    void catch_up(Instant now) { hear(now, kMessagesToCatchUp); }
    // What the helper has said of tracks since the last time.
    std::vector<TrackNews> take_track_news() { return std::exchange(track_news_, {}); }

    // Nothing while there is no helper.
    std::optional<HelperStatus> status() const;

 private:
    explicit HelperLink(MessageLink link) : link_(std::move(link)) {}

    static constexpr int kMessagesAtOnce = 16, kMessagesToCatchUp = 4096;

    bool send(GroupNews news);
    void hear(Instant now, int at_most);
    void handle(std::string_view text, Instant now);

    MessageLink link_;
    bool wanted_ = false;
    std::optional<GroupId> next_;  // which group's state to tell next; nothing when all are told
    std::uint64_t sequence_ = 0;
    HelperStatus status_;
    std::vector<TrackNews> track_news_;
    LogLimit log_limit_{3, std::chrono::seconds(30)};
};

}  // namespace carpd
