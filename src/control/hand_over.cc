#include "control/hand_over.h"

#include <fmt/format.h>

#include <array>
#include <concepts>
#include <map>
#include <utility>

#include "carp/node.h"
#include "control/json.h"

namespace carpd {

namespace {

// One list of each struct's fields serves both directions: `fields(archive, value)` calls archive(name,
// field) for each, with a Writer or a Reader; and archive.list(name, field) for a list that is left out where
// it is empty.

template <class T>
concept Number = std::integral<T> && !std::same_as<T, bool>;

template <class A>
void fields(A& a, SentCounters::Progress& v) {
    a("first", v.first), a("sent", v.sent), a("last_heard", v.last_heard);
}
template <class A>
void fields(A& a, DemotionCounter::Contribution& v) {
    a("name", v.name), a("amount", v.amount);
}
template <class A>
void fields(A& a, Standing& v) {
    a("advbase", v.advbase.seconds), a("advskew", v.advskew.value), a("demote", v.demote);
}
template <class A>
void fields(A& a, Rival& v) {
    a("source", v.source), a("standing", v.standing);
}
template <class A>
void fields(A& a, Counters& v) {
    a("advertisements_received_ipv4", v.advertisements_received_ipv4);
    a("advertisements_received_ipv6", v.advertisements_received_ipv6);
    a("alternate_accepted", v.alternate_accepted);
    a("advertisements_sent_ipv4", v.advertisements_sent_ipv4);
    a("advertisements_sent_ipv6", v.advertisements_sent_ipv6);
    a("bow_outs_received", v.bow_outs_received), a("bow_outs_sent", v.bow_outs_sent);
    a("send_errors", v.send_errors);
    a("transitions_to_init", v.transitions_to_init);
    a("transitions_to_backup", v.transitions_to_backup);
    a("transitions_to_master", v.transitions_to_master);
    a("announcements", v.announcements), a("commits_missed", v.commits_missed);
    a("rivals_heard", v.rivals_heard), a("takeovers_held", v.takeovers_held);
    a("dropped", v.dropped);
}
template <class A>
void fields(A& a, GroupMemory& v) {
    a("interface", v.interface), a("vhid", v.vhid.value);
    a("state", v.state), a("cause", v.cause), a("followed", v.followed);
    a("since", v.since), a("joined_at", v.joined_at);
    a("owns", v.owns), a("lease_until", v.lease_until), a("commit_until", v.commit_until);
    a("advertise_at", v.advertise_at), a("announce_at", v.announce_at);
    a("master_down4", v.master_down4), a("master_down6", v.master_down6);
    a("hold_down_ends", v.hold_down_ends);
    a("advertised_at", v.advertised_at), a("announced_at", v.announced_at);
    a("rival_report_due", v.rival_report_due);
    a("sent", v.sent);
    a("send_errors_in_a_row", v.send_errors_in_a_row), a("sends_in_a_row", v.sends_in_a_row);
    a("announcements_left", v.announcements_left);
    a("advertised_advskew", v.advertised_advskew.value);
    a("demotions", v.demotions), a("withdrawn_by", v.withdrawn_by);
    a("last_heard", v.last_heard), a("last_heard_at", v.last_heard_at);
    a("counters", v.counters);
}
template <class A>
void fields(A& a, InterfaceGroupDemotion& v) {
    a("interface_group", v.interface_group), a("name", v.name), a("amount", v.amount);
}
template <class A>
void fields(A& a, DemotionEnd& v) {
    a("interface", v.interface), a("vhid", v.vhid.value);
    a("interface_group", v.interface_group), a("name", v.name), a("at", v.at);
}
template <class A>
void fields(A& a, Lateness::Case& v) {
    a("late", v.late), a("at", v.at);
}
template <class A>
void fields(A& a, Lateness& v) {
    a("count", v.count), a("last", v.last), a("worst", v.worst);
}
// What another version counts otherwise begins anew.
template <class A>
void counter(A& a, const std::string& name, std::uint64_t& count) {
    std::optional<std::uint64_t> known = count;
    a(name.c_str(), known);
    count = known.value_or(0);
}
template <class A>
void fields(A& a, Histogram& v) {
    for (std::size_t i = 0; i < Histogram::kBounds; ++i)
        counter(a, fmt::format("to_{}", (*v.bounds)[i].count()), v.counts[i]);
    counter(a, "more", v.counts[Histogram::kBounds]);
    counter(a, "microseconds", v.microseconds);
}
template <class A>
void fields(A& a, TransitionCounters& v) {
    for (const State to : {State::init, State::backup, State::master})
        for (std::size_t i = 0; i < kCauses; ++i) {
            const auto cause = static_cast<Cause>(i);
            std::uint64_t count = v.get(to, cause);
            counter(a, fmt::format("{}_{}", to_string(to), to_identifier(cause)), count);
            v.set(to, cause, count);
        }
}
template <class A>
void fields(A& a, HostTally& v) {
    HostTally::for_each_histogram(v, a);
    a("transitions", v.transitions);
}
template <class A>
void fields(A& a, PoolSeat& v) {
    a("is_taken", v.is_taken), a("is_self", v.is_self), a("source", v.source), a("standing", v.standing);
    a("since", v.since), a("lives_until", v.lives_until);
    a("another_lives_until", v.another_lives_until);
}
template <class A>
void fields(A& a, PoolMemory::Carpnode& v) {
    a("vhid", v.vhid.value), a("seat", v.seat);
}
template <class A>
void fields(A& a, PoolHost& v) {
    a("address", v.address), a("heard_at", v.heard_at), a("gone_at", v.gone_at);
    a("mark", v.mark), a("times", v.times), a("same_since", v.same_since), a("probe_at", v.probe_at);
    a("is_said_to_differ", v.is_said_to_differ);
    a("is_said_to_be_kept_back", v.is_said_to_be_kept_back);
}
template <class A>
void fields(A& a, PoolMemory& v) {
    a("interface", v.interface), a("leader", v.leader.value), a("fingerprint", v.fingerprint);
    a("carpnodes", v.carpnodes), a("hosts", v.hosts);
    a("settling_until", v.settling_until), a("probe_at", v.probe_at);
}
template <class A>
void fields(A& a, NodeMemory& v) {
    a.list("pools", v.pools);
    a("groups", v.groups), a("interface_group_demotions", v.interface_group_demotions), a("ends", v.ends);
    a("sync_demotion", v.sync_demotion), a("lateness", v.lateness), a("dropped", v.dropped);
    std::optional<HostTally> tally = v.tally;
    a("tally", tally);
    v.tally = tally.value_or(HostTally());
}
template <class A>
void fields(A& a, TrackVerdict& v) {
    a("known", v.known), a("passed", v.passed), a("why", v.why), a("since", v.since);
    a("passes", v.passes), a("failures", v.failures), a("changes", v.changes);
}
template <class A>
void fields(A& a, TrackMemory& v) {
    a("track", v.track), a("verdict", v.verdict);
}
template <class A>
void fields(A& a, SyncMemory& v) {
    a("pid", v.pid), a("complete", v.complete), a("peers", v.peers), a("peers_up", v.peers_up);
    a("takeover", v.takeover), a("committed", v.committed);
}
template <class A>
void fields(A& a, PoolTraffic& v) {
    a("packets", v.packets), a("bytes", v.bytes), a("of_others", v.of_others);
}
template <class A>
void fields(A& a, CarpnodeMemory& v) {
    a("interface", v.interface), a("vhid", v.vhid.value), a("lingers", v.lingers), a("traffic", v.traffic);
}
template <class A>
void fields(A& a, HandOver& v) {
    a.list("carpnodes", v.carpnodes);
    a("last_packet", v.last_packet);
    a("version", v.version), a("node", v.node), a("tracks", v.tracks), a("sync", v.sync);
    a("history", v.history);
}

template <class A>
void fields(A& a, KeptMemory& v) {
    a("name", v.name), a("pid", v.pid), a("engine_end", v.engine_end), a("own_end", v.own_end);
}
template <class A>
void fields(A& a, SupervisorMemory& v) {
    a("engine", v.engine), a("restarts", v.restarts), a("watchdog", v.watchdog), a("lock", v.lock);
    a("engine_end", v.engine_end), a("own_end", v.own_end), a("kept", v.kept);
}

class Writer {
 public:
    template <class T>
    void operator()(const char* name, T& value) {
        json_[name] = of(value);
    }
    void list(const char* name, auto& values) {
        if (!values.empty()) (*this)(name, values);
    }

