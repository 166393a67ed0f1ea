#include "lab/demo/firewall_stage.h"

#include <fmt/format.h>

#include "lab/error.h"

namespace carpd::lab {

namespace {

constexpr const char* kGroup = "outside";
constexpr Span kColumn = 50ms;

}  // namespace

FirewallStage::FirewallStage(Screen& screen, const FirewallOptions& options)
    : theatre_(screen),
      pair_(lab_, options),
      first_{"fw1", kGroup},
      second_{"fw2", kGroup},
      server_(pair_.server()) {
    theatre_.set_column(kColumn);
}

void FirewallStage::open(int shells) {
    pair_.start();
    theatre_.launch(first_, pair_.first().carpd());
    theatre_.launch(second_, pair_.second().carpd());
    pair_.server().serve();
    probe_.emplace(pair_.client(), kServer4, 2ms);
    download_.emplace(pair_.client(), kServer4);
    shells_.emplace(pair_.client(), kServer4, SessionKind::tcp, shells);
}

// ---- scenes

void FirewallStage::power_off() {
    pair_.first().power_off();
    theatre_.enter(first_, Clock::now(), "off");
    theatre_.tell(first_, "SIGKILL, and its power is cut", true);
}

void FirewallStage::boot() {
    theatre_.tell(first_, "boots; its table is empty", false);
    pair_.first().boot();
    theatre_.launch(first_, pair_.first().carpd());
}

void FirewallStage::stop() {
    theatre_.tell(first_, "SIGTERM: carpd stops in order", true);
    const int code = pair_.first().stop();
    theatre_.collect(first_, pair_.first().carpd());
    theatre_.enter(first_, Clock::now(), "off");
    if (code != 0) fail("carpd on fw1 ended with {}:\n{}", code, pair_.first().carpd().log());
}

// ---- watching

void FirewallStage::watch(Span span) {
    theatre_.watch(span, [this] {
        theatre_.collect(first_, pair_.first().carpd());
        theatre_.collect(second_, pair_.second().carpd());
        show();
    });
}

void FirewallStage::show() {
    const Time now = Clock::now();
    const auto megabytes = static_cast<double>(download_->bytes_between(now - 1s, now)) / 1e6;
    const auto moved = [this](Time from, Time until) {
        const auto wanted = static_cast<std::uint64_t>((until - from) / 1ms) * TrafficServer::kBytesPerMs;
        const std::uint64_t bytes = download_->bytes_between(from, until);
        return bytes == 0 ? Mark::all_lost : bytes >= wanted / 2 ? Mark::all_answered : Mark::some_lost;
    };
    const int waiting = shells_->waiting();
    theatre_.draw({theatre_.strip_of(first_), theatre_.strip_of(second_),
                   theatre_.strip_of("file", fmt::format("{:.1f} MB/s", megabytes), moved),
                   theatre_.strip_of(
                       "shells", waiting == 0 ? "ok" : fmt::format("{} wait", waiting),
                       [this](Time from, Time until) { return mark_of(shells_->requests(from, until)); })});
}

// ---- acts

void FirewallStage::begin(const std::string& title) {
    theatre_.begin_act(title);
    watch(Theatre::kLead);
}

FirewallAct FirewallStage::finish(const std::string& title, const std::string& taker, Time at) {
    const Actor& actor = taker == "fw1" ? first_ : second_;
    Firewall& firewall = taker == "fw1" ? pair_.first() : pair_.second();
    FirewallAct act{.title = title, .taker = taker, .shells = shells_->count()};
    const Time deadline = at + 10s;
    const auto flows = [&] {
        const auto latest = probe_->requests(Clock::now() - 2 * Request::kPatience);
        return !latest.empty() && latest.back().sent > at && outage_of(latest).lost == 0;
    };
    do watch(20ms);
    while (Clock::now() < deadline && !(act.taken = actor.state == "master" && flows()));
    // A download that waits for its server's next attempt goes on within a second or two.
    const Time patience = Clock::now() + 3s;
    const std::uint64_t bytes = download_->bytes();
    do watch(20ms);
    while (Clock::now() < patience && download_->bytes() == bytes);
    watch(2 * Theatre::kLead);
    theatre_.screen().end_strips();

    act.alive = shells_->survivors(3s);
    act.download_intact = download_->intact() && download_->wait_more(1s);
    act.stall = download_->longest_stall(at - Theatre::kLead);
    act.outage = outage_of(probe_->requests(at - Theatre::kLead, Clock::now() - Request::kPatience));
    act.why = firewall.carpd().group(kGroup).at("reason").get<std::string>();
    return act;
}

}  // namespace carpd::lab
