// keepalived.conf: instances become groups, sync groups sets, what is tracked tracks, and notify scripts
// hooks.
#include <fmt/format.h>

#include "import/keepalived_parts.h"
#include "import/keepalived_tree.h"
#include "import/keepalived_words.h"
#include "import/readers.h"
#include "import/words.h"

namespace carpd {

namespace {

class Keepalived {
 public:
    explicit Keepalived(Draft& draft) : draft_(draft), tracks_(draft) {}

    void read(const ImportFiles& files);

 private:
    void read_globals(const Statement& block);
    void read_instance(const Statement& block);
    // Returns whether the word is one of those.
    bool read_election(const Statement& s, DraftGroup& group, KeepalivedPace& pace);
    bool read_network(const Statement& s, DraftGroup& group);
    void read_authentication(const Statement& block, DraftGroup& group);
    void read_addresses(const Statement& block, DraftGroup& group, bool are_excluded);
    void read_sync_group(const Statement& block);
    void leave_out(const Statement& s);

    Draft& draft_;
    KeepalivedTracks tracks_;
    std::vector<std::string> given_;  // the files' names
    std::string version_;             // of VRRP, for all instances; empty: not given
};

void Keepalived::read(const ImportFiles& files) {
    std::vector<Statement> all;
    for (const ImportFile* file : files) {
        given_.push_back(base_name(file->name));
        for (Statement& s : parse_keepalived(*file)) all.push_back(std::move(s));
    }
    for (const Statement& s : all) tracks_.define(s);
    for (const Statement& s : all)
        if (s.word(0) == "global_defs") read_globals(s);
    for (const Statement& s : all)
        if (s.word(0) == "vrrp_instance") read_instance(s);
    for (const Statement& s : all) {
        const std::string keyword = s.word(0);
        if (keyword == "vrrp_sync_group")
            read_sync_group(s);
        else if (keyword == "include")
            read_include(s, given_, draft_);
        else if (keyword != "global_defs" && keyword != "vrrp_instance" &&
                 !KeepalivedTracks::is_definition(keyword))
            leave_out(s);
    }
    tracks_.finish();
    draft_.check_once(
        "VRRP and CARP don't understand each other: move all hosts of a group in one go, and start carpd "
        "where keepalived "
        "is stopped; as long as both run on one LAN they need different ids");
    draft_.check_once(
        "keepalived preempts unless there is nopreempt, and so it is written; carpd by itself doesn't");
}

// Said of each once, though an instance may have it on many lines.
void Keepalived::leave_out(const Statement& s) {
    if (s.has_variable && s.word(0).starts_with("$"))
        return draft_.no_match(s.at, fmt::format("{}: variables are not understood", s.word(0)));
    draft_.no_match(s.at, fmt::format("{}: {}", s.word(0),
                                      why_no_match(s.word(0)).value_or("carpd has nothing like it")));
}

void Keepalived::read_globals(const Statement& block) {
    for (const Statement& s : block.children) {
        const std::string keyword = s.word(0);
        if (keyword == "vrrp_version") version_ = s.word(1);
        if (keyword == "vrrp_startup_delay") {
            draft_.hold_down = seconds_up(s.word(1), 0, 3600);
            draft_.check(s.at,
                         "vrrp_startup_delay is now hold-down: meanwhile carpd serves what nobody else does");
        } else if (keyword.starts_with("vrrp_garp") || keyword.starts_with("vrrp_gna") ||
                   keyword == "router_id" || keyword == "vrrp_skip_check_adv_addr" ||
                   keyword == "vrrp_version") {
            draft_.taken(s.at, keyword + ": carpd needs nothing like it");
        } else if (keyword.starts_with("smtp_") || keyword == "notification_email_from") {
            draft_.no_match(s.at, keyword + ": carpd sends no mail");
        } else {
            leave_out(s);
        }
    }
}

void Keepalived::read_instance(const Statement& block) {
    DraftGroup group;
    group.at = block.at;
    group.name = name_of(block.word(1));
    group.preempt = true;
    group.interface_mac = true;
    KeepalivedPace pace;
    pace.version = version_;
    draft_.taken(block.at, fmt::format("vrrp_instance {} is a [[group]]", block.word(1)));
    for (const Statement& s : block.children) {
        const std::string keyword = s.word(0);
        if (s.has_variable)
            draft_.to_do(group, s.at,
                         fmt::format("{}: variables and lines for some hosts only (@) are not understood; "
                                     "write what is meant",
                                     keyword));
        else if (read_election(s, group, pace) || read_network(s, group))
            continue;
        else if (!tracks_.read(s, {group.name}) &&
                 !read_notify(s, {"INSTANCE", block.word(1), pace.priority}, group.name, draft_)) {
            if (is_needless_in_instance(keyword))
                draft_.taken(s.at, keyword + ": carpd needs nothing like it");
            else
                leave_out(s);
        }
    }
    set_pace(pace, group, draft_);
    draft_.groups.push_back(std::move(group));
}

bool Keepalived::read_election(const Statement& s, DraftGroup& group, KeepalivedPace& pace) {
    const std::string keyword = s.word(0);
    if (keyword == "virtual_router_id") {
        group.vhid = s.word(1);
    } else if (keyword == "priority") {
        pace.priority = s.word(1);
        pace.priority_at = s.at;
    } else if (keyword == "advert_int") {
        pace.interval = s.word(1);
        pace.interval_at = s.at;
    } else if (keyword == "version") {
        pace.version = s.word(1);
    } else if (keyword == "nopreempt") {
        group.preempt = false;
    } else if (keyword == "preempt") {
        group.preempt = true;
    } else if (keyword == "preempt_delay") {
        group.preempt_delay = seconds_up(s.word(1), 0, 3600);
        draft_.check(s.at, "preempt_delay counts from carpd's start and from when the link came back");
    } else {
        return false;
    }
    return true;
}

bool Keepalived::read_network(const Statement& s, DraftGroup& group) {
    const std::string keyword = s.word(0);
    if (keyword == "interface") {
        group.interface = s.word(1);
    } else if (keyword == "use_vmac") {
        group.interface_mac = false;
        if (s.words.size() > 1) draft_.taken(s.at, "use_vmac: carpd names its own device, if it needs one");
    } else if (keyword == "virtual_ipaddress" || keyword == "virtual_ipaddress_excluded") {
        read_addresses(s, group, keyword == "virtual_ipaddress_excluded");
    } else if (keyword == "unicast_peer") {
        for (const Statement& peer : s.children)
            for (const std::string& word : peer.words)
                if (is_address(word)) group.peers.push_back(word);
        draft_.check(s.at, "peers: the others must send from just these addresses");
    } else if (keyword == "authentication") {
        read_authentication(s, group);
    } else {
        return false;
    }
    return true;
}

void Keepalived::read_authentication(const Statement& block, DraftGroup& group) {
    for (const Statement& s : block.children) {
        if (s.word(0) != "auth_pass") {
            if (s.word(0) != "auth_type") leave_out(s);
            continue;
        }
        group.password = s.word(1);
        if (s.has_variable)
            draft_.to_do(group, s.at, "auth_pass: variables are not understood; write the password");
        draft_.check(s.at,
                     "auth_pass was sent in clear text and only its first 8 characters counted: better "
                     "choose a new password, "
                     "the same on all hosts");
    }
}

// An address with what follows it, or several on a line.
void Keepalived::read_addresses(const Statement& block, DraftGroup& group, bool are_excluded) {
    if (are_excluded)
        draft_.check(block.at,
                     "virtual_ipaddress_excluded: in CARP all addresses are part of what is signed; list the "
                     "same on all hosts");
    for (const Statement& s : block.children) {
        if (s.has_variable) {
            draft_.to_do(group, s.at,
                         fmt::format("{}: variables are not understood; write the address", s.word(0)));
            continue;
        }
        for (const PlacedAddress& address : addresses_of(s)) {
            if (!address.device.empty() && address.device != group.interface && !group.interface.empty()) {
                draft_.to_do(
                    group, s.at,
                    fmt::format(
                        "{} was on {}: a group has one interface; write another [[group]] for it there",
                        address.text, address.device));
                continue;
            }
            if (address.text.find('/') == std::string::npos)
                draft_.check(s.at,
                             fmt::format("{} has no prefix length; it is a single host's, as with keepalived",
                                         address.text));
            group.addresses.push_back(with_prefix(address.text));
        }
    }
}

void Keepalived::read_sync_group(const Statement& block) {
    DraftTogether set{block.at, name_of(block.word(1)), {}};
    for (const Statement& s : block.children)
        if (s.word(0) == "group") {
            for (std::size_t i = 1; i < s.words.size(); ++i) set.groups.push_back(name_of(s.words[i]));
            for (const Statement& member : s.children)
                for (const std::string& word : member.words) set.groups.push_back(name_of(word));
        }
    for (const Statement& s : block.children) {
        if (s.word(0) == "group" || tracks_.read(s, set.groups)) continue;
        if (!set.groups.empty() && read_notify(s, {"GROUP", block.word(1), ""}, set.groups.front(), draft_)) {
            draft_.check(s.at, fmt::format("{} is told of {} only, for all of the set move together",
                                           s.word(0), set.groups.front()));
            continue;
        }
        if (s.word(0) != "global_tracking") leave_out(s);
    }
    if (set.groups.size() < 2) {
        draft_.taken(block.at,
                     fmt::format("vrrp_sync_group {} has one member, which needs no set", set.name));
        return;
    }
    draft_.taken(block.at, fmt::format("vrrp_sync_group {} is a [[together]]", set.name));
    draft_.check(block.at,
                 fmt::format("{}: give its groups the same advskew and advbase on a host", set.name));
    draft_.together.push_back(std::move(set));
}

}  // namespace

void read_keepalived(const ImportFiles& files, Draft& draft) {
    Keepalived(draft).read(files);
}

}  // namespace carpd
