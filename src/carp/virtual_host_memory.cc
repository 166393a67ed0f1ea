// How a group goes on in another process.
#include <algorithm>

#include "base/assert.h"
#include "carp/virtual_host.h"

namespace carpd {

GroupMemory VirtualHost::memory() const {
    GroupMemory memory;
    memory.interface = config_->interface;
    memory.vhid = config_->vhid;
    memory.state = state_;
    memory.cause = cause_;
    memory.followed = together_with();
    memory.since = since_;
    memory.joined_at = joined_at_;
    memory.owns = owns_;
    memory.lease_until = lease_until_;
    memory.commit_until = commit_until_;
    memory.advertise_at = advertise_at_;
    memory.master_down4 = master_down_[static_cast<std::size_t>(Family::ipv4)];
    memory.master_down6 = master_down_[static_cast<std::size_t>(Family::ipv6)];
    memory.announce_at = announce_at_;
    memory.hold_down_ends = hold_down_ends_;
    memory.advertised_at = advertised_at_;
    memory.announced_at = announced_at_;
    memory.rival_report_due = rival_report_due_;
    memory.sent = sent_counters_.progress();
    memory.send_errors_in_a_row = consecutive_send_errors_;
    memory.sends_in_a_row = consecutive_sends_;
    memory.announcements_left = announcements_left_;
    memory.advertised_advskew = advertised_advskew_;
    memory.demotions.assign(demotion_.contributions().begin(), demotion_.contributions().end());
    memory.withdrawn_by.assign(withdrawn_by_.begin(), withdrawn_by_.end());
    memory.last_heard = last_heard_;
    memory.last_heard_at = last_heard_at_;
    memory.counters = counters_;
    return memory;
}

void VirtualHost::resume(Instant now, const GroupMemory& memory, const LinkStatus& link, Actions& out) {
    CARPD_ASSERT(state_ == State::init && counters_ == Counters());
    link_ = &link;
    link_is_known_ = true;
    state_ = memory.state;
    cause_ = memory.cause;
    since_ = memory.since;
    joined_at_ = memory.joined_at;
    owns_ = memory.owns;
    lease_until_ = memory.lease_until;
    commit_until_ = memory.commit_until;
    advertise_at_ = memory.advertise_at;
    master_down(Family::ipv4) = memory.master_down4;
    master_down(Family::ipv6) = memory.master_down6;
    announce_at_ = announces() ? memory.announce_at : kNever;
    hold_down_ends_ = memory.hold_down_ends;
    advertised_at_ = memory.advertised_at;
    announced_at_ = memory.announced_at;
    rival_report_due_ = memory.rival_report_due;
    sent_counters_ = SentCounters(memory.sent);
    consecutive_send_errors_ = memory.send_errors_in_a_row;
    consecutive_sends_ = memory.sends_in_a_row;
    announcements_left_ = memory.announcements_left;
    advertised_advskew_ = memory.advertised_advskew;
    for (const auto& [name, amount] : memory.demotions) demotion_.set(name, amount);
    withdrawn_by_ = Few<std::string>(memory.withdrawn_by.begin(), memory.withdrawn_by.end());
    last_heard_ = memory.last_heard;
    last_heard_at_ = memory.last_heard_at;
    counters_ = memory.counters;
    if (membership_) membership_->followed = memory.followed;
    // The list of addresses may have changed meanwhile.
    for (Family family : kFamilies)
        if (!config_->has(family)) master_down(family) = kNever;
    if (state_ == State::backup && master_down_at() == kNever)
        for (Family family : kFamilies) restart_master_down(now, family, last_heard_);
    // What is late is for on_link(), which withdraws it.
    if (owns_ && lease_until_ > now) out.emplace_back(InstallAddresses{id_, lease_until_});
    if (waits_for_flows()) out.emplace_back(CommitFlows{id_});
}

}  // namespace carpd
