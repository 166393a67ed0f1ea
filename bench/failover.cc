#include "bench/failover.h"

#include <signal.h>

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <thread>

#include "bench/contender.h"
#include "bench/table.h"
#include "lab/carpd.h"
#include "lab/error.h"
#include "lab/experiments.h"
#include "lab/owner_watch.h"
#include "lab/probe.h"
#include "lab/process.h"
#include "lab/ucarp.h"

namespace carpd::bench {

namespace {

using namespace std::chrono_literals;
using lab::Span;

constexpr int kRuns = 10;
constexpr Span kStable = 5s;  // how long a setting has to hold while the machine is busy
constexpr const char* kAddress = "192.0.2.100";

// Two hosts and a client; a new one for each run, so that nothing is left of the last.
struct Site {
    lab::Lab lab;
    lab::Host& master = lab.add_host("master", {"192.0.2.1/24"});
    lab::Host& backup = lab.add_host("backup", {"192.0.2.2/24"});
    lab::Host& client = lab.add_host("client", {"192.0.2.9/24"});

    Site() {
        master.serve();
        backup.serve();
    }
};

// ---- the programs, each with its settings, the fastest first

struct Setting {
    std::string text;  // for people
    double limit_ms;   // when a backup may take over, after the last advertisement that it heard
};

struct Program {
    const char* name;
    std::vector<Setting> settings;
    lab::Command (*command)(lab::Host& host, std::size_t setting, bool is_master);
};

constexpr int kSkews[] = {1, 2, 4, 8, 16};  // of the master; the backup's is one more

std::vector<Setting> carpd_settings() {
    std::vector<Setting> settings;
    for (const int skew : kSkews)
        settings.push_back(
            {fmt::format("advbase 0, advskew {}/{}", skew, skew + 1), 3 * (skew + 1) * 1000 / 256.0});
    return settings;
}

lab::Command carpd_command(lab::Host& host, std::size_t setting, bool is_master) {
    const std::string config = fmt::format(
        "control = \"{}/{}.sock\"\n[[group]]\ninterface = \"eth0\"\nvhid = 1\naddresses = [\"{}/24\"]\n"
        "password = \"s3cret\"\nadvbase = 0\nadvskew = {}\n",
        host.lab().folder(), host.name(), kAddress, kSkews[setting] + (is_master ? 0 : 1));
    return {{lab::carpd_program(), "-f", write_file(host, "carpd.toml", config)}, &host.space()};
}

constexpr double kIntervals[] = {0.01, 0.02, 0.05, 0.1, 1};  // seconds, for VRRP
constexpr int kBackupPriority = 100;

std::vector<Setting> keepalived_settings() {
    std::vector<Setting> settings;
    for (const double interval : kIntervals)
        settings.push_back({fmt::format("VRRPv3, advert_int {}", interval),
                            1000 * interval * (3 + (256.0 - kBackupPriority) / 256)});
    return settings;
}

lab::Command keepalived_command(lab::Host& host, std::size_t setting, bool is_master) {
    const std::string config = fmt::format(
        "global_defs {{\n vrrp_version 3\n vrrp_garp_master_delay 0\n}}\nvrrp_instance lan {{\n state {}\n"
        " interface eth0\n virtual_router_id 1\n priority {}\n advert_int {}\n nopreempt\n"
        " virtual_ipaddress {{\n  {}/24\n }}\n}}\n",
        "BACKUP", is_master ? 200 : kBackupPriority, kIntervals[setting], kAddress);
    const std::string pid = fmt::format("{}/{}", host.lab().folder(), host.name());
    lab::Command command{
        {"keepalived", "--dont-fork", "--vrrp", "--no-syslog", "--use-file",
         write_file(host, "keepalived.conf", config), "--pid", pid + ".pid", "--vrrp_pid", pid + "-vrrp.pid"},
        &host.space()};
    command.quiet_console = true;
    return command;
}

std::vector<Setting> ucarp_settings() {
    return {{"advbase 1, advskew 0/1", 3000 + 1000 / 256.0}};  // whole seconds are the least it can
}

lab::Command ucarp_command(lab::Host& host, std::size_t, bool is_master) {
    lab::UcarpOptions options;
    options.source = is_master ? "192.0.2.1" : "192.0.2.2";
    options.address = kAddress;
    options.password = "s3cret";
    options.advskew = is_master ? 0 : 1;
    return lab::ucarp_command(host, options);
}

std::vector<Program> programs() {
    std::vector<Program> all = {{"carpd", carpd_settings(), carpd_command}};
    for (const Contender& contender : contenders()) {
        if (std::string(contender.name) == "keepalived")
            all.push_back({"keepalived", keepalived_settings(), keepalived_command});
        if (std::string(contender.name) == "ucarp") all.push_back({"ucarp", ucarp_settings(), ucarp_command});
    }
    return all;
}

// ---- a pair of hosts that run one of them

class Pair {
 public:
    // Returns when the master serves the client and the backup has had time to hear it.
    Pair(const Program& program, std::size_t setting)
        : limit_(std::chrono::milliseconds(static_cast<int>(program.settings[setting].limit_ms))),
          first_(program.command(site_.master, setting, true)),
          probe_(site_.client, kAddress, 1ms) {
        if (!probe_.wait_answer(&site_.master, 20s))
            lab::fail("{} with {} serves nobody", program.name, program.settings[setting].text);
        second_.emplace(program.command(site_.backup, setting, false));
        std::this_thread::sleep_for(2 * limit_ + 1s);
    }

