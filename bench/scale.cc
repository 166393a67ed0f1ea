#include "bench/scale.h"

#include <algorithm>
#include <map>
#include <thread>

#include "bench/arena.h"
#include "bench/contender.h"
#include "bench/receive.h"
#include "bench/table.h"
#include "bench/usage.h"
#include "lab/error.h"

namespace carpd::bench {

namespace {

using namespace std::chrono_literals;

constexpr int kGroups[] = {1, 255, 1000, 4000};
constexpr int kWindows = 5;
constexpr lab::Span kWindow = 4s, kPatience = 120s;

// ---- one program with so many groups

struct Figures {
    std::vector<double> cpu_ms_per_s, us_per_advertisement, advertisements_per_s;  // of each window
    double pss_kib = 0;
};

// One host while it is measured.
class Meter {
 public:
    Meter(const lab::Host& host, Role role)
        : host_(host), role_(role), processes_(host.space().processes()), last_(read()) {}

    // A window ends here, and the next one begins.
    void end_window() {
        const Reading now = read();
        const double seconds = lab::to_seconds(now.at - last_.at), cpu = now.cpu_s - last_.cpu_s;
        const auto advertisements = static_cast<double>(now.advertisements - last_.advertisements);
        figures_.cpu_ms_per_s.push_back(1e3 * cpu / seconds);
        figures_.us_per_advertisement.push_back(1e6 * cpu / advertisements);
        figures_.advertisements_per_s.push_back(advertisements / seconds);
        last_ = now;
    }
    Figures figures() {
        figures_.pss_kib = pss_kib(processes_);
        return figures_;
    }

 private:
    struct Reading {
        lab::Time at;
        double cpu_s;
        std::uint64_t advertisements;
    };

    Reading read() const {
        const Packets packets = packets_of(host_);
        return {lab::Clock::now(), cpu_seconds(processes_),
                role_ == Role::master ? packets.sent : packets.received};
    }

