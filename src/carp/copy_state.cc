#include "carp/copy_state.h"

namespace carpd {

void CopyState::set_wanted(bool wanted) {
    if (wanted != wanted_) ended();
    wanted_ = wanted;
}

void CopyState::heard(Instant now, bool complete) {
    heard_at_ = now;
    complete_ = complete;
}

void CopyState::set_master(Instant now, bool master) {
    if (master && !master_) settled_at_ = demotion(now) != 0 ? now + kTakeover : now;
    master_ = master;
}

int CopyState::demotion(Instant now) const {
    const bool is_the_truth = master_ && now >= settled_at_;
    return wanted_ && !is_complete(now) && !is_the_truth ? kDemotion : 0;
}

}  // namespace carpd
