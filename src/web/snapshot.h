// How carpd is, for all who ask over HTTP: the engine, and `carpd: sync` for metrics, are asked at most once
// a second and by one at a time, however many ask here.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "config/config.h"
#include "control/json.h"
#include "linux/line_client.h"

namespace carpd {

struct Snapshot {
    std::string error;                 // why the engine didn't answer; empty: it did
    std::string status;                // its answer, one JSON object without secrets; "null" without one
    std::string metrics;               // as OpenMetrics
    std::vector<std::string> in_init;  // "lan: interface has no link"
};

class Snapshots {
 public:
    static constexpr Duration kFresh = std::chrono::seconds(1);

    // `control` is the engine's control socket; it may wait for `patience` for an answer.
    explicit Snapshots(const std::string& control, Duration patience = std::chrono::seconds(5))
        : patience_(patience), engine_{control}, sync_{sync_socket(control)} {}

    // Never older than kFresh. Of any thread.
    std::shared_ptr<const Snapshot> get();

 private:
    static constexpr Duration kSyncPatience = std::chrono::seconds(1);

    // A process that answers at a socket.
    struct Source {
        const std::string path;
        std::optional<LineClient> connection{};

        Expected<std::string, SysError> ask(const std::string& request, Duration patience);
    };
    Snapshot understand(const std::string& answer);
    Json sync_of(const Json& status);

    const Duration patience_;
    std::mutex mutex_;  // of all below
    Source engine_, sync_;
    std::shared_ptr<const Snapshot> last_;
    Instant asked_at_{};
};

}  // namespace carpd