    const lab::Host& host_;
    Role role_;
    std::vector<pid_t> processes_;
    Reading last_;
    Figures figures_;
};

// Nothing but an advertisement of each group a second, three times in a row: there is nothing left to
// announce or to install.
bool settles(const lab::Host& master, int groups) {
    const double most = 1.05 * groups + 4, least = 0.95 * groups - 1;
    int quiet = 0;
    Packets last = packets_of(master);
    const auto is_quiet = [&] {
        const Packets now = packets_of(master);
        const auto sent = static_cast<double>(now.sent - last.sent);
        const bool backup_is_silent = now.received <= last.received + 4;
        quiet = sent <= most && sent >= least && backup_is_silent ? quiet + 1 : 0;
        last = now;
        return quiet == 3;
    };
    return lab::wait_until(is_quiet, kPatience, 1s);
}

struct Pair {
    Figures master, backup;
    const Figures& of(Role role) const { return role == Role::master ? master : backup; }
};

Pair measure(const Arena& arena, const Contender& contender, int groups) {
    const auto owned = [&](int of_master) {
        return lab::wait_until([&] { return arena.has_owners(of_master, 0); }, kPatience, 200ms);
    };
    if (!owned(0)) lab::fail("addresses stayed behind when {} was to start", contender.name);
    const Running first = contender.start(arena.master, groups, Role::master);
    if (!owned(groups)) lab::fail("{} does not become MASTER of {} groups", contender.name, groups);
    const Running second = contender.start(arena.backup, groups, Role::backup);
    if (!settles(arena.master, groups))
        lab::fail("{} does not settle with {} groups", contender.name, groups);

    Meter master(arena.master, Role::master), backup(arena.backup, Role::backup);
    lab::Time until = lab::Clock::now();
    for (int i = 0; i < kWindows; ++i) {
        std::this_thread::sleep_until(until += kWindow);
        master.end_window();
        backup.end_window();
    }
    if (!arena.has_owners(groups, 0))
        lab::fail("{}: a group of {} changed its state while it was measured", contender.name, groups);
    return {master.figures(), backup.figures()};
}

// ---- all of them

// By program, number of groups and role.
using Found = std::map<std::tuple<std::string, int, Role>, Figures>;

const Figures* find(const Found& found, const std::string& name, int groups, Role role) {
    const auto place = found.find({name, groups, role});
    return place == found.end() ? nullptr : &place->second;
}

// KiB for each group beyond the first.
double per_further_group(const Found& found, const std::string& name, int groups, Role role) {
    return (found.at({name, groups, role}).pss_kib - found.at({name, kGroups[0], role}).pss_kib) /
           (groups - kGroups[0]);
}

const char* to_string(Role role) {
    return role == Role::master ? "master" : "backup";
}

nlohmann::json::array_t row(const Found& found, const std::string& name, int groups, Role role) {
    const Figures& f = found.at({name, groups, role});
    const Figures* other = find(found, "keepalived", groups, role);
    const auto [min, max] = std::minmax_element(f.us_per_advertisement.begin(), f.us_per_advertisement.end());
    const auto ratio = [&](double ours, double theirs) -> nlohmann::json {
        return other && name == "carpd" ? nlohmann::json(ours / theirs) : nlohmann::json();
    };
    return {groups,
            to_string(role),
            name,
            median(f.advertisements_per_s),
            median(f.cpu_ms_per_s),
            median(f.us_per_advertisement),
            *min,
            *max,
            ratio(median(f.cpu_ms_per_s), other ? median(other->cpu_ms_per_s) : 1),
            f.pss_kib,
            ratio(f.pss_kib, other ? other->pss_kib : 1),
            groups > 1 ? nlohmann::json(per_further_group(found, name, groups, role)) : nlohmann::json()};
}

std::vector<Column> columns() {
    return {{"groups", "groups", 6},
            {"role", "role", -6},
            {"program", "program", -10},
            {"advertisements_per_s", "adverts/s", 9},
            {"cpu_ms_per_s", "CPU ms/s", 9, 3},
            {"cpu_us_per_advertisement", "us/advert", 9, 2},
            {"cpu_us_per_advertisement_min", "min", 8, 2},
            {"cpu_us_per_advertisement_max", "max", 8, 2},
            {"cpu_of_keepalived", "of kpld.", 8, 3},
            {"pss_kib", "PSS KiB", 8},
            {"pss_of_keepalived", "of kpld.", 8, 3},
            {"pss_kib_per_further_group", "KiB/group", 9, 2}};
}

nlohmann::json goals(const Found& found) {
    Goals goals;
    for (const int groups : kGroups)
        for (const Role role : {Role::master, Role::backup}) {
            const std::string where = fmt::format("{} groups, {}: ", groups, to_string(role));
            const Figures& ours = found.at({"carpd", groups, role});
            if (const Figures* theirs = find(found, "keepalived", groups, role)) {
                goals.at_most(where + "CPU / keepalived's",
                              median(ours.cpu_ms_per_s) / median(theirs->cpu_ms_per_s),
                              role == Role::master ? 0.1 : 0.2);
                goals.at_most(where + "PSS / keepalived's", ours.pss_kib / theirs->pss_kib, 1);
            }
            if (groups > 1)
                goals.at_most(where + "KiB per further group",
                              per_further_group(found, "carpd", groups, role), 1.6 / 2);
            if (const Figures* theirs = find(found, "ucarp", groups, role); theirs && groups > 1)
                goals.at_most(where + "PSS / ucarp's", ours.pss_kib / theirs->pss_kib, 0.1);
        }
    return goals.rows();
}

Found measure_all(Table& figures) {
    const Arena arena(lans_of(std::ranges::max(kGroups)));
    Found found;
    for (const int groups : kGroups) {
        std::vector<std::string> names;
        for (const Contender& contender : contenders()) {
            if (groups > contender.most_groups) continue;
            const Pair pair = measure(arena, contender, groups);
            for (const Role role : {Role::master, Role::backup})
                found[{contender.name, groups, role}] = pair.of(role);
            names.push_back(contender.name);
        }
        for (const Role role : {Role::master, Role::backup})
            for (const std::string& name : names) figures.add(row(found, name, groups, role));
    }
    return found;
}

}  // namespace

nlohmann::json scale() {
    if (const std::string why_not = lab::why_no_lab(); !why_not.empty()) lab::fail("{}", why_not);
    Table figures(columns());
    const Found found = measure_all(figures);
    const nlohmann::json received = receive();
    return {{"figures", figures.rows()}, {"received", received}, {"goals", goals(found)}};
}

}  // namespace carpd::bench
