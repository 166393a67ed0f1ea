#include "bench/status.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <thread>

#include "bench/arena.h"
#include "bench/contender.h"
#include "bench/lans.h"
#include "bench/table.h"
#include "lab/carpd.h"
#include "lab/error.h"

namespace carpd::bench {

namespace {

using namespace std::chrono_literals;

constexpr int kGroups = 4000, kRuns = 21;
constexpr std::size_t kOthers = 2;  // hosts, of each group
constexpr lab::Span kPatience = 120s, kPause = 100ms;

// One of the forms, into a file in memory.
class Asker {
 public:
    Asker(std::string name, std::vector<std::string> command)
        : name_(std::move(name)), command_(std::move(command)) {}

    const std::string& name() const { return name_; }
    void ask() {
        const UniqueFd file(memfd_create("status", MFD_CLOEXEC));
        const lab::Time start = lab::Clock::now();
        const lab::Result result = lab::run({.argv = command_, .output = file.get()});
        took_ms_.push_back(lab::to_ms(lab::Clock::now() - start));
        if (result.exit_code != 0) lab::fail("{}: {}", name_, result.errors);
        struct stat about {};
        lab::check(fstat(file.get(), &about), "fstat");
        bytes_ = about.st_size;
    }
    double median_ms() const { return median(took_ms_); }
    void add_to(Table& table) const {
        const auto [min, max] = std::minmax_element(took_ms_.begin(), took_ms_.end());
        table.add({name_, kGroups, bytes_, took_ms_.size(), median_ms(), *min, *max});
    }

 private:
    std::string name_;
    std::vector<std::string> command_;
    std::vector<double> took_ms_;
    std::int64_t bytes_ = 0;
};

// Whether the master knows all hosts of all groups.
bool know_each_other(const std::string& socket) {
    const lab::Result result = lab::run({{lab::carpctl_program(), "-s", socket, "-j", "peers"}});
    const auto peers = nlohmann::json::parse(result.output, nullptr, false);
    if (peers.is_discarded()) return false;
    const auto& groups = peers.at("groups");
    return std::all_of(groups.begin(), groups.end(), [](const nlohmann::json& group) {
        const auto& hosts = group.at("hosts");
        return hosts.size() == kOthers &&
               std::all_of(hosts.begin(), hosts.end(),
                           [](const nlohmann::json& host) { return host.at("hears").size() == kOthers; });
    });
}

}  // namespace

nlohmann::json status() {
    if (const std::string why_not = lab::why_no_lab(); !why_not.empty()) lab::fail("{}", why_not);
    Arena arena(lans_of(kGroups));
    lab::Host& third = arena.lab.add_host("third");
    attach_to_lans(third, lans_of(kGroups));
    const Running carpd = contenders().front().start(arena.master, kGroups, Role::master);
    if (!lab::wait_until([&] { return arena.has_owners(kGroups, 0); }, kPatience, 200ms))
        lab::fail("carpd does not become MASTER of {} groups", kGroups);
    const std::string socket = path_of(arena.master, "carpd.sock");
    std::vector<Running> others;
    for (lab::Host* host : {&arena.backup, &third})
        others.push_back(contenders().front().start(*host, kGroups, Role::backup));
    if (!lab::wait_until([&] { return know_each_other(socket); }, kPatience, 1s))
        lab::fail("the hosts don't hear each other in all groups");

    Table table({{"command", "command", -17},
                 {"groups", "groups", 6},
                 {"bytes", "bytes", 9},
                 {"runs", "runs", 4},
                 {"median_ms", "median ms", 9, 1},
                 {"min_ms", "min", 7, 1},
                 {"max_ms", "max", 7, 1}});
    std::vector<Asker> askers;
    for (const char* what : {"status", "peers"}) {
        askers.emplace_back(fmt::format("carpctl {}", what),
                            std::vector<std::string>{lab::carpctl_program(), "-s", socket, what});
        askers.emplace_back(fmt::format("carpctl -j {}", what),
                            std::vector<std::string>{lab::carpctl_program(), "-s", socket, "-j", what});
    }
    for (int run = 0; run < kRuns; ++run)
        for (Asker& asker : askers) {
            asker.ask();
            std::this_thread::sleep_for(kPause);
        }
    Goals goals;
    for (const Asker& asker : askers) {
        asker.add_to(table);
        goals.at_most(asker.name() + " of 4000 groups, ms", asker.median_ms(), 100);
    }
    return {{"figures", table.rows()}, {"goals", goals.rows()}};
}

}  // namespace carpd::bench
