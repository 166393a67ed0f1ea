#include "carp/together.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

#include "carp/virtual_host.h"

namespace carpd {

namespace {

// A member in INIT, or one that a better host has taken from us: whatever else demotes a host, it could serve
// both.
constexpr int kOutOfService = DemotionCounter::kMaxAmount;

// The same on every host: the names of groups and interfaces need not be (rule G6).
auto place(const VirtualHost& member) {
    const auto& addresses = member.config().addresses;
    const auto lowest = std::min_element(addresses.begin(), addresses.end(),
                                         [](const auto& a, const auto& b) { return a.address < b.address; });
    return std::tuple(member.config().vhid, lowest->address, member.id());
}

bool is_carried(std::string_view contribution) {
    return contribution.starts_with(kTogetherDemotion);
}

// It demotes other groups of the host by itself.
bool is_host_wide(std::string_view contribution) {
    return contribution == kHoldDownDemotion || contribution == kSyncDemotion ||
           contribution.find(':') != std::string_view::npos;
}

int own_faults(const VirtualHost& member) {
    int sum = member.is_out_of_service() ? kOutOfService : 0;
    for (const auto& c : member.demotion().contributions())
        if (!is_carried(c.name)) sum += c.amount;
    return sum;
}

}  // namespace

void Together::set_members(std::vector<VirtualHost*> members) {
    members_ = std::move(members);
    std::sort(members_.begin(), members_.end(),
              [](const VirtualHost* a, const VirtualHost* b) { return place(*a) < place(*b); });
    split_since_ = kNever;
}

const VirtualHost* Together::holder(Instant now, const VirtualHost& member, bool master_lives) const {
    for (const VirtualHost* other : members_) {
        if (other == &member) continue;
        const Prospect prospect = other->prospect(now);
        if (prospect == Prospect::blocked || (master_lives && prospect == Prospect::unknown)) return other;
    }
    return nullptr;
}

bool Together::settle(Instant now, VirtualHost& changed, bool at_once, Actions& out) {
    if (!changed.has_news(now)) return false;
    settle_all(now, at_once, out);
    return true;
}

void Together::settle_all(Instant now, bool at_once, Actions& out) {
    share_faults(now, at_once, out);
    take_over_together(now, out);
    share_faults(now, at_once, out);  // who took over may end a split, or begin one
    for (VirtualHost* member : members_) member->has_news(now);
}

// ---- one standing (rules G1 and G5)

// What all members together are demoted by, each contribution once.
int Together::sum_of_faults() const {
    int sum = 0;
    std::set<std::string_view> host_wide;
    for (const VirtualHost* member : members_) {
        if (member->is_out_of_service()) sum += kOutOfService;
        for (const auto& c : member->demotion().contributions())
            if (!is_carried(c.name) && (!is_host_wide(c.name) || host_wide.insert(c.name).second))
                sum += c.amount;
    }
    return sum;
}

void Together::share_faults(Instant now, bool at_once, Actions& out) {
    const auto is_master = [](const VirtualHost* m) { return m->state() == State::master; };
    const auto is_blocked = [now](const VirtualHost* m) { return m->prospect(now) == Prospect::blocked; };
    const bool split = std::any_of(members_.begin(), members_.end(), is_master) &&
                       std::any_of(members_.begin(), members_.end(), is_blocked);
    if (!split) split_since_ = kNever;
    if (split && split_since_ == kNever) split_since_ = now;

    const int sum = sum_of_faults();
    for (VirtualHost* member : members_) {
        int amount = member->state() != State::init ? sum - own_faults(*member) : 0;
        const VirtualHost* worst = nullptr;
        if (amount != 0)
            for (const VirtualHost* other : members_)
                if (other != member && (!worst || own_faults(*other) > own_faults(*worst))) worst = other;
        if (const VirtualHost* apart = split ? split_from(now, *member) : nullptr) {
            worst = worst && own_faults(*worst) >= kOutOfService ? worst : apart;
            amount += kOutOfService;
        }
        amount = std::clamp(amount, -DemotionCounter::kMaxAmount, DemotionCounter::kMaxAmount);
        member->carry(now, worst ? worst->config().name : "", amount, at_once, out);
    }
}

// The member that a better host has, once that has lasted; until then `master` is to look again. Of two hosts
// that are both split the one that has the member that comes first waits for the other's, and gets it
// (rule G6): that one gives up first.
const VirtualHost* Together::split_from(Instant now, VirtualHost& master) const {
    if (master.state() != State::master) return nullptr;
    const VirtualHost* apart = nullptr;
    bool is_first = true;
    for (const VirtualHost* member : members_) {
        if (member == &master && apart) is_first = false;
        if (!apart && member->prospect(now) == Prospect::blocked) apart = member;
    }
    const AdvBase base = master.config().advbase;
    const AdvSkew skew = master.config().advskew;
    const Instant counts_at =
        split_since_ + (is_first ? master_down_interval(base, skew) : advertisement_interval(base, skew) / 4);
    if (now >= counts_at) return apart;
    master.look_again(counts_at);
    return nullptr;
}

// ---- moving together (rules G2 and G4)

void Together::take_over_together(Instant now, Actions& out) {
    for (VirtualHost* member : members_) member->try_again(now, out);
    const VirtualHost* first = first_cause();
    if (!first) return;
    for (VirtualHost* member : members_)
        if (member->prospect(now) == Prospect::open && !holder(now, *member, false))
            member->go_along(now, *first, out);
}

// The MASTER among the members that became one last, and by itself.
const VirtualHost* Together::first_cause() const {
    const VirtualHost* first = nullptr;
    const auto is_later = [](const VirtualHost& a, const VirtualHost& b) {
        const bool a_follows = !a.together_with().empty(), b_follows = !b.together_with().empty();
        return a_follows != b_follows ? b_follows : a.since() > b.since();
    };
    for (const VirtualHost* member : members_)
        if (member->state() == State::master && (!first || is_later(*member, *first))) first = member;
    return first;
}

}  // namespace carpd
