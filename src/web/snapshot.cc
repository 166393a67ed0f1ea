#include "web/snapshot.h"

#include <algorithm>
#include <utility>

#include "control/request.h"
#include "control/sync_request.h"
#include "linux/clock.h"
#include "web/metrics.h"

namespace carpd {

namespace {

Snapshot failed(std::string error) {
    return {std::move(error), "null", metrics_without_engine(), {}};
}

// By a whole advertisement, which only root can hear otherwise, everybody on this host could try passwords.
void hide_advertisement(Json& group) {
    if (const auto refused = group.find("last_refused"); refused != group.end() && refused->is_object())
        refused->erase("advertisement");
}

// Its metrics, without those of state synchronisation if `sync` makes no sense.
std::string metrics_with(const Json& status, const Json& sync) {
    try {
        return metrics_of(status, sync);
    } catch (const Json::exception&) {
        return metrics_of(status, nullptr);
    }
}

}  // namespace

Snapshot Snapshots::understand(const std::string& answer) {
    try {
        Json status = Json::parse(answer);
        if (status.at("ok") != true)
            return failed("the engine refuses: " + status.at("error").get<std::string>());
        Snapshot snapshot{"", "", metrics_with(status, sync_of(status)), {}};
        for (Json& group : status.at("groups")) {
            hide_advertisement(group);
            if (group.at("state") == "init")
                snapshot.in_init.push_back(group.at("name").get<std::string>() + ": " +
                                           group.at("reason").get<std::string>());
        }
        snapshot.status = dump(status);
        return snapshot;
    } catch (const Json::exception&) {
        return failed("the engine's answer makes no sense");  // of another version, after an upgrade
    }
}

// Null: it isn't configured, or doesn't answer.
Json Snapshots::sync_of(const Json& status) {
    if (status.at("sync").is_null()) return nullptr;
    static const std::string kRequest = to_line(SyncRequest{});
    const auto answer = sync_.ask(kRequest, std::min(patience_, kSyncPatience));
    const Json json = answer ? Json::parse(*answer, nullptr, false) : Json(nullptr);
    return json.is_object() && json.contains("ok") && json.at("ok") == true ? json : Json(nullptr);
}

std::shared_ptr<const Snapshot> Snapshots::get() {
    const std::lock_guard lock(mutex_);
    if (last_ && host_now() < asked_at_ + kFresh) return last_;
    static const std::string kRequest = to_line(Request{});
    auto answer = engine_.ask(kRequest, patience_);
    asked_at_ = host_now();
    last_ =
        std::make_shared<const Snapshot>(answer ? understand(*answer) : failed(answer.error().to_string()));
    return last_;
}

Expected<std::string, SysError> Snapshots::Source::ask(const std::string& request, Duration patience) {
    if (connection) {  // it may have been another process's
        if (auto answer = connection->ask(request, patience)) return answer;
        connection.reset();
    }
    auto client = LineClient::connect(path);
    if (!client) return Unexpected{client.error()};
    connection.emplace(std::move(*client));
    auto answer = connection->ask(request, patience);
    if (!answer) connection.reset();
    return answer;
}

}  // namespace carpd
