// The answers of `carpd: web` over HTTP:
//
//   /             a page that shows the rest, with /page.css and /page.js
//   /metrics      OpenMetrics
//   /status.json  {"time":...,"error":...,"status":{of the engine},"changes":[as a monitor tells them]}
//   /healthz      200 if the engine answers, else 503
//   /readyz       200 if it does and no group is in INIT, else 503
//
// All by GET or HEAD, and nothing changes anything. Connections are closed after each answer.
#pragma once

#include <memory>

#include "linux/unique_fd.h"
#include "web/changes.h"
#include "web/snapshot.h"

namespace carpd {

class WebServer {
 public:
    // At a socket that listens. `by_name`: it is an IP one, so that a browser may be led here under a name of
    // others; then only requests to this host's own names are answered.
    WebServer(UniqueFd listener, bool by_name, Snapshots& snapshots, const Changes& changes);
    ~WebServer();

    // Serves until stop(), from another thread.
    void run();
    void stop();

 private:
    class Http;
    void add_routes();

    Snapshots& snapshots_;
    const Changes& changes_;
    std::unique_ptr<Http> http_;
};

}  // namespace carpd
