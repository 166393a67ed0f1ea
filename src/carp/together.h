// Groups that one host serves together or not at all: the lan and the wan of a firewall
// (docs/protocol/carp.md §12, rules G1 to G6). A set of them, [[together]] in carpd.toml, belongs to this
// host alone: nothing of it is in the packets but the demotion that follows from it.
//
// Node makes the sets when it is configured and calls settle() after each input to a member. What a member
// may do depends on how the others stand, and on nothing that a set would have to remember; only how long it
// has been split is kept.
#pragma once

#include <string>
#include <vector>

#include "carp/actions.h"

namespace carpd {

class VirtualHost;

class Together {
 public:
    explicit Together(std::string name) : name_(std::move(name)) {}

    const std::string& name() const { return name_; }
    // `members` outlive the set or leave it first. Their order here is the same on all hosts (rule G6).
    void set_members(std::vector<VirtualHost*> members);
    const std::vector<VirtualHost*>& members() const { return members_; }

    // The member that forbids `member` to take over now, or null (rule G3). `master_lives`: `member` hears a
    // master, so that nothing is lost by waiting for the others to hear theirs.
    const VirtualHost* holder(Instant now, const VirtualHost& member, bool master_lives) const;

    // After an input to `changed`, a member: whatever follows from it for the others. Returns whether
    // anything of them may have changed, their deadlines too. `at_once`: a MASTER that is demoted by it says
    // so now, and not with its next advertisement.
    bool settle(Instant now, VirtualHost& changed, bool at_once, Actions& out);
    // The same without asking whether anything is new.
    void settle_all(Instant now, bool at_once, Actions& out);

 private:
    void share_faults(Instant now, bool at_once, Actions& out);
    int sum_of_faults() const;
    const VirtualHost* split_from(Instant now, VirtualHost& master) const;
    void take_over_together(Instant now, Actions& out);
    const VirtualHost* first_cause() const;

    std::string name_;
    std::vector<VirtualHost*> members_;
    Instant split_since_ = kNever;  // a member is MASTER and another can't be; kNever: not so
};

}  // namespace carpd
