#include "carp/election.h"

#include <compare>
#include <utility>

namespace carpd {

namespace {

// Less is better. advskew never reaches a second, so the pair orders like the interval it stands for.
auto rank(const Standing& s) {
    return std::pair(s.advbase, s.advskew);
}

bool is_bow_out(const Standing& s) {
    return s.advbase.seconds == 255 && s.advskew.value == 255;
}

// Would our master-down timer run out between two of their advertisements, even without our advskew?
bool too_slow_for(const Standing& ours, const Standing& theirs) {
    if (ours.advbase.seconds == 0) return false;  // our timer is milliseconds and decides by itself
    return std::pair(3 * int{ours.advbase.seconds}, ours.advskew) <
           std::pair(int{theirs.advbase.seconds}, theirs.advskew);
}

Decision judge_as_backup(const Standing& ours, const Standing& theirs, bool preempt) {
    if (is_bow_out(theirs)) return {Verdict::take_over, Cause::master_bowed_out};              // E1
    if (theirs.demote > ours.demote) return {Verdict::take_over, Cause::master_more_demoted};  // E2
    const bool theirs_less_demoted = theirs.demote < ours.demote;
    if (preempt && !theirs_less_demoted && rank(ours) < rank(theirs))  // E3
        return {Verdict::take_over, Cause::preempting};
    if (too_slow_for(ours, theirs)) return {Verdict::take_over, Cause::master_too_slow};  // E4
    return {Verdict::hold, Cause::master_alive};                                          // E5
}

Decision judge_as_master(const Standing& ours, const Standing& theirs, Tie tie) {
    if (is_bow_out(theirs)) return {Verdict::hold, Cause::master_bowed_out};                // E1
    if (theirs.demote < ours.demote) return {Verdict::yield, Cause::peer_less_demoted};     // E6
    if (theirs.demote > ours.demote) return {Verdict::reassert, Cause::peer_more_demoted};  // E7
    if (rank(theirs) < rank(ours)) return {Verdict::yield, Cause::better_advertisement};    // E8
    if (rank(ours) < rank(theirs)) return {Verdict::reassert, Cause::worse_advertisement};  // E9
    switch (tie) {                                                                          // E10
        case Tie::ours: return {Verdict::reassert, Cause::tie_won};
        case Tie::theirs: return {Verdict::yield, Cause::tie_lost};
        case Tie::elsewhere: return {Verdict::hold, Cause::tie_elsewhere};
    }
    CARPD_ASSERT(false);
    return {Verdict::hold, Cause::none};
}

}  // namespace

Decision judge(State state, const Standing& ours, const Standing& theirs, bool preempt, Tie tie) {
    CARPD_ASSERT(state != State::init);
    return state == State::master ? judge_as_master(ours, theirs, tie)
                                  : judge_as_backup(ours, theirs, preempt);
}

Obstacle obstacle(const Standing& ours, const Standing& theirs, bool preempt, bool may_preempt) {
    if (judge_as_backup(ours, theirs, preempt && may_preempt).verdict == Verdict::take_over)
        return Obstacle::none;
    if (theirs.demote < ours.demote) return Obstacle::less_demoted;
    if (rank(theirs) < rank(ours)) return Obstacle::faster;
    if (rank(theirs) == rank(ours)) return Obstacle::equal;
    return preempt ? Obstacle::preempt_delay : Obstacle::no_preempt;
}

std::string_view to_identifier(Obstacle obstacle) {
    constexpr std::string_view kNames[] = {
        "none",       "no_master_heard", "less_demoted", "faster",       "equal",
        "no_preempt", "preempt_delay",   "just_failed",  "no_addresses", "held"};
    return kNames[static_cast<std::size_t>(obstacle)];
}

namespace {

struct CauseText {
    std::string_view identifier, phrase;
};

CauseText text_of(Cause cause) {
    switch (cause) {
        case Cause::none: return {"none", "not started"};
        case Cause::master_bowed_out: return {"master_bowed_out", "master bowed out"};
        case Cause::master_more_demoted: return {"master_more_demoted", "master is more demoted"};
        case Cause::preempting: return {"preempting", "preempting a slower master"};
        case Cause::master_too_slow: return {"master_too_slow", "master advertises too rarely"};
        case Cause::master_alive: return {"master_alive", "master is alive"};
        case Cause::peer_less_demoted: return {"peer_less_demoted", "a less demoted host advertises"};
        case Cause::peer_more_demoted: return {"peer_more_demoted", "a more demoted host advertises"};
        case Cause::better_advertisement:
            return {"better_advertisement", "more frequent advertisement received"};
        case Cause::worse_advertisement:
            return {"worse_advertisement", "less frequent advertisement received"};
        case Cause::tie_lost: return {"tie_lost", "lost a tie to an equal advertisement"};
        case Cause::tie_won: return {"tie_won", "won a tie against an equal advertisement"};
        case Cause::tie_elsewhere: return {"tie_elsewhere", "equal advertisement; its IPv4 copy decides"};
        case Cause::master_timed_out: return {"master_timed_out", "master timed out"};
        case Cause::started: return {"started", "started"};
        case Cause::stopped: return {"stopped", "carpd is stopping"};
        case Cause::removed: return {"removed", "removed from the configuration"};
        case Cause::interface_missing: return {"interface_missing", "interface is missing"};
        case Cause::interface_down: return {"interface_down", "interface is down"};
        case Cause::link_down: return {"link_down", "interface has no link"};
        case Cause::link_up: return {"link_up", "interface is up"};
        case Cause::operator_request: return {"operator_request", "operator's request"};
        case Cause::addresses_refused: return {"addresses_refused", "addresses could not be installed"};
        case Cause::cannot_advertise: return {"cannot_advertise", "advertisements could not be sent"};
        case Cause::lease_lapsed:
            return {"lease_lapsed", "the lease lapsed: no advertisement was sent in time"};
        case Cause::check_failed: return {"check_failed", "withdrawn by a failing check"};
        case Cause::check_passed: return {"check_passed", "the checks that withdrew it pass again"};
    }
    return {"unknown", "unknown"};
}

}  // namespace

std::string_view to_string(Cause cause) {
    return text_of(cause).phrase;
}
std::string_view to_identifier(Cause cause) {
    return text_of(cause).identifier;
}

bool leads_to(Cause cause, State state) {
    using enum Cause;
    switch (cause) {
        case stopped:
        case removed:
        case interface_missing:
        case interface_down:
        case link_down:
        case check_failed: return state == State::init;
        case peer_less_demoted:
        case better_advertisement:
        case tie_lost:
        case started:
        case link_up:
        case check_passed:
        case addresses_refused:
        case cannot_advertise:
        case lease_lapsed: return state == State::backup;
        case master_bowed_out:
        case master_more_demoted:
        case preempting:
        case master_too_slow:
        case master_timed_out: return state == State::master;
        case operator_request: return state != State::init;
        default: return false;
    }
}

}  // namespace carpd
