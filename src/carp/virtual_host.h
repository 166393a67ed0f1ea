// One vhid on one interface: the INIT/BACKUP/MASTER machine with its timers (docs/protocol/carp.md §3). Node
// owns them and passes inputs on; every input may append Actions.
//
//                    interface up               master-down timer, or an advertisement (E1..E4)
//          +------+ -------------> +--------+ ---------------------------------------> +--------+
//          | INIT |                | BACKUP |                                          | MASTER |
//          +------+ <------------- +--------+ <--------------------------------------- +--------+
//              ^     interface down             an advertisement (E6, E8, E10)              |
//              +----------------------------------------------------------------------------+
//                               interface down, a check that withdraws, stop
#pragma once

#include <algorithm>
#include <memory>
#include <optional>

#include "carp/actions.h"
#include "carp/authenticator.h"
#include "carp/counters.h"
#include "carp/demotion.h"
#include "carp/election.h"
#include "carp/host_tally.h"
#include "carp/memory.h"
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
inline constexpr std::string_view kSyncDemotion = "sync";
// What the name of a failing check's contribution begins with.
inline constexpr std::string_view kTrackDemotion = "track:";
// Followed by the name of the member of its set whose fault a group carries (rule G1).
inline constexpr std::string_view kTogetherDemotion = "together:";

class Together;

// What would become of a BACKUP that took over now, without having been asked to (rule G2).
enum class Prospect : std::uint8_t {
    none,     // it is no BACKUP
    unknown,  // it has just come, or just failed to, and has heard no master yet
    open,     // there is no master, or one that would lose to us
    blocked,  // it hears a master that we would lose to
};

// The last packet for a group that was refused.
struct Refusal {
    DropReason reason;
    IpAddress source;
    Instant at;
    std::optional<Advertisement> advertisement;  // nothing of what is VRRP, or of a beacon
};

class VirtualHost {
 public:
    // `config` stays where it is until reconfigure() or follow() name another. `tally` is its host's.
    VirtualHost(GroupId id, const GroupConfig& config, std::uint64_t first_counter, Instant now,
                HostTally& tally);

    // What another process needs in order to go on with this group; and a group that was only constructed
    // goes on with what is remembered. It takes from there what its configuration allows; on_link() follows.
    GroupMemory memory() const;
    void resume(Instant now, const GroupMemory& memory, const LinkStatus& link, Actions& out);

    // Inputs. `now` never decreases; a `link` stays where it is until another is named.
    void start(Instant now, const LinkStatus& link, Actions& out);
    void stop(Instant now, Cause cause, Actions& out);
    void on_link(Instant now, const LinkStatus& link, Actions& out);
    // The interface and vhid are ours; the rest is checked here (rules R4, R8 to R12).
    std::optional<DropReason> on_advertisement(Instant now, const IpPacket& packet,
                                               const Advertisement& advertisement, Actions& out);
    // A flood probe of its pool (rule N12): the same checks, and no more. Our own is nobody's and not
    // refused.
    std::optional<DropReason> on_flood_probe(Instant now, const IpPacket& packet,
                                             const Advertisement& advertisement);
    // Of an advertisement that was refused because the group is in INIT: whether nothing else is wrong with
    // it. Its pool hears it all the same.
    bool is_authentic(const IpPacket& packet, const Advertisement& advertisement) const {
        return packet.hop_limit == kHopLimit && !refuse_as_strange(packet, advertisement);
    }
    void on_timer(Instant now, Actions& out);
    // `commit_wait`: so long a new MASTER waits for its flows; 0: not at all.
    void on_send_result(Instant now, bool sent, Duration commit_wait, Actions& out);
    void on_committed(Instant now, Actions& out);
    void on_install_result(Instant now, bool installed, Actions& out);
    void on_demotion(Instant now, std::string_view name, int amount, Actions& out);
    // The checks of the host's health that fail now, of all groups. Also before start() (rules H1, H2).
    void on_failing_tracks(Instant now, const std::vector<FailingTrack>& failing, Actions& out);
    // Demoted until then, because its host has just started (rule M4).
    void hold_down(Instant now, Instant until, Actions& out);
    // The operator wants `state` (BACKUP or MASTER), once; false in INIT (rule O1). `together`: of the member
    // of its set with this name.
    bool on_request(Instant now, State state, Actions& out, std::string_view together = {});
    // A changed configuration of the same vhid on the same interface. A MASTER stays one (rule L1).
    void reconfigure(Instant now, const GroupConfig& config, Actions& out);
    // The same configuration at another place.
    void follow(const GroupConfig& config) { config_ = &config; }

