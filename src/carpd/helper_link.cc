#include "carpd/helper_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "linux/clock.h"

namespace carpd {

namespace {

constexpr int kGroupsAtOnce = 32;

}  // namespace

Expected<HelperLink, SysError> HelperLink::open(MessageSocket& socket) {
    auto link = MessageLink::open(socket);
    if (!link) return Unexpected{link.error()};
    return HelperLink(std::move(*link));
}

void HelperLink::set_wanted(bool wanted) {
    if (wanted && !wanted_) next_ = 0;
    wanted_ = wanted;
}

void HelperLink::tell(GroupNews news) {
    if (!wanted_ || (!link_.is_full() && send(std::move(news)))) return;
    ++status_.messages_lost;
    next_ = 0;
}

void HelperLink::go_on(const Node& node) {
    for (int told = 0; can_go_on() && told < kGroupsAtOnce; ++told) {
        if (*next_ >= node.group_slots()) {
            next_.reset();
            return;
        }
        const VirtualHost* group = node.group(*next_);
        if (group == nullptr || send(news_of(*group))) ++*next_;
    }
}

// Rises also from one engine to the next, unless somebody turns the clock back.
bool HelperLink::send(GroupNews news) {
    news.sequence = sequence_ = std::max(sequence_ + 1, wall_clock_ms());
    news.time = wall_clock();
    const bool taken = link_.send(to_message(EngineMessage(std::move(news))));
    if (!taken)
        log(LogLevel::warning,
            "the helper does not read what it is told; it will learn of the groups' states when it does");
    return taken;
}

void HelperLink::hear(Instant now, int at_most) {
    link_.hear(at_most, [&](std::string_view text) { handle(text, now); });
}

void HelperLink::handle(std::string_view text, Instant now) {
    const auto message = parse_helper_message(text);
    if (!message) {
        ++status_.messages_refused;
        if (log_limit_.admit(now))
            log(LogLevel::error,
                fmt::format("the helper sent what the engine can't read: {}", message.error()));
    } else if (const auto* hello = std::get_if<HelperHello>(&*message)) {
        status_.pid = hello->pid;
        status_.hooks = {};
        next_ = 0;
    } else if (auto* news = std::get_if<TrackNews>(&*message)) {
        track_news_.push_back(*news);
    } else {
        status_.hooks = std::get<HookFigures>(*message);
    }
}

std::optional<HelperStatus> HelperLink::status() const {
    if (!wanted_) return std::nullopt;
    return status_;
}

}  // namespace carpd
