#include "lab/experiments.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "lab/capture.h"
#include "lab/carpd.h"
#include "lab/error.h"
#include "lab/lab.h"
#include "lab/probe.h"

namespace carpd::lab {

namespace {

constexpr const char* kAddress = "192.0.2.100";
constexpr const char* kGroup = "lan";

std::string config(int advbase, int advskew) {
    return fmt::format(
        "[[group]]\nname = \"{}\"\ninterface = \"eth0\"\nvhid = 1\naddresses = [\"{}/24\"]\npassword = "
        "\"s3cret\"\n"
        "advbase = {}\nadvskew = {}\n",
        kGroup, kAddress, advbase, advskew);
}

// One lab for several runs, each with daemons of its own.
struct Arena {
    Lab lab;
    Host& master = lab.add_host("master", {"192.0.2.1/24"});
    Host& backup = lab.add_host("backup", {"192.0.2.2/24"});
    Host& client = lab.add_host("client", {"192.0.2.9/24"});

    Arena() {
        master.serve();
        backup.serve();
    }
};

// The pair isn't as it should be before anything has failed: a busy machine made the master give up.
class NotInPlace : public LabError {
 public:
    using LabError::LabError;
};

struct Daemons {
    Carpd master, backup;

    Daemons(Arena& arena, const Timing& timing)
        : master(arena.master, config(timing.advbase, timing.master_skew)),
          backup((ready(master), arena.backup), config(timing.advbase, timing.backup_skew)) {
        const auto heard = [&] { return !backup.group(kGroup).at("last_heard").is_null(); };
        if (!wait_until(heard, 10s) || backup.state(kGroup) != "backup")
            throw NotInPlace("the backup hears no master");
    }

    std::uint64_t transitions() const { return master.transitions(kGroup) + backup.transitions(kGroup); }