    // What its set (carp/together.h) wants of it; null: it is in none.
    void join(Together* set);
    // Becomes MASTER with `first`, another member, and for the cause that `first` has.
    void go_along(Instant now, const VirtualHost& first, Actions& out);
    // It was held: it takes over if that is past.
    void try_again(Instant now, Actions& out);
    // Carries `amount` for the faults of others, first of all `member`'s; said to peers at once, or with the
    // next advertisement.
    void carry(Instant now, std::string_view member, int amount, bool at_once, Actions& out);
    // on_timer() is wanted then, which makes the set look at its members.
    void look_again(Instant at) { membership_->look_again = at; }
    // Whether what a set looks at has changed since the last call.
    bool has_news(Instant now);

    Instant next_deadline() const;

    // What `carpctl status` shows.
    GroupId id() const { return id_; }
    const GroupConfig& config() const { return *config_; }
    State state() const { return state_; }
    Instant since() const { return since_; }
    Cause cause() const { return cause_; }
    // The member of its set that it followed into its state; empty: none.
    std::string_view together_with() const {
        return membership_ ? std::string_view(membership_->followed) : std::string_view();
    }
    Together* set() const { return membership_ ? membership_->set : nullptr; }
    Prospect prospect(Instant now) const;
    // It is in INIT, and not only because nobody has told it of its interface yet.
    bool is_out_of_service() const { return state_ == State::init && link_is_known_; }
    // When its master is gone if it isn't heard again: even one that hangs doesn't answer any more.
    Instant gone_at() const;
    // When it is MASTER if nobody is heard until then, in no family; kNever unless it is BACKUP (rule T3).
    Instant master_down_at() const {
        const auto [first, last] = std::minmax(master_down_[0], master_down_[1]);
        return last == kNever ? first : last;
    }
    // BACKUP, and its master is heard in the other family only.
    std::optional<Family> unheard_family() const;
    // What keeps a BACKUP from being MASTER; nothing in another state.
    std::optional<Obstacle> obstacle(Instant now) const;
    // From when on a BACKUP that preempts may (rule O3); `now` or before: it may.
    Instant preempts_at() const { return joined_at_ + config_->preempt_delay; }
    // MASTER, and another one that isn't silenced by that advertises, too.
    bool hears_rival(Instant now) const;
    // Why it would take over if its set let it; `none` if it isn't held.
    Cause held() const { return set() ? membership_->held : Cause::none; }
    const DemotionCounter& demotion() const { return demotion_; }
    // MASTER, and its addresses answer or are told to now.
    bool owns() const { return owns_; }
    // As it stands in its last advertisement.
    AdvSkew advertised_advskew() const { return advertised_advskew_; }
    // From where it advertises in this family.
    IpAddress source(Family family) const;
    // To a pool's address; from where we advertise, by which hosts know us.
    AdvertisementPacket flood_probe(const IpAddress& destination);
    // When its demotion `hold_down` ends; kNever while it has none.
    Instant hold_down_ends() const { return hold_down_ends_; }
    // The failing checks that keep it in INIT.
    const Few<std::string>& withdrawn_by() const { return withdrawn_by_; }
    // What our advertisements say: advskew is at least 240 while demoted (rule M2).
    Standing standing() const;
    // The last authentic advertisement of somebody else, and when it came.
    const std::optional<Rival>& last_heard() const { return last_heard_; }
    Instant last_heard_at() const { return last_heard_at_; }
    // Until when its addresses may answer unless it advertises again; kNever while it doesn't own them.
    Instant lease_until() const { return owns_ ? lease_until_ : kNever; }
    // MASTER, and its addresses don't answer yet (rule Y1), for at most until commit_until().
    bool waits_for_flows() const { return commit_until_ != kNever; }
    Instant commit_until() const { return commit_until_; }
    const Counters& counters() const { return counters_; }
    const std::optional<Refusal>& last_refused() const { return last_refused_; }
    void count_drop(Instant now, const IpAddress& source, DropReason reason,
                    const std::optional<Advertisement>& advertisement = {});

 private:
    static constexpr Duration kReportGap = std::chrono::seconds(10);

