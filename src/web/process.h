// The life of `carpd: web`: hears the engine's changes, and serves what is known of it over HTTP
// (web/server.h) from threads of its own, until it is told to end or that it is to listen elsewhere.
#pragma once

#include <optional>
#include <string>
#include <thread>

#include "linux/line_client.h"
#include "linux/message_socket.h"
#include "web/changes.h"
#include "web/server.h"
#include "web/snapshot.h"

namespace carpd {

class WebProcess {
 public:
    // `listen` is [metrics]' as the configuration has it, and `listener` does so there. `control` is the
    // engine's control socket. Over `supervisor` comes another `listen`. kEndSignal is blocked, and
    // `signals` tells it.
    WebProcess(std::string listen, UniqueFd listener, std::string control, MessageSocket supervisor,
               int signals);

    // Also when nobody has the supervisor's end of the socket any more: neither it nor an engine.
    void run();

 private:
    bool has_ended();
    void follow_engine();
    bool subscribe();

    const std::string listen_, control_;
    MessageSocket supervisor_;
    const int signals_;
    Snapshots snapshots_;
    Changes changes_;
    WebServer server_;
    std::optional<LineClient> engine_;  // that tells changes
    Instant connect_at_{};
};

}  // namespace carpd