    static void ready(const Carpd& carpd) {
        if (!carpd.wait_state(kGroup, "master")) fail("nobody becomes MASTER");
    }
};

// When the host sent its first advertisement.
Time first_advertisement(Capture& capture) {
    const auto frames = capture.sent(&CapturedFrame::is_advertisement);
    if (frames.empty()) fail("the new master does not advertise");
    return frames.front().time;
}

// The worst moment for a master to die is just after an advertisement.
void await_advertisement(Host& master) {
    Capture capture(master);
    const auto sent = [&] { return !capture.sent(&CapturedFrame::is_advertisement).empty(); };
    if (!wait_until(sent, 5s, 1ms)) fail("the master does not advertise");
}

void run_once(Arena& arena, const Timing& timing, Fate fate, Span interval, Failovers& result) {
    Daemons daemons(arena, timing);
    Capture capture(arena.backup);
    const Probe probe(arena.client, kAddress, interval);
    if (!probe.wait_answer(&arena.master, 5s)) throw NotInPlace("the master does not answer");
    std::this_thread::sleep_for(300ms);
    if (daemons.master.state(kGroup) != "master" || daemons.backup.transitions(kGroup) != 1)
        throw NotInPlace("the master gives up without a reason");

    const Time before = Clock::now() - 100ms;
    if (fate == Fate::power_cut) {
        await_advertisement(arena.master);
        arena.master.power_off();
    } else {
        daemons.master.stop();
    }
    if (!probe.wait_answer(&arena.backup, 10s)) fail("the backup does not answer");
    std::this_thread::sleep_for(Request::kPatience + 50ms);

    const Outage outage = probe.outage(before);
    result.outage.add(outage.duration);
    if (outage.lost > 0) result.decision_answer.add(outage.ended - first_advertisement(capture));
    daemons.backup.stop();
}

// ---- many groups

constexpr int kBackupSkew = 100;
constexpr Span kInterval = 1s + Span(1s) * kBackupSkew / 256;

std::string many_groups(int lans, int groups_of_a_lan, int advskew) {
    std::string text;
    for (int lan = 0; lan < lans; ++lan)
        for (int vhid = 1; vhid <= groups_of_a_lan; ++vhid)
            text += fmt::format(
                "[[group]]\nname = \"{0}-{1}\"\ninterface = \"lan{0}\"\nvhid = {1}\naddresses = "
                "[\"10.{0}.1.{1}/16\"]\npassword = \"s3cret\"\nadvskew = {2}\n",
                lan, vhid, advskew);
    return text;
}

void await_all(const Carpd& carpd, const char* state, bool heard) {
    const auto all = [&] {
        const nlohmann::json status = carpd.status();
        for (const nlohmann::json& group : status.at("groups"))
            if (group.at("state") != state || (heard && group.at("last_heard").is_null())) return false;
        return true;
    };
    if (!wait_until(all, 60s, 200ms)) fail("not every group becomes {}", state);
}

// From the first advertisement until the first ARP packet of the last address; nothing before that.
std::optional<Span> takeover(std::deque<Capture>& captures, std::size_t groups) {
    std::set<IpAddress> announced;
    Time first = Time::max(), last = Time::min();
    for (Capture& capture : captures) {
        for (const CapturedFrame& frame : capture.sent(&CapturedFrame::is_advertisement))
            first = std::min(first, frame.time);
        for (const CapturedFrame& frame : capture.sent(&CapturedFrame::is_arp)) {
            const bool is_virtual = frame.source().bytes[2] == 0x5e;
            if (is_virtual && announced.insert(IpAddress::from_bytes(frame.payload().subspan(14, 4))).second)
                last = std::max(last, frame.time);
        }
    }
    if (announced.size() != groups) return std::nullopt;
    return last - first;
}

// The most by which two advertisements of a group were further apart than its interval.
Span lateness(std::deque<Capture>& captures) {
    Span most{0};
    for (Capture& capture : captures) {
        std::map<std::uint8_t, Time> last;  // by vhid
        for (const CapturedFrame& frame : capture.sent(&CapturedFrame::is_advertisement)) {
            constexpr std::size_t kVhid = 20 + 1;  // behind an IPv4 header
            const auto [place, is_first] = last.try_emplace(frame.payload()[kVhid], frame.time);
            if (!is_first)
                most = std::max(most, frame.time - std::exchange(place->second, frame.time) - kInterval);
        }
    }
    return most;
}

}  // namespace

Takeovers measure_takeovers(Fate fate, int runs, int lans, int groups_of_a_lan) {
    Lab lab;
    Host &first = lab.add_host("first"), &second = lab.add_host("second");
    for (Host* host : {&first, &second})
        for (int lan = 0; lan < lans; ++lan)
            host->attach(fmt::format("lan{}", lan), lan,
                         {fmt::format("10.{}.0.{}/16", lan, host->number() + 1)});
    Takeovers result;
    result.interval_ms = to_ms(kInterval);
    for (int i = 0; i < runs; ++i) {
        Carpd master(first, many_groups(lans, groups_of_a_lan, 0));
        await_all(master, "master", false);
        Carpd backup(second, many_groups(lans, groups_of_a_lan, kBackupSkew));
        await_all(backup, "backup", true);
        std::deque<Capture> captures;
        for (int lan = 0; lan < lans; ++lan)
            captures.emplace_back(second, Capture::What::control, fmt::format("lan{}", lan));
        fate == Fate::power_cut ? first.power_off() : void(master.stop());
        // Seen from the wire: an engine that is asked how far it is has less time to go on.
        std::optional<Span> taken;
        const auto groups = static_cast<std::size_t>(lans * groups_of_a_lan);
        if (!wait_until([&] { return (taken = takeover(captures, groups)).has_value(); }, 30s, 100ms))
            fail("not every address was announced");
        result.duration.add(*taken);
        std::this_thread::sleep_for(2 * kInterval);
        result.lateness.add(lateness(captures));
        backup.stop();
        first.power_on();
    }
    return result;
}

double Figures::median() const {
    std::vector<double> sorted = ms_;
    std::sort(sorted.begin(), sorted.end());
    return sorted.empty() ? 0 : sorted[sorted.size() / 2];
}
double Figures::min() const {
    return ms_.empty() ? 0 : *std::min_element(ms_.begin(), ms_.end());
}
double Figures::max() const {
    return ms_.empty() ? 0 : *std::max_element(ms_.begin(), ms_.end());
}

Failovers measure_failovers(const Timing& timing, Fate fate, int runs, Span interval) {
    Arena arena;
    Failovers result;
    for (int done = 0, disturbed = 0; done < runs; arena.master.power_on()) {
        try {
            run_once(arena, timing, fate, interval, result);
            ++done;
        } catch (const NotInPlace&) {
            if (++disturbed > runs) throw;
        }
    }
    return result;
}

std::uint64_t count_false_failovers(const Timing& timing, Span length, int hogs) {
    Arena arena;
    Daemons daemons(arena, timing);
    std::deque<Process> busy;
    for (int i = 0; i < hogs; ++i) busy.emplace_back(Command{{"sh", "-c", "while :; do :; done"}});
    const std::uint64_t before = daemons.transitions();
    std::this_thread::sleep_for(length);
    return daemons.transitions() - before;
}

}  // namespace carpd::lab
