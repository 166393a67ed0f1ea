#include "lab/demo/stage.h"

#include <fmt/format.h>

#include <algorithm>

#include "lab/error.h"

namespace carpd::lab {

namespace {

constexpr const char* kGroup = "www";
constexpr const char* kIpv4 = "192.0.2.100";
constexpr const char* kIpv6 = "2001:db8::100";

}  // namespace

Stage::Stage(Screen& screen)
    : theatre_(screen),
      alpha_{&lab_.add_host("alpha", {"192.0.2.1/24", "2001:db8::1/64"}), {"alpha", kGroup}},
      beta_{&lab_.add_host("beta", {"192.0.2.2/24", "2001:db8::2/64"}), {"beta", kGroup}},
      client_(lab_.add_host("client", {"192.0.2.9/24", "2001:db8::9/64"})) {
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
    theatre_.set_column(column_ = advbase > 0 ? 100ms : 5ms);
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
    theatre_.launch(member.actor, *member.carpd);
}

void Stage::start(const std::string& host) {
    theatre_.tell(member(host).actor, "carpd starts", false);
    launch(member(host));
}

void Stage::start_both() {
    start("alpha");
    start("beta");
}

void Stage::stop_all() {
    for (const char* host : {"beta", "alpha"}) stop(host);
}

void Stage::power_off(const std::string& host) {
    Member& m = member(host);
    m.host->power_off();
    theatre_.enter(m.actor, Clock::now(), "off");
    theatre_.tell(m.actor, "SIGKILL, and its power is cut", true);
}

void Stage::power_on(const std::string& host) {
    Member& m = member(host);
    theatre_.tell(m.actor, "power is back, carpd starts", false);
    launch(m);  // first: a host that boots doesn't have the addresses of its last life
    m.host->power_on();
}

void Stage::stop(const std::string& host) {
    Member& m = member(host);
    theatre_.tell(m.actor, "SIGTERM: carpd stops in order", true);
    const int code = m.carpd->stop();
    theatre_.collect(m.actor, *m.carpd);
    theatre_.enter(m.actor, Clock::now(), "off");
    if (code != 0) fail("carpd on {} ended with {}:\n{}", host, code, m.carpd->log());
}

void Stage::cut(const std::string& host) {
    member(host).host->cut();
    theatre_.tell(member(host).actor, "its network cable is pulled", true);
}

void Stage::restore(const std::string& host) {
    theatre_.tell(member(host).actor, "its network cable is plugged in again", false);
    member(host).host->restore();
}

// ---- watching

void Stage::watch(Span span) {
    theatre_.watch(span, [this] {
        for (Member* m : {&alpha_, &beta_})
            if (m->carpd) theatre_.collect(m->actor, *m->carpd);
        show();
    });
}

Strip Stage::strip_of(const std::string& name, const Probe& probe) const {
    int lost = 0;
    for (const Request& r : probe.requests(theatre_.act_started(), Clock::now() - 10ms)) lost += !r.ok();
    return theatre_.strip_of(name, lost == 0 ? "ok" : fmt::format("{} lost", lost),
                             [&](Time from, Time until) { return mark_of(probe.requests(from, until)); });
}

void Stage::show() {
    theatre_.draw({theatre_.strip_of(alpha_.actor), theatre_.strip_of(beta_.actor), strip_of("IPv4", *ipv4_),
                   strip_of("IPv6", *ipv6_)});
}

// ---- acts

void Stage::begin(const std::string& title) {
    theatre_.begin_act(title);
    watch(std::min(Theatre::kLead, 20 * column_));
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
    while (Clock::now() < deadline && !(m.actor.state == "master" && answers(*ipv4_) && answers(*ipv6_)));
    watch(2 * Theatre::kLead);
    theatre_.screen().end_strips();

    act.ipv4 = outage_of(ipv4_->requests(at - Theatre::kLead, Clock::now() - Request::kPatience));
    act.ipv6 = outage_of(ipv6_->requests(at - Theatre::kLead, Clock::now() - Request::kPatience));
    act.why = m.carpd->group(kGroup).at("reason").get<std::string>();
    const bool in_time = std::max(act.ipv4.duration, act.ipv6.duration) <= bound + kSlack;
    act.good = m.actor.state == "master" && act.ipv4.over && act.ipv6.over && (in_time || !judged);
    return act;
}

}  // namespace carpd::lab