    template <class T>
    static Json of(T& value) {
        Writer writer;
        fields(writer, value);
        return std::move(writer.json_);
    }
    static Json of(std::string& value) { return value; }
    static Json of(bool& value) { return value; }
    template <Number T>
    static Json of(T& value) {
        return value;
    }
    static Json of(State& value) { return to_string(value); }
    static Json of(Cause& value) { return to_identifier(value); }
    static Json of(Instant& value) { return value.time_since_epoch().count(); }
    static Json of(Duration& value) { return value.count(); }
    static Json of(IpAddress& value) { return value.to_string(); }
    template <class T>
    static Json of(std::optional<T>& value) {
        return value ? of(*value) : Json(nullptr);
    }
    template <class T>
    static Json of(std::vector<T>& values) {
        Json list = Json::array();
        for (T& value : values) list.push_back(of(value));
        return list;
    }
    static Json of(std::deque<std::string>& values) { return values; }
    static Json of(DropCounters& counts) {
        return by_reason([&](DropReason reason) { return counts[static_cast<std::size_t>(reason)]; });
    }
    static Json of(GroupDropCounters& counts) {
        return by_reason([&](DropReason reason) { return counts[reason]; });
    }

 private:
    static Json by_reason(auto count_of) {
        Json counts = Json::object();
        for (std::size_t i = 0; i < kDropReasonCount; ++i)
            if (const std::uint64_t count = count_of(static_cast<DropReason>(i)))
                counts[std::string(to_string(static_cast<DropReason>(i)))] = count;
        return counts;
    }

