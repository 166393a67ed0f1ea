#include "lab/demo/pool_stage.h"

#include <fmt/format.h>

#include <algorithm>

#include "lab/error.h"

namespace carpd::lab {

namespace {

constexpr Span kColumn = 100ms;
constexpr Span kRound = 250ms;     // in which every client asks
constexpr Span kKnown = 1200ms;    // in which it asks by every way
constexpr Span kSettled = 1500ms;  // of shares that stay; what TCP asks again is answered by then

bool is_lost(const Question& question) {
    return question.request.by == Request::kNobody;
}

bool are_even(const std::vector<int>& shares, const std::vector<int>& serving) {
    const auto fair = PoolStage::kClients / static_cast<int>(serving.size());
    int sum = 0;
    for (int i = 0; i < static_cast<int>(shares.size()); ++i) {
        const bool serves = std::find(serving.begin(), serving.end(), i) != serving.end();
        const int share = shares[static_cast<std::size_t>(i)];
        if (serves ? std::abs(share - fair) > fair / 5 : share != 0) return false;
        sum += share;
    }
    return sum == PoolStage::kClients;
}

}  // namespace

PoolStage::PoolStage(Screen& screen)
    : theatre_(screen),
      pool_(lab_, {.hash = "weighted", .servers = kServers}),
      crowd_(lab_, kClients, Crowd::Place::beyond_router),
      servers_(kServers) {
    theatre_.set_column(kColumn);
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        servers_[i].actor.name = pool_.server(static_cast<int>(i)).host().name();
    }
}

// ---- scenes

void PoolStage::boot(int number) {
    Server& server = servers_[static_cast<std::size_t>(number)];
    theatre_.tell(server.actor, "boots", false);
    pool_.server(number).boot();
    server = {.actor = {.name = server.actor.name, .group = {}}, .alive = true, .changed = Clock::now()};
}

void PoolStage::power_off(int number) {
    Server& server = servers_[static_cast<std::size_t>(number)];
    pool_.server(number).power_off();
    server.alive = false;
    server.changed = Clock::now();
    theatre_.tell(server.actor, "SIGKILL, and its power is cut", true);
}

void PoolStage::demote(int number, int by) {
    theatre_.tell(servers_[static_cast<std::size_t>(number)].actor,
                  fmt::format("carpctl demote {} {}", kPool, by), by > 0);
    pool_.server(number).demote(by);
}

// ---- watching

std::vector<int> PoolStage::shares() const {
    const Time until = Clock::now() - 50ms;  // the latest are under way
    return served(tally(questions_.front().asked(until - 2 * kRound, until), kClients), kServers);
}

void PoolStage::watch(Span span) {
    theatre_.watch(span, [this] {
        for (int i = 0; i < kServers; ++i) collect(i);
        tell_shares();
        show();
    });
}

bool PoolStage::watch_until_even(const std::vector<int>& serving) {
    const Time deadline = Clock::now() + 10s;
    Time uneven = Clock::now();
    while (Clock::now() < deadline && Clock::now() - uneven < kSettled) {
        watch(100ms);
        if (!are_even(shares(), serving)) uneven = Clock::now();
    }
    return are_even(shares(), serving);
}

void PoolStage::collect(int number) {
    auto& [actor, alive, changed] = servers_[static_cast<std::size_t>(number)];
    if (!alive) return;
    const std::vector<Event> events = pool_.server(number).carpd().events();
    for (; actor.events_seen < events.size(); ++actor.events_seen) {
        const Event& event = events[actor.events_seen];
        if (event.text("to").empty()) continue;
        theatre_.tell(actor,
                      fmt::format("{}  {:<6} -> {:<6}  {}", event.text("group"), upper(event.text("from")),
                                  upper(event.text("to")), event.text("reason")),
                      false);
    }
}

// When they changed, but not all the time.
void PoolStage::tell_shares() {
    if (questions_.empty() || Clock::now() - told_at_ < 500ms) return;
    const std::vector<int> now = shares();
    if (now == told_) return;
    told_ = now;
    told_at_ = Clock::now();
    std::string text = "are served by";
    for (std::size_t i = 0; i < servers_.size(); ++i)
        text += fmt::format("  {} {:>3}", servers_[i].actor.name, now[i]);
    theatre_.tell({.name = "clients", .group = {}}, text, false);
}

