#include "control/run_lines.h"

#include <fmt/format.h>

#include "control/human.h"
#include "control/json.h"

namespace carpd {

namespace {

Json change(std::string_view event, std::string_view reason, std::string_view time) {
    return {{"time", time},         {"event", event},  {"group", nullptr},
            {"interface", nullptr}, {"vhid", nullptr}, {"reason", reason}};
}

}  // namespace

std::string started_line(const EngineStart& start, std::string_view time) {
    const bool is_again = start.restarts > 0;
    const auto& gap = start.not_running;
    Json json = change("started", is_again ? "the engine " + start.last_end : "carpd was started", time);
    json["restarts"] = start.restarts;
    json["not_running_ms"] = gap ? Json(milliseconds(*gap)) : Json(nullptr);
    json["text"] = is_again ? fmt::format("carpd's engine {}, and another one was started{}", start.last_end,
                                          gap ? " after " + human_duration(*gap) : "")
                            : "carpd was started";
    return dump(json);
}

std::string stopped_line(std::string_view time) {
    Json json = change("stopped", "carpd was stopped", time);
    json["text"] = "carpd was stopped";
    return dump(json);
}

}  // namespace carpd