    Json json_ = Json::object();
};

// Of what it can't read it keeps the path: "node.groups.3.state".
class Reader {
 public:
    Reader(const Json& json, std::string path, std::string& wrong)
        : json_(json), path_(std::move(path)), wrong_(wrong) {}

    template <class T>
    void operator()(const char* name, T& value) {
        if (!wrong_.empty()) return;
        const auto found = json_.is_object() ? json_.find(name) : json_.end();
        Reader below(found == json_.end() ? nothing() : *found, path_.empty() ? name : path_ + "." + name,
                     wrong_);
        if (!below.read(value) && wrong_.empty()) wrong_ = below.path_;
    }
    void list(const char* name, auto& values) {
        if (json_.is_object() && json_.contains(name)) (*this)(name, values);
    }

 private:
    static const Json& nothing() {
        static const Json null;
        return null;
    }

    template <class T>
    bool read(T& value) {
        if (!json_.is_object()) return false;
        fields(*this, value);
        return wrong_.empty();
    }
    bool read(std::string& value) {
        if (!json_.is_string()) return false;
        value = json_.get<std::string>();
        return value.find('\0') == std::string::npos;
    }
    bool read(bool& value) {
        if (!json_.is_boolean()) return false;
        value = json_.get<bool>();
        return true;
    }
    template <Number T>
    bool read(T& value) {
        if (json_.is_number_unsigned()) {
            const auto number = json_.get<std::uint64_t>();
            value = static_cast<T>(number);
            return std::in_range<T>(number);
        }
        if (!json_.is_number_integer()) return false;
        const auto number = json_.get<std::int64_t>();
        value = static_cast<T>(number);
        return std::in_range<T>(number);
    }
    bool read(State& value) {
        for (const State each : {State::init, State::backup, State::master})
            if (json_ == to_string(each)) return value = each, true;
        return false;
    }
    bool read(Cause& value) {
        for (std::size_t i = 0; i < kCauses; ++i)
            if (json_ == to_identifier(static_cast<Cause>(i))) return value = static_cast<Cause>(i), true;
        return false;
    }
    // Those that aren't the ends of time leave room to count on.
    bool read(Duration& value) {
        constexpr std::int64_t kMost = std::int64_t{1} << 61;
        std::int64_t count = 0;
        if (!read(count)) return false;
        value = Duration(count);
        return count > -kMost && count < kMost;
    }
    bool read(Instant& value) {
        std::int64_t count = 0;
        const bool is_end = read(count) && (Duration(count) == kNever.time_since_epoch() ||
                                            Duration(count) == Instant::min().time_since_epoch());
        Duration since_start(count);
        if (!is_end && !read(since_start)) return false;
        value = Instant(since_start);
        return true;
    }
    bool read(IpAddress& value) {
        std::string text;
        const auto address = read(text) ? IpAddress::parse(text) : std::nullopt;
        if (address) value = *address;
        return address.has_value();
    }
    template <class T>
    bool read(std::optional<T>& value) {
        return json_.is_null() || read(value.emplace());
    }
    template <class List>
    bool read_list(List& values) {
        if (!json_.is_array()) return false;
        for (const Json& element : json_) {
            Reader below(element, fmt::format("{}.{}", path_, values.size()), wrong_);
            if (below.read(values.emplace_back())) continue;
            if (wrong_.empty()) wrong_ = below.path_;
            return false;
        }
        return true;
    }
    template <class T>
    bool read(std::vector<T>& values) {
        return read_list(values);
    }
    bool read(std::deque<std::string>& values) { return read_list(values); }
    bool read(DropCounters& counts) {
        return read_reasons(
            [&](DropReason reason, auto count) { counts[static_cast<std::size_t>(reason)] = count; });
    }
    bool read(GroupDropCounters& counts) {
        return read_reasons([&](DropReason reason, auto count) { counts.set(reason, count); });
    }
    bool read_reasons(auto set) {
        if (!json_.is_object()) return false;
        for (std::size_t i = 0; i < kDropReasonCount; ++i) {
            const auto reason = static_cast<DropReason>(i);
            const auto found = json_.find(std::string(to_string(reason)));
            if (found == json_.end()) continue;
            if (!found->is_number_unsigned()) return false;
            set(reason, found->template get<std::uint64_t>());
        }
        return true;
    }

