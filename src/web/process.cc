#include "web/process.h"

#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>

#include "control/request.h"
#include "linux/clock.h"
#include "linux/process.h"

namespace carpd {

namespace {

constexpr Duration kTryAgain = std::chrono::seconds(1), kPatience = std::chrono::seconds(2);

}  // namespace

WebProcess::WebProcess(std::string listen, UniqueFd listener, std::string control, MessageSocket supervisor,
                       int signals)
    : listen_(std::move(listen)),
      control_(std::move(control)),
      supervisor_(std::move(supervisor)),
      signals_(signals),
      snapshots_(control_),
      server_(std::move(listener), !listen_.starts_with('/'), snapshots_, changes_) {}

void WebProcess::run() {
    std::thread serves([this] { server_.run(); });
    while (!has_ended()) {
        follow_engine();
        std::array<pollfd, 3> sources{{{signals_, POLLIN, 0},
                                       {supervisor_.fd(), POLLIN, 0},
                                       {engine_ ? engine_->fd() : -1, POLLIN, 0}}};
        const auto left = std::max<std::int64_t>(milliseconds(connect_at_ - host_now()) + 1, 0);
        poll(sources.data(), sources.size(), engine_ ? -1 : static_cast<int>(left));
    }
    server_.stop();
    serves.join();
}

bool WebProcess::has_ended() {
    signalfd_siginfo info;
    while (read(signals_, &info, sizeof info) == sizeof info)
        if (info.ssi_signo == kEndSignal) return true;
    while (const auto listen = supervisor_.receive())
        if (*listen != listen_) return true;
    return supervisor_.is_closed();
}

void WebProcess::follow_engine() {
    if (!engine_) {
        if (host_now() < connect_at_) return;
        connect_at_ = host_now() + kTryAgain;
        if (!subscribe()) engine_.reset();
    } else if (engine_->receive()) {
        engine_.reset();
        connect_at_ = host_now() + kTryAgain;
    }
    while (engine_ && engine_->has_line()) changes_.add(*engine_->next_line(kPatience));
}

// What was before, and from now on what comes.
bool WebProcess::subscribe() {
    auto client = LineClient::connect(control_);
    if (!client) return false;
    engine_.emplace(std::move(*client));
    const auto history = engine_->ask(to_line(Request{Command::history}), kPatience);
    return history && changes_.add_history(*history) &&
           engine_->ask(to_line(Request{Command::monitor}), kPatience);
}

}  // namespace carpd
