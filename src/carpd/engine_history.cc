// The engine's part that keeps what changed.
#include "carpd/engine.h"
#include "control/run_lines.h"
#include "linux/clock.h"
#include "linux/log.h"
#include "linux/state_file.h"

namespace carpd {

void Engine::open_history(const std::string& control) {
    std::string complaint;
    history_ = History::open(state_file(control, "history"), wall_clock_ms(), complaint);
    if (!complaint.empty()) log(LogLevel::warning, complaint);
    EngineStart start{supervision_.restarts, supervision_.last_end, std::nullopt};
    if (start.restarts > 0) start.not_running = now_ - supervision_.ended_at;
    history_.add(started_line(start, wall_clock()));
}

void Engine::keep_history() {
    if (!history_.is_due(now_)) return;
    if (const auto complaint = history_.keep(now_)) log(LogLevel::warning, *complaint);
}

}  // namespace carpd
