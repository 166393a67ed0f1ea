// One vhid on one interface: the INIT/BACKUP/MASTER machine with its timers (docs/protocol/carp.md §3). Node
// owns them and passes inputs on; every input may append Actions.
//
//                    interface up               master-down timer, or an advertisement (E1..E4)
//          +------+ -------------> +--------+ ---------------------------------------> +--------+
//          | INIT |                | BACKUP |                                          | MASTER |
//          +------+ <------------- +--------+ <--------------------------------------- +--------+
//              ^     interface down             an advertisement (E6, E8, E10)              |
//              +----------------------------------------------------------------------------+
//                                            interface down, stop
#pragma once

#include <optional>

#include "carp/actions.h"
#include "carp/authenticator.h"
#include "carp/counters.h"
#include "carp/demotion.h"
#include "carp/election.h"
#include "carp/sent_counters.h"
#include "carp/types.h"
#include "wire/advertisement.h"
#include "wire/ip_packet.h"

namespace carpd {

// Names of the demotion contributions that the core itself makes.
inline constexpr std::string_view kSendErrorDemotion = "send_error";
inline constexpr std::string_view kAddressesDemotion = "addresses";
inline constexpr std::string_view kOperatorDemotion = "operator";
inline constexpr std::string_view kHoldDownDemotion = "hold_down";

class VirtualHost {
 public:
    // `config` stays where it is until reconfigure() or follow() name another.
    VirtualHost(GroupId id, const GroupConfig& config, std::uint64_t first_counter, Instant now);

    // Inputs. `now` never decreases; a `link` stays where it is until another is named.
    void start(Instant now, const LinkStatus& link, Actions& out);
    void stop(Instant now, Cause cause, Actions& out);
    void on_link(Instant now, const LinkStatus& link, Actions& out);
    // The interface and vhid are ours; the rest is checked here (rules R4, R8 to R12).
    std::optional<DropReason> on_advertisement(Instant now, const IpPacket& packet,
                                               const Advertisement& advertisement, Actions& out);
    void on_timer(Instant now, Actions& out);
    void on_send_result(Instant now, bool sent, Actions& out);
    void on_install_result(Instant now, bool installed, Actions& out);
    void on_demotion(Instant now, std::string_view name, int amount, Actions& out);
    // Demoted until then, because its host has just started (rule M4).
    void hold_down(Instant now, Instant until, Actions& out);
    // The operator wants `state` (BACKUP or MASTER), once; false in INIT (rule O1).
    bool on_request(Instant now, State state, Actions& out);
    // A changed configuration of the same vhid on the same interface. A MASTER stays one (rule L1).
    void reconfigure(Instant now, const GroupConfig& config, Actions& out);
    // The same configuration at another place.
    void follow(const GroupConfig& config) { config_ = &config; }

    Instant next_deadline() const;

    // What `carpctl status` shows.
    GroupId id() const { return id_; }
    const GroupConfig& config() const { return *config_; }
    State state() const { return state_; }
    Instant since() const { return since_; }
    Cause cause() const { return cause_; }
    const DemotionCounter& demotion() const { return demotion_; }
    // What our advertisements say: advskew is at least 240 while demoted (rule M2).
    Standing standing() const;
    // The last authentic advertisement of somebody else, and when it came.
    const std::optional<Rival>& last_heard() const { return last_heard_; }
    Instant last_heard_at() const { return last_heard_at_; }
    // Until when its addresses may answer unless it advertises again; kNever while it doesn't own them.
    Instant lease_until() const { return lease_until_; }
    const Counters& counters() const { return counters_; }
    void count_drop(DropReason reason) { ++counters_.dropped[static_cast<std::size_t>(reason)]; }

 private:
    // An Action whose result comes back.
    template <class Send>
    void send(Instant now, Send action, Actions& out) {
        if (sends_pending_++ == 0) {
            sends_began_ = now;
            sends_succeeded_ = true;
        }
        out.emplace_back(std::move(action));
    }
    void enter(Instant now, State state, Cause cause, const std::optional<Rival>& rival, Actions& out);
    void leave_master(Instant now, Cause cause, Actions& out);
    void send_advertisements(Instant now, Actions& out, bool bow_out = false);
    void send_copy(Instant now, Family family, const IpAddress& destination, bool bow_out, Actions& out);
    void advertise(Instant now, Actions& out);
    void announce(Instant now, Actions& out);
    void reassert(Instant now, Cause cause, const Rival& rival, Actions& out);
    bool preempts(Instant now) const {
        return config_->preempt && now >= joined_at_ + config_->preempt_delay;
    }
    bool can_take_over(Instant now, Cause cause) const;
    void arm_probe(Instant now);
    void send_ended(Instant now, Actions& out);
    void expire_lease(Instant now, Actions& out);
    void restart_master_down(Instant now, Family family, const std::optional<Rival>& master);
    void disarm_all();
    Cause link_fault() const;
    std::optional<DropReason> refuse(const IpPacket& packet, const Advertisement& advertisement) const;
    IpAddress source(const IpAddress& destination) const;
    Tie tie_with(const IpPacket& packet, const Advertisement& advertisement) const;
    Instant& master_down(Family family) { return master_down_[static_cast<std::size_t>(family)]; }
    Duration interval() const { return advertisement_interval(config_->advbase, config_->advskew); }

    GroupId id_;
    const GroupConfig* config_;
    Authenticator authenticator_;
    SentCounters sent_counters_;
    DemotionCounter demotion_;
    const LinkStatus* link_ = nullptr;  // since start()
    Counters counters_;

    State state_ = State::init;
    Cause cause_ = Cause::none;
    Instant since_;

    // Timers; kNever while they don't run.
    Instant advertise_at_ = kNever;  // MASTER: the next advertisement; BACKUP: the next send probe (rule S3)
    Instant master_down_[2] = {kNever, kNever};
    Instant announce_at_ = kNever;
    Instant hold_down_ends_ = kNever;

    Instant joined_at_ = Instant::min();  // when it last came from INIT

    // The lease (rules F1 to F4).
    bool owns_ = false;             // MASTER, and told the driver to install the addresses
    Instant lease_until_ = kNever;  // while it owns
    // Sends whose results are still to come, when the first of them was asked for, and whether all succeeded.
    int sends_pending_ = 0;
    Instant sends_began_ = Instant::min();
    bool sends_succeeded_ = true;

    Instant advertised_at_ = Instant::min();  // when we last sent one, and last announced
    Instant announced_at_ = Instant::min();
    Instant rival_report_due_ = Instant::min();
    int announcements_left_ = 0;
    int consecutive_send_errors_ = 0;
    int consecutive_sends_ = 0;
    std::optional<Rival> last_heard_;
    Instant last_heard_at_ = Instant::min();
};

}  // namespace carpd