    Site& site() { return site_; }
    const lab::Probe& probe() const { return probe_; }
    lab::Process& first() { return first_; }
    Span limit() const { return limit_; }

 private:
    Site site_;
    Span limit_;
    lab::Process first_;
    lab::Probe probe_;
    std::optional<lab::Process> second_;
};

// Whether the master stays the master while both cores are busy.
bool is_stable(const Program& program, std::size_t setting) {
    Pair pair(program, setting);
    std::deque<lab::Process> busy;
    for (int i = 0; i < 2; ++i) busy.emplace_back(lab::Command{{"sh", "-c", "while :; do :; done"}});
    const lab::Time before = lab::Clock::now();
    std::this_thread::sleep_for(kStable);
    const std::uint8_t backup = pair.site().backup.number();
    const auto requests = pair.probe().requests(before, lab::Clock::now() - lab::Request::kPatience);
    return std::none_of(requests.begin(), requests.end(),
                        [&](const lab::Request& r) { return r.by == backup || r.twice; });
}

std::size_t fastest_stable(const Program& program) {
    std::size_t setting = 0;
    while (setting + 1 < program.settings.size() && !is_stable(program, setting)) ++setting;
    return setting;
}

// ---- what fails

void signal_all(const lab::Host& host, int number) {
    for (const pid_t pid : host.space().processes()) kill(pid, number);
}

struct Fate {
    const char* name;
    void (*strike)(Pair& pair);
};
const Fate kFates[] = {
    {"SIGKILL", [](Pair& pair) { signal_all(pair.site().master, SIGKILL); }},
    {"power loss", [](Pair& pair) { pair.site().master.power_off(); }},
    {"link loss", [](Pair& pair) { pair.site().master.cut(); }},
    {"freeze", [](Pair& pair) { signal_all(pair.site().master, SIGSTOP); }},
    {"orderly stop", [](Pair& pair) { pair.first().signal(SIGTERM); }},
};

struct Outages {
    std::vector<double> ms;
    int dual = 0;  // runs in which both hosts had the address after the backup had taken over
};

void run_once(const Program& program, std::size_t setting, const Fate& fate, int run, Outages& outages) {
    Pair pair(program, setting);
    std::this_thread::sleep_for(pair.limit() * run / kRuns);  // anywhere between two advertisements
    const lab::Time struck = lab::Clock::now();
    fate.strike(pair);
    if (!pair.probe().wait_answer(&pair.site().backup, pair.limit() + 10s))
        lab::fail("{}: nobody took over after {}", program.name, fate.name);
    std::this_thread::sleep_for(lab::Request::kPatience + 200ms);
    outages.ms.push_back(lab::to_ms(pair.probe().outage(struck - 20ms).duration));
    Site& site = pair.site();
    const lab::OwnerWatch watch(site.client, {&site.master, &site.backup}, kAddress);
    std::this_thread::sleep_for(200ms);
    outages.dual += watch.verdict().two_owners > 0;
    signal_all(site.master, SIGKILL);  // a frozen one, too
}

std::vector<Column> columns() {
    return {{"failure", "failure", -12},
            {"program", "program", -10},
            {"setting", "fastest stable setting", -26},
            {"runs", "runs", 4},
            {"outage_median_ms", "outage ms", 9, 1},
            {"outage_min_ms", "min", 7, 1},
            {"outage_max_ms", "max", 7, 1},
            {"limit_ms", "limit ms", 8, 1},
            {"of_keepalived", "of kpld.", 8, 3},
            {"runs_with_two_owners", "two owners", 10}};
}

using Medians = std::map<std::pair<std::string, std::string>, double>;  // by failure and program

Medians measure_outages(Table& table) {
    Medians medians;
    const auto all = programs();
    std::map<std::string, std::size_t> settings;
    for (const Program& program : all) settings[program.name] = fastest_stable(program);
    for (const Fate& fate : kFates) {
        std::map<std::string, Outages> found;
        for (int run = 0; run < kRuns; ++run)  // of one beside a run of the others
            for (const Program& program : all)
                run_once(program, settings[program.name], fate, run, found[program.name]);
        for (const Program& program : all)
            medians[{fate.name, program.name}] = median(found[program.name].ms);
        for (const Program& program : all) {
            const Outages& o = found[program.name];
            const Setting& setting = program.settings[settings[program.name]];
            const auto [min, max] = std::minmax_element(o.ms.begin(), o.ms.end());
            const auto theirs = medians.find({fate.name, "keepalived"});
            const bool is_orderly = std::string(fate.name) == "orderly stop";
            table.add({fate.name, program.name, setting.text, o.ms.size(), median(o.ms), *min, *max,
                       is_orderly ? 0.0 : setting.limit_ms,
                       theirs != medians.end() && theirs->second > 0
                           ? nlohmann::json(median(o.ms) / theirs->second)
                           : nlohmann::json(),
                       o.dual});
        }
    }
    return medians;
}

}  // namespace

nlohmann::json failover() {
    if (const std::string why_not = lab::why_no_lab(); !why_not.empty()) lab::fail("{}", why_not);
    Table outages(columns());
    const Medians medians = measure_outages(outages);

    constexpr int kManyLans = 16, kGroupsOnEach = 250;
    const lab::Takeovers many = lab::measure_takeovers(lab::Fate::power_cut, kRuns, kManyLans, kGroupsOnEach);
    Table takeovers({{"groups", "groups taken over", 17},
                     {"runs", "runs", 4},
                     {"median_ms", "median ms", 9, 1},
                     {"min_ms", "min", 7, 1},
                     {"max_ms", "max", 7, 1},
                     {"latest_advertisement_ms", "latest advert ms", 16, 1}});
    takeovers.add({kManyLans * kGroupsOnEach, many.duration.count(), many.duration.median(),
                   many.duration.min(), many.duration.max(), many.lateness.max()});

    Goals goals;
    if (medians.contains({"power loss", "keepalived"})) {
        const auto of = [&](const char* fate, const char* name) { return medians.at({fate, name}); };
        goals.at_most("power loss: outage / keepalived's",
                      of("power loss", "carpd") / of("power loss", "keepalived"), 1);
        goals.at_most("orderly stop: outage / keepalived's",
                      of("orderly stop", "carpd") / of("orderly stop", "keepalived"), 0.2);
    }
    goals.at_most("4000 groups taken over after the decision, ms", many.duration.median(), 1000);
    goals.at_most("latest advertisement meanwhile / its interval", many.lateness.max() / many.interval_ms,
                  0.1);
    return {{"outages", outages.rows()}, {"takeovers", takeovers.rows()}, {"goals", goals.rows()}};
}

}  // namespace carpd::bench