    // An Action whose result comes back.
    template <class Send>
    void send(Instant now, Send action, Actions& out) {
        if (sends_pending_++ == 0) {
            sends_began_ = now;
            sends_succeeded_ = true;
        }
        out.emplace_back(std::move(action));
    }
    void enter(Instant now, State state, Cause cause, const std::optional<Rival>& rival, Actions& out,
               std::string_view together = {});
    Instant hand_over_until(Instant now, bool to_another) const;
    void leave_master(Instant now, Cause cause, const std::optional<Rival>& rival, Actions& out);
    enum class Saying : std::uint8_t { advertisement, bow_out, sign_off };
    void send_advertisements(Instant now, Actions& out, Saying saying = Saying::advertisement);
    void send_copy(Instant now, Family family, const IpAddress& destination, Saying saying, Actions& out);
    AdvertisementPacket sign(const IpAddress& source, const IpAddress& destination, Saying saying);
    void advertise(Instant now, Actions& out);
    void announce(Instant now, Actions& out);
    bool announces() const { return !config_->balance; }  // rule N5
    void reassert(Instant now, Cause cause, const Rival& rival, Actions& out);
    bool preempts(Instant now) const { return config_->preempt && now >= preempts_at(); }
    bool has_just_failed(Instant now) const;
    bool can_take_over(Instant now, Cause cause) const;
    bool has_heard_master() const { return last_heard_ && last_heard_at_ >= since_; }
    void time_out(Instant now, Actions& out);
    void let_go();
    const VirtualHost* hold(Instant now, Cause cause, bool master_lives, Actions& out);
    void arm_probe(Instant now);
    void send_ended(Instant now, Duration commit_wait, Actions& out);
    void install(Actions& out);
    void expire_lease(Instant now, Actions& out);
    Duration master_down_wait(const std::optional<Rival>& master) const;
    void restart_master_down(Instant now, Family family, const std::optional<Rival>& master);
    void hear_master(Instant now, Family family, const Rival& master, Actions& out);
    void disarm_all();
    void follow_fault(Instant now, Cause recovered, Actions& out);
    Cause link_fault() const;
    Cause fault() const;
    void tell_beat(Instant now, const IpAddress& source);
    bool is_alternate(const Advertisement& advertisement) const;
    std::optional<DropReason> refuse(const IpPacket& packet, const Advertisement& advertisement) const;
    std::optional<DropReason> refuse_as_strange(const IpPacket& packet,
                                                const Advertisement& advertisement) const;
    IpAddress source(const IpAddress& destination) const;
    Tie tie_with(const IpPacket& packet, const Advertisement& advertisement) const;
    Instant& master_down(Family family) { return master_down_[static_cast<std::size_t>(family)]; }
    Duration interval() const { return advertisement_interval(config_->advbase, config_->advskew); }

    // What it is as a member of a set, and what that was told of it.
    struct News {
        State state;
        Prospect prospect;
        Cause held;
        int demotion;
        bool operator==(const News&) const = default;
    };
    struct Membership {
        Together* set = nullptr;
        std::optional<News> told;
        Cause held = Cause::none;
        bool held_is_reported = false;
        Instant held_report_due = Instant::min();
        Instant look_again = kNever;
        std::string followed;  // together_with()
    };

    GroupId id_;
    State state_ = State::init;
    Cause cause_ = Cause::none;
    bool link_is_known_ = false;
    bool owns_ = false;  // MASTER, and told the driver to install the addresses
    const GroupConfig* config_;
    Authenticator authenticator_;
    std::unique_ptr<const Authenticator> alternate_;  // null: only the group's own key and list
    SentCounters sent_counters_;
    DemotionCounter demotion_;
    Few<std::string> withdrawn_by_;
    std::unique_ptr<Membership> membership_;  // null: it never was in a set, as most are
    const LinkStatus* link_ = nullptr;        // since start()
    Counters counters_;
    HostTally& tally_;

    Instant since_;
    Instant joined_at_ = Instant::min();  // when it last came from INIT

    // Timers; kNever while they don't run.
    Instant advertise_at_ = kNever;  // MASTER: the next advertisement; BACKUP: the next send probe (rule S3)
    Instant master_down_[2] = {kNever, kNever};  // of a BACKUP's families: kNever if it is said to be unheard
    Instant announce_at_ = kNever;
    Instant hold_down_ends_ = kNever;

    // The lease (rules F1 to F4).
    Instant lease_until_ = kNever;   // while it owns, or waits to
    Instant commit_until_ = kNever;  // while it waits for its flows: to when
    // Sends whose results are still to come, when the first of them was asked for, and whether all succeeded.
    Instant sends_began_ = Instant::min();
    int sends_pending_ = 0;
    bool sends_succeeded_ = true;
    // Each up to kSendErrorLimit.
    std::uint8_t consecutive_send_errors_ = 0;
    std::uint8_t consecutive_sends_ = 0;

    std::uint8_t announcements_left_ = 0;
    AdvSkew advertised_advskew_;

    Instant advertised_at_ = Instant::min();  // when we last sent one, and last announced
    Instant announced_at_ = Instant::min();
    Instant rival_report_due_ = Instant::min();
    std::optional<Rival> last_heard_;
    Instant last_heard_at_ = Instant::min();
    std::optional<Refusal> last_refused_;

    // For the tally: whose advertisement came last in the first of our families, and when; and while MASTER,
    // when the master before us was last heard, until our addresses answer.
    IpAddress beat_of_;
    Instant beat_at_ = Instant::min();
    Instant succeeds_at_ = kNever;
};

}  // namespace carpd