std::vector<PoolStage::Column> PoolStage::columns() const {
    std::vector<Column> result(theatre_.screen().columns() + 1);
    for (const Questions& questions : questions_)
        for (const Question& question : questions.asked(theatre_.act_started())) {
            const auto at =
                static_cast<std::size_t>((question.request.sent - theatre_.act_started()) / kColumn);
            if (at >= result.size()) break;
            ++result[at].asked;
            result[at].answered += question.request.ok();
            if (question.request.by < kServers) ++result[at].by[question.request.by];
        }
    return result;
}

void PoolStage::show() {
    if (Clock::now() - shown_at_ < kColumn) return;
    shown_at_ = Clock::now();
    const std::vector<Column> all = columns();
    const auto at = [&](Time time) -> const Column& {
        return all.at(static_cast<std::size_t>((time - theatre_.act_started()) / kColumn));
    };
    std::vector<Strip> strips;
    for (std::size_t i = 0; i < servers_.size(); ++i) {
        const Server& server = servers_[i];
        const auto mark = [&](Time from, Time) {
            if (at(from).by[i] > 0) return Mark::master;
            return server.alive == (from >= server.changed) ? Mark::backup : Mark::dead;
        };
        const std::string now = !server.alive   ? "dead"
                                : told_.empty() ? ""
                                                : fmt::format("{} clients", told_[i]);
        strips.push_back(theatre_.strip_of(server.actor.name, now, mark));
    }
    strips.push_back(theatre_.strip_of("clients", "", [&](Time from, Time) {
        const Column& column = at(from);
        if (column.asked == 0) return Mark::nothing;
        if (column.answered == 0) return Mark::all_lost;
        return column.answered == column.asked ? Mark::all_answered : Mark::some_lost;
    }));
    theatre_.draw(strips);
}

// ---- acts

PoolAct PoolStage::open(const std::string& title) {
    theatre_.begin_act(title);
    for (int i = 0; i < kServers; ++i) boot(i);
    const Time deadline = Clock::now() + 10s;
    do watch(50ms);
    while (!pool_.wait_home(0s) && Clock::now() < deadline);
    questions_.emplace_back(crowd_, kPool4, QuestionKind::udp, kRound);
    questions_.emplace_back(crowd_, kPool6, QuestionKind::udp, kRound);
    questions_.emplace_back(crowd_, kPool4, QuestionKind::tcp, 1s);
    return judge(title, {0, 1, 2}, Clock::now());
}

PoolAct PoolStage::play(const std::string& title, int server, const std::vector<int>& serving,
                        const std::function<void()>& scene) {
    sessions_.emplace(crowd_, kPool4);
    const std::vector<std::uint8_t> whose = sessions_->servers();
    theatre_.begin_act(title);
    watch(Theatre::kLead);
    const Time at = Clock::now();
    scene();
    PoolAct act = judge(title, serving, at);
    const bool died = !servers_[static_cast<std::size_t>(server)].alive;
    const std::uint8_t number = pool_.server(server).host().number();
    act.sessions = static_cast<int>(
        std::count_if(whose.begin(), whose.end(), [&](std::uint8_t by) { return !died || by != number; }));
    act.alive = sessions_->survivors(died ? 1s : 3s);
    for (const Questions& questions : questions_) {
        const std::vector<Tally> before = tally(questions.asked(at - kKnown, at), kClients);
        for (const Question& question : questions.asked(at - Theatre::kLead, Clock::now() - kSettled))
            act.others_lost +=
                is_lost(question) && before[static_cast<std::size_t>(question.client)].by != number;
    }
    return act;
}

PoolAct PoolStage::judge(const std::string& title, const std::vector<int>& serving, Time at) {
    PoolAct act{.title = title};
    act.even = watch_until_even(serving);
    act.shares = shares();
    theatre_.screen().end_strips();
    const Time until = Clock::now() - kSettled / 2;
    for (const Questions& questions : questions_)
        for (const Question& question : questions.asked(at - Theatre::kLead, until)) {
            ++act.asked;
            if (!is_lost(question)) continue;
            ++act.lost;
            if (&questions != &questions_.back())
                act.outage = std::max(act.outage, question.request.sent - at);
        }
    return act;
}

}  // namespace carpd::lab
