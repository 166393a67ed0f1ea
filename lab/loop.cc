#include "lab/loop.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>

#include <cerrno>

#include "lab/error.h"
#include "lab/namespace.h"

namespace carpd::lab {

Loop::Loop(const Namespace& space)
    : epoll_(check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")),
      stop_(check(eventfd(0, EFD_CLOEXEC), "eventfd")) {
    watch(stop_.get(), EPOLLIN, [] {});
    thread_ = std::thread([this, fd = space.descriptor()] { work(fd); });
}

Loop::~Loop() {
    eventfd_write(stop_.get(), 1);
    thread_.join();
}

void Loop::watch(int socket, std::uint32_t events, Handler ready) {
    epoll_event event{events, {.fd = socket}};
    const bool known = handlers_.contains(socket);
    handlers_[socket] = std::make_shared<Handler>(std::move(ready));
    check(epoll_ctl(epoll_.get(), known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event), "epoll_ctl");
}

void Loop::forget(int socket) {
    if (handlers_.erase(socket) > 0) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket, nullptr);
}

void Loop::every(Span period, Handler due) {
    const int timer = check(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), "timerfd_create");
    timers_.emplace_back(timer);
    const timespec span{period / 1s, (period % 1s).count()};
    const itimerspec often{span, span};
    check(timerfd_settime(timer, 0, &often, nullptr), "timerfd_settime");
    watch(timer, EPOLLIN, [timer, due = std::move(due)] {
        std::uint64_t times;
        if (read(timer, &times, sizeof times) == sizeof times) due();
    });
}

void Loop::work(int space) {
    check(setns(space, CLONE_NEWNET), "setns");
    while (true) {
        epoll_event event;  // one at a time: what one handler closes can't be what another one is called for
        const int ready = epoll_wait(epoll_.get(), &event, 1, -1);
        if (ready < 0 && errno == EINTR) continue;
        check(ready, "epoll_wait");
        if (event.data.fd == stop_.get()) return;
        const std::lock_guard lock(mutex_);
        const auto found = handlers_.find(event.data.fd);
        if (found == handlers_.end()) continue;
        const std::shared_ptr<Handler> handler = found->second;  // it may forget itself
        (*handler)();
    }
}

void make_room_for_sockets() {
    rlimit limit{};
    check(getrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
    limit.rlim_cur = limit.rlim_max;
    check(setrlimit(RLIMIT_NOFILE, &limit), "RLIMIT_NOFILE");
}

}  // namespace carpd::lab
