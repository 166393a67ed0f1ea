#include "lab/demo/theatre.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>

#include "lab/error.h"

namespace carpd::lab {

namespace {

int block_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return check(signalfd(-1, &set, SFD_CLOEXEC), "signalfd");
}

Mark mark_of(const std::string& state) {
    if (state == "master") return Mark::master;
    if (state == "backup") return Mark::backup;
    return state == "init" ? Mark::init : Mark::dead;
}

}  // namespace

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
    return text;
}

Mark mark_of(const std::vector<Request>& requests) {
    const auto ok = std::count_if(requests.begin(), requests.end(), [](const Request& r) { return r.ok(); });
    if (requests.empty()) return Mark::nothing;
    if (ok == 0) return Mark::all_lost;
    return ok == static_cast<std::ptrdiff_t>(requests.size()) ? Mark::all_answered : Mark::some_lost;
}

Theatre::Theatre(Screen& screen) : screen_(screen), signals_(block_signals()), started_(Clock::now()) {}

void Theatre::tell(const Actor& actor, const std::string& what, bool is_fault) {
    screen_.event(to_seconds(Clock::now() - started_), actor.name, what, is_fault);
}

void Theatre::enter(Actor& actor, Time at, const std::string& state) {
    actor.state = state;
    actor.history.emplace_back(at, mark_of(state));
}

void Theatre::launch(Actor& actor, const Carpd& carpd) {
    actor.events_seen = carpd.events().size();
    const std::string state = carpd.state(actor.group);
    enter(actor, Clock::now(), state);
    if (state == "master") tell(actor, "is MASTER already", false);  // quicker than we could ask
}

void Theatre::collect(Actor& actor, const Carpd& carpd) {
    const std::vector<Event> events = carpd.events();
    for (; actor.events_seen < events.size(); ++actor.events_seen) {
        const Event& event = events[actor.events_seen];
        if (event.text("group") != actor.group || event.text("to").empty() || actor.state == "off") continue;
        enter(actor, event.heard, event.text("to"));
        screen_.event(to_seconds(event.heard - started_), actor.name,
                      fmt::format("{:<6} -> {:<6}  {}", upper(event.text("from")), upper(event.text("to")),
                                  event.text("reason")));
    }
}

void Theatre::begin_act(const std::string& title) {
    screen_.heading(title);
    act_started_ = Clock::now();
}

void Theatre::watch(Span span, const std::function<void()>& draw) {
    const Time until = Clock::now() + span;
    do {
        pollfd signals{signals_, POLLIN, 0};
        if (poll(&signals, 1, 20) > 0) throw Interrupted();
        draw();
    } while (Clock::now() < until);
}

// Strips stop at the screen's edge, and a little before now: the last requests are still under way.
Time Theatre::strip_end() const {
    return std::min(Clock::now() - 10ms, act_started_ + static_cast<int>(screen_.columns()) * column_);
}

Strip Theatre::strip_of(const Actor& actor) const {
    auto change = actor.history.begin();
    Mark mark = Mark::nothing;
    return strip_of(actor.name, actor.state == "off" ? "dead" : upper(actor.state), [&](Time, Time end) {
        for (; change != actor.history.end() && change->first < end; ++change) mark = change->second;
        return mark;
    });
}

Strip Theatre::strip_of(const std::string& name, const std::string& now,
                        const std::function<Mark(Time, Time)>& mark) const {
    Strip strip{name, now, {}};
    for (Time at = act_started_; at + column_ <= strip_end(); at += column_)
        strip.marks.push_back(mark(at, at + column_));
    return strip;
}

void Theatre::draw(const std::vector<Strip>& strips) {
    screen_.draw_strips(strips, fmt::format("one column: {:g} ms", to_ms(column_)));
}

}  // namespace carpd::lab
