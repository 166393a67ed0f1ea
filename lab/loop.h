// A thread that waits for many sockets and calls whoever has one that is ready: what the lab's traffic is
// made with.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "lab/clock.h"
#include "linux/unique_fd.h"

namespace carpd::lab {

class Namespace;

// Handlers run one at a time, inside the namespace, and hold the lock. Declare it as the last member of
// whoever its handlers touch: its destructor ends the thread.
class Loop {
 public:
    using Handler = std::function<void()>;

    explicit Loop(const Namespace& space);
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // Other threads hold it while they touch what handlers touch, and while they call what follows.
    std::unique_lock<std::mutex> lock() const { return std::unique_lock(mutex_); }

    // Calls `ready` whenever the socket has one of `events` (EPOLLIN, EPOLLOUT), or an error. Once more for
    // the same socket: changes both.
    void watch(int socket, std::uint32_t events, Handler ready);
    // Before the socket is closed; also in its own handler.
    void forget(int socket);
    // Calls `due` now and then, that often.
    void every(Span period, Handler due);

 private:
    void work(int space);

    mutable std::mutex mutex_;
    UniqueFd epoll_, stop_;
    std::map<int, std::shared_ptr<Handler>> handlers_;
    std::vector<UniqueFd> timers_;
    std::thread thread_;
};

// As many as the machine allows: the usual limit is about a thousand descriptors.
void make_room_for_sockets();

}  // namespace carpd::lab
