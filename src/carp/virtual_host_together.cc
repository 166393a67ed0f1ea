// What a group does as a member of its set (carp/together.h).
#include <algorithm>
#include <utility>

#include "carp/together.h"
#include "carp/virtual_host.h"

namespace carpd {

void VirtualHost::join(Together* set) {
    if (set && !membership_) membership_ = std::make_unique<Membership>();
    if (!membership_) return;
    membership_->set = set;
    membership_->told.reset();
}

// As long as a lease lasts, with what it leaves for clocks that run apart (§10).
Instant VirtualHost::gone_at() const {
    const bool heard = has_heard_master();
    const Duration wait = master_down_wait(heard ? last_heard_ : std::nullopt);
    if (!heard && config_->advbase.seconds == 0) return since_ + wait;
    const Standing theirs = heard ? last_heard_->standing : Standing{config_->advbase, AdvSkew{0}};
    const AdvSkew skew = theirs.advbase.seconds > 0 ? AdvSkew{0} : theirs.advskew;
    return (heard ? last_heard_at_ : since_) + std::min(wait, master_down_interval(theirs.advbase, skew));
}

Prospect VirtualHost::prospect(Instant now) const {
    if (state_ != State::backup) return Prospect::none;
    if (has_just_failed(now)) return Prospect::unknown;
    if (now >= gone_at()) return Prospect::open;
    if (!has_heard_master()) return Prospect::unknown;
    // As a MASTER would judge us, so that it does yield (E6, E8); of an equal one we can't be sure.
    const Standing ours = standing(), theirs = last_heard_->standing;
    const bool wins = judge(State::master, theirs, ours, false, Tie::ours).verdict == Verdict::yield;
    const bool may_preempt = theirs.demote > ours.demote || now >= joined_at_ + config_->preempt_delay;  // O3
    const bool bowed_out = theirs.advbase.seconds == 255 && theirs.advskew.value == 255;
    if (bowed_out || (wins && may_preempt && can_take_over(now, Cause::preempting))) return Prospect::open;
    return Prospect::blocked;
}

// Returns the member of its set that forbids it to take over now (rule G3), null if none does.
const VirtualHost* VirtualHost::hold(Instant now, Cause cause, bool master_lives, Actions& out) {
    const VirtualHost* holder = set() ? set()->holder(now, *this, master_lives) : nullptr;
    if (!holder) return nullptr;
    Membership& member = *membership_;
    ++counters_.takeovers_held;
    // Others of the set may hear in the same moment what ends it, so that it lasts is seen the second time.
    const bool lasts = std::exchange(member.held, cause) != Cause::none;
    if (!lasts || member.held_is_reported || now < member.held_report_due) return holder;
    member.held_is_reported = true;
    member.held_report_due = now + kReportGap;
    out.emplace_back(ReportHeld{id_, cause, holder->config().name,
                                holder->has_heard_master() ? holder->last_heard_ : std::nullopt});
    return holder;
}

void VirtualHost::let_go() {
    if (!membership_) return;
    membership_->held = Cause::none;
    membership_->held_is_reported = false;
}

void VirtualHost::go_along(Instant now, const VirtualHost& first, Actions& out) {
    const std::string_view followed = first.together_with();
    enter(now, State::master, first.cause_, std::nullopt, out,
          followed.empty() ? first.config_->name : followed);
}

void VirtualHost::try_again(Instant now, Actions& out) {
    const Cause cause = held();
    const bool timed_out = cause == Cause::master_timed_out;
    const bool still_wants = timed_out || (cause != Cause::none && prospect(now) == Prospect::open);
    if (!still_wants || set()->holder(now, *this, !timed_out)) return;
    enter(now, State::master, cause, timed_out ? std::nullopt : last_heard_, out);
}

void VirtualHost::carry(Instant now, std::string_view member, int amount, bool at_once, Actions& out) {
    const auto& all = demotion_.contributions();
    const auto carried = std::find_if(all.begin(), all.end(),
                                      [](const auto& c) { return c.name.starts_with(kTogetherDemotion); });
    if (carried == all.end() && amount == 0) return;
    expire_lease(now, out);
    const std::uint8_t before = demotion_.value();
    std::string name;
    if (carried != all.end()) {
        name = carried->name;
        demotion_.set(name, 0);
    }
    if (amount != 0) {
        name = std::string(kTogetherDemotion) + std::string(member);
        demotion_.set(name, amount);
    }
    if (demotion_.value() == before) return;
    out.emplace_back(ReportDemotion{id_, name, demotion_.value()});
    if (state_ == State::master && at_once) advertise(now, out);
}

bool VirtualHost::has_news(Instant now) {
    int demotion = 0;
    for (const auto& c : demotion_.contributions())
        if (!c.name.starts_with(kTogetherDemotion)) demotion += c.amount;
    const News news{state_, prospect(now), held(), demotion};
    const bool is_new = membership_->told != news;
    membership_->told = news;
    return is_new;
}

}  // namespace carpd
