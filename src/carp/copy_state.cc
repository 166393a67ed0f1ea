#include "carp/copy_state.h"

#include <algorithm>

namespace carpd {

void CopyState::set_wanted(bool wanted) {
    if (wanted != wanted_) ended();
    wanted_ = wanted;
}

void CopyState::heard(Instant now, bool complete) {
    if (complete && !is_complete(now)) fit_at_ = master_ ? now : now + kSettle;
    heard_at_ = now;
    complete_ = complete;
}

void CopyState::resume(Instant now, bool complete, bool master, bool demoted) {
    wanted_ = true;
    complete_ = complete;
    master_ = master;
    heard_at_ = now;
    fit_at_ = demoted ? now + kSettle : now;
    settled_at_ = demoted ? now + kTakeover : now;
}

void CopyState::set_master(Instant now, bool master) {
    if (master) fit_at_ = std::min(fit_at_, now);
    if (master && !master_) settled_at_ = demotion(now) != 0 ? now + kTakeover : now;
    master_ = master;
}

Instant CopyState::demotion_ends(Instant now) const {
    return std::min(is_complete(now) ? fit_at_ : kNever, master_ ? settled_at_ : kNever);
}

int CopyState::demotion(Instant now) const {
    const bool is_the_truth = master_ && now >= settled_at_;
    const bool is_fit = is_complete(now) && now >= fit_at_;
    return wanted_ && !is_fit && !is_the_truth ? kDemotion : 0;
}

}  // namespace carpd