    const Json& json_;
    std::string path_;
    std::string& wrong_;
};

bool is_amount(int amount) {
    return amount != 0 && amount >= -DemotionCounter::kMaxAmount && amount <= DemotionCounter::kMaxAmount;
}

// No end of time.
bool is_plain(Instant at) {
    return at != kNever && at != Instant::min();
}

// What the core relies on. Where something else is said, or nothing if all is well.
std::string contradiction_in(const NodeMemory& node) {
    for (const GroupMemory& group : node.groups) {
        const std::string name = fmt::format("vhid {} on {}", group.vhid.value, group.interface);
        if (group.vhid.value == 0) return name;
        if (group.demotions.size() > DemotionCounter::kMaxContributions) return "demotions of " + name;
        for (const auto& demotion : group.demotions)
            if (!is_amount(demotion.amount)) return "a demotion of " + name;
        const bool has_lease = group.lease_until != kNever;
        if (group.owns && (group.state != State::master || !has_lease)) return "the lease of " + name;
        const bool is_past = group.joined_at != kNever && group.advertised_at != kNever &&
                             group.announced_at != kNever && is_plain(group.since) &&
                             (is_plain(group.last_heard_at) || !group.last_heard);
        if (!is_past || group.last_heard_at == kNever) return "a time of " + name;
        for (const Instant timer :
             {group.advertise_at, group.master_down4, group.master_down6, group.announce_at,
              group.hold_down_ends, group.lease_until, group.commit_until})
            if (timer != kNever && !is_plain(timer)) return "a timer of " + name;
    }
    for (const PoolMemory& pool : node.pools) {
        const std::string name = fmt::format("the pool of vhid {} on {}", pool.leader.value, pool.interface);
        for (const auto& [vhid, seat] : pool.carpnodes)
            if ((seat.is_taken && !seat.source) || seat.since == kNever) return name;
        for (const PoolHost& host : pool.hosts)
            if (host.same_since == kNever || host.probe_at == kNever) return "a host of " + name;
    }
    std::map<std::string, std::size_t> names;
    for (const auto& [interface_group, name, amount] : node.interface_group_demotions)
        if (!is_amount(amount) || ++names[interface_group] > Node::kMaxOperatorNames)
            return "a demotion of " + interface_group;
    if (!is_plain(node.lateness.last.at) || !is_plain(node.lateness.worst.at)) return "lateness";
    return "";
}

// Nothing is wrong with what describes a supervisor but what its fields say.
std::string contradiction_in(const SupervisorMemory&) {
    return "";
}

std::string contradiction_in(const HandOver& hand_over) {
    for (const TrackMemory& track : hand_over.tracks)
        if (!is_plain(track.verdict.since)) return "the verdict of " + track.track;
    return contradiction_in(hand_over.node);
}

template <class T>
std::string write(T copy, int format) {  // the lists of fields are of what can be written to
    Json json = Writer::of(copy);
    json["format"] = format;
    return dump(json);
}

template <class T>
Expected<T, std::string> parse(std::string_view text) {
    const Json json = Json::parse(text.begin(), text.end(), nullptr, false);
    if (!json.is_object()) return Unexpected{std::string("it is no JSON object")};
    std::string wrong;
    Reader reader(json, "", wrong);
    int format = 0;
    reader("format", format);
    if (!understands(format))
        return Unexpected{fmt::format("its format is {}, and this carpd knows {}", format, kHandOverFormat)};
    T value;
    fields(reader, value);
    if (wrong.empty()) wrong = contradiction_in(value);
    if (!wrong.empty()) return Unexpected{fmt::format("{} makes no sense", wrong)};
    return value;
}

}  // namespace

std::string to_document(const HandOver& hand_over) {
    return write(hand_over, hand_over_format(!hand_over.node.pools.empty()));
}

std::string to_document(const SupervisorMemory& memory) {
    return write(memory, hand_over_format(false));
}

Expected<HandOver, std::string> parse_hand_over(std::string_view text) {
    return parse<HandOver>(text);
}

Expected<SupervisorMemory, std::string> parse_supervisor_memory(std::string_view text) {
    return parse<SupervisorMemory>(text);
}

}  // namespace carpd
