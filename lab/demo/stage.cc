#include "lab/demo/stage.h"

#include <poll.h>
#include <sys/signalfd.h>

#include <algorithm>

#include "lab/error.h"

namespace carpd::lab {

namespace {

constexpr const char* kGroup = "www";
constexpr const char* kIpv4 = "192.0.2.100";
constexpr const char* kIpv6 = "2001:db8::100";
constexpr Span kLead = 500ms;  // shown before and after what happens in an act

int block_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, nullptr);  // before there are threads, which inherit it
    return check(signalfd(-1, &set, SFD_CLOEXEC), "signalfd");
}

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
    return text;
}

Mark mark_of(const std::string& state) {
    if (state == "master") return Mark::master;
    if (state == "backup") return Mark::backup;
    return state == "init" ? Mark::init : Mark::dead;
}

Mark mark_of(const std::vector<Request>& requests) {
    const auto ok = std::count_if(requests.begin(), requests.end(), [](const Request& r) { return r.ok(); });
    if (requests.empty()) return Mark::nothing;
    if (ok == 0) return Mark::all_lost;
    return ok == static_cast<std::ptrdiff_t>(requests.size()) ? Mark::all_answered : Mark::some_lost;
}

}  // namespace

Stage::Stage(Screen& screen)
    : screen_(screen),
      signals_(block_signals()),
      alpha_{&lab_.add_host("alpha", {"192.0.2.1/24", "2001:db8::1/64"})},
      beta_{&lab_.add_host("beta", {"192.0.2.2/24", "2001:db8::2/64"})},
      client_(lab_.add_host("client", {"192.0.2.9/24", "2001:db8::9/64"})),
      started_(Clock::now()) {
    alpha_.host->serve();
    beta_.host->serve();
}

Stage::~Stage() = default;

void Stage::set_pace(int advbase, int alpha_advskew, int beta_advskew, Span requests) {
    advbase_ = advbase;
    alpha_.advskew = alpha_advskew;
    beta_.advskew = beta_advskew;
    ipv4_ = std::make_unique<Probe>(client_, kIpv4, requests);
    ipv6_ = std::make_unique<Probe>(client_, kIpv6, requests);
    column_ = advbase > 0 ? 100ms : 5ms;
}

Stage::Member& Stage::member(const std::string& name) {
    return name == "alpha" ? alpha_ : beta_;
}

std::string Stage::config(const Member& member) const {
    return fmt::format(R"(
[[group]]
name = "{}"
interface = "eth0"
vhid = 1
addresses = ["{}/24", "{}/64"]
password = "demonstration"
advbase = {}
advskew = {}
preempt = {}
)",
                       kGroup, kIpv4, kIpv6, advbase_, member.advskew, &member == &alpha_);
}

// ---- scenes

void Stage::launch(Member& member) {
    member.carpd.reset();
    member.carpd = std::make_unique<Carpd>(*member.host, config(member));
    member.events_seen = 0;
    const std::string state = member.carpd->state(kGroup);
    enter(member, Clock::now(), state);
    if (state == "master") tell(member, "is MASTER already", false);  // quicker than we could ask
}

void Stage::start(const std::string& host) {
    tell(member(host), "carpd starts", false);
    launch(member(host));
}

void Stage::start_both() {
    start("alpha");
    start("beta");
}

void Stage::stop_all() {
    for (Member* m : {&beta_, &alpha_}) stop(m->host->name());
}

void Stage::power_off(const std::string& host) {
    Member& m = member(host);
    m.host->power_off();
    enter(m, Clock::now(), "off");
    tell(m, "SIGKILL, and its power is cut", true);
}

void Stage::power_on(const std::string& host) {
    Member& m = member(host);
    tell(m, "power is back, carpd starts", false);
    launch(m);  // first: a host that boots doesn't have the addresses of its last life
    m.host->power_on();
}

void Stage::stop(const std::string& host) {
    Member& m = member(host);
    tell(m, "SIGTERM: carpd stops in order", true);
    const int code = m.carpd->stop();
    collect(m);
    enter(m, Clock::now(), "off");
    if (code != 0) fail("carpd on {} ended with {}:\n{}", host, code, m.carpd->log());
}

void Stage::cut(const std::string& host) {
    member(host).host->cut();
    tell(member(host), "its network cable is pulled", true);
}

