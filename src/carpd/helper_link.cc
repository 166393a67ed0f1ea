#include "carpd/helper_link.h"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "linux/clock.h"

namespace carpd {

namespace {

constexpr int kGroupsAtOnce = 32;

}  // namespace

Expected<HelperLink, SysError> HelperLink::open(MessageSocket& socket) {
    UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{.events = EPOLLIN, .data = {}};
    if (!epoll || epoll_ctl(epoll.get(), EPOLL_CTL_ADD, socket.fd(), &event) != 0)
        return Unexpected{SysError{"watch a socket", "", errno}};
    return HelperLink(socket, std::move(epoll));
}

void HelperLink::set_wanted(bool wanted) {
    if (wanted && !wanted_) next_ = 0;
    wanted_ = wanted;
}

void HelperLink::tell(GroupNews news) {
    if (!wanted_ || (!is_full_ && send(std::move(news)))) return;
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
    const bool taken = socket_->send(to_message(EngineMessage(std::move(news))));
    if (!taken) {
        log(LogLevel::warning,
            "the helper does not read what it is told; it will learn of the groups' states when it does");
        set_full(true);
    }
    return taken;
}

void HelperLink::set_full(bool full) {
    is_full_ = full;
    epoll_event event{.events = full ? EPOLLIN | EPOLLOUT : EPOLLIN, .data = {}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, socket_->fd(), &event);  // fails where it is not watched any more
}

void HelperLink::hear(Instant now, int at_most) {
    epoll_event event;
    if (epoll_wait(epoll_.get(), &event, 1, 0) != 1) return;
    if (is_full_ && (event.events & EPOLLOUT) != 0) set_full(false);
    for (int heard = 0; heard < at_most; ++heard) {
        const auto message = socket_->receive();
        if (!message) break;
        handle(*message, now);
    }
    // The supervisor has died, and any helper: the engine is about to learn it. This would wake it for ever.
    if (socket_->is_closed()) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket_->fd(), nullptr);
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
