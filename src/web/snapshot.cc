#include "web/snapshot.h"

#include <utility>

#include "control/json.h"
#include "control/request.h"
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

Snapshot understand(const std::string& answer) {
    try {
        Json status = Json::parse(answer);
        if (status.at("ok") != true)
            return failed("the engine refuses: " + status.at("error").get<std::string>());
        Snapshot snapshot{"", "", metrics_of(status), {}};
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

}  // namespace

std::shared_ptr<const Snapshot> Snapshots::get() {
    const std::lock_guard lock(mutex_);
    if (last_ && host_now() < asked_at_ + kFresh) return last_;
    auto answer = ask();
    asked_at_ = host_now();
    last_ =
        std::make_shared<const Snapshot>(answer ? understand(*answer) : failed(answer.error().to_string()));
    return last_;
}

Expected<std::string, SysError> Snapshots::ask() {
    static const std::string kRequest = to_line(Request{});
    if (engine_) {  // it may have been another engine's
        if (auto answer = engine_->ask(kRequest, patience_)) return answer;
        engine_.reset();
    }
    auto client = LineClient::connect(control_);
    if (!client) return Unexpected{client.error()};
    engine_.emplace(std::move(*client));
    auto answer = engine_->ask(kRequest, patience_);
    if (!answer) engine_.reset();
    return answer;
}

}  // namespace carpd