void Stage::restore(const std::string& host) {
    tell(member(host), "its network cable is plugged in again", false);
    member(host).host->restore();
}

// ---- watching

void Stage::tell(const Member& member, const std::string& what, bool is_fault) {
    screen_.event(to_seconds(Clock::now() - started_), member.host->name(), what, is_fault);
}

void Stage::enter(Member& member, Time at, const std::string& state) {
    member.state = state;
    member.history.emplace_back(at, mark_of(state));
}

void Stage::collect(Member& member) {
    if (!member.carpd) return;
    const std::vector<Event> events = member.carpd->events();
    for (; member.events_seen < events.size(); ++member.events_seen) {
        const Event& event = events[member.events_seen];
        if (event.text("to").empty() || member.state == "off") continue;
        enter(member, event.heard, event.text("to"));
        screen_.event(to_seconds(event.heard - started_), member.host->name(),
                      fmt::format("{:<6} -> {:<6}  {}", upper(event.text("from")), upper(event.text("to")),
                                  event.text("reason")));
    }
}

void Stage::watch(Span span) {
    const Time until = Clock::now() + span;
    do {
        pollfd signals{signals_, POLLIN, 0};
        if (poll(&signals, 1, 20) > 0) throw Interrupted();
        collect(alpha_);
        collect(beta_);
        show();
    } while (Clock::now() < until);
}

// Strips stop at the screen's edge, and a little before now: the last requests are still under way.
Time Stage::strip_end() const {
    return std::min(Clock::now() - 10ms, act_started_ + static_cast<int>(screen_.columns()) * column_);
}

Strip Stage::strip_of(const Member& member) const {
    Strip strip{member.host->name(), member.state == "off" ? "dead" : upper(member.state), {}};
    auto change = member.history.begin();
    Mark mark = Mark::nothing;
    for (Time end = act_started_ + column_; end <= strip_end(); end += column_) {
        for (; change != member.history.end() && change->first < end; ++change) mark = change->second;
        strip.marks.push_back(mark);
    }
    return strip;
}

Strip Stage::strip_of(const std::string& name, const Probe& probe) const {
    Strip strip{name, "", {}};
    for (Time at = act_started_; at + column_ <= strip_end(); at += column_)
        strip.marks.push_back(mark_of(probe.requests(at, at + column_)));
    int lost = 0;
    for (const Request& r : probe.requests(act_started_, Clock::now() - 10ms)) lost += !r.ok();
    strip.now = lost == 0 ? "ok" : fmt::format("{} lost", lost);
    return strip;
}

void Stage::show() {
    screen_.draw_strips(
        {strip_of(alpha_), strip_of(beta_), strip_of("IPv4", *ipv4_), strip_of("IPv6", *ipv6_)},
        fmt::format("one column: {:g} ms", to_ms(column_)));
}

// ---- acts

void Stage::begin(const std::string& title) {
    screen_.heading(title);
    act_started_ = Clock::now();
    watch(std::min(kLead, 20 * column_));
}

Act Stage::finish(const std::string& title, const std::string& taker, Span bound, bool judged, Time at) {
    Member& m = member(taker);
    Act act{title, taker, "", {}, {}, bound, judged, false};
    const auto answers = [&](const Probe& probe) {
        const std::vector<Request> latest = probe.requests(Clock::now() - Request::kPatience);
        return std::any_of(latest.begin(), latest.end(),
                           [&](auto& r) { return r.ok() && r.by == m.host->number(); });
    };
    const Time deadline = at + bound + 4s;
    do watch(20ms);
    while (Clock::now() < deadline && !(m.state == "master" && answers(*ipv4_) && answers(*ipv6_)));
    watch(2 * kLead);
    screen_.end_strips();

    act.ipv4 = outage_of(ipv4_->requests(at - kLead, Clock::now() - Request::kPatience));
    act.ipv6 = outage_of(ipv6_->requests(at - kLead, Clock::now() - Request::kPatience));
    act.why = m.carpd->group(kGroup).at("reason").get<std::string>();
    const bool in_time = std::max(act.ipv4.duration, act.ipv6.duration) <= bound + kSlack;
    act.good = m.state == "master" && act.ipv4.over && act.ipv6.over && (in_time || !judged);
    return act;
}

}  // namespace carpd::lab
