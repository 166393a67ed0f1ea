#include "bench/micro.h"

#include <fmt/format.h>
#include <nettle/hmac.h>
#include <time.h>

#include <algorithm>

#include "bench/table.h"
#include "carp/node.h"

namespace carpd::bench {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kRounds = 21;
constexpr int kAdvertisements = 5000;  // different ones, that stay in the processor's cache as received ones
constexpr int kRepeats = 8;            // in a round, so that it takes some ten milliseconds
constexpr int kGroups = 1000, kGroupsOfALan = 250;
constexpr int kBeats = 20;  // that each of them advertises in a round

// Of this thread: other programs on the machine don't count.
double cpu_seconds() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

// How many of `count` things that `work` does fit into a second of one core.
template <class Work>
double rate(int count, Work work) {
    const double start = cpu_seconds();
    work();
    return count / (cpu_seconds() - start);
}

IpAddress ipv4(int c, int d) {
    return IpAddress::parse(fmt::format("10.0.{}.{}", c, d)).value();
}

GroupConfig group(int number, std::uint8_t advskew) {
    GroupConfig config;
    config.name = fmt::format("group{}", number);
    config.interface = fmt::format("eth{}", number / kGroupsOfALan);
    config.vhid = Vhid{static_cast<std::uint8_t>(1 + number % kGroupsOfALan)};
    config.addresses = {{ipv4(1 + number / kGroupsOfALan, config.vhid.value), 16}};
    config.key = {'s', '3', 'c', 'r', '3', 't'};
    config.advskew = AdvSkew{advskew};
    return config;
}

void link_up(Node& node, Instant now, Actions& out) {
    LinkStatus link;
    link.present = link.up = link.running = true;
    link.source4 = ipv4(0, 2);
    for (InterfaceId id = 0; id < node.interfaces().size(); ++id) node.handle_link(now, id, link, out);
}

// A BACKUP that hears its master.
class Listener {
 public:
    Listener() : node_(1), authenticator_(config_.key, config_.vhid, config_.addresses) {
        node_.configure(now_, share({config_}), actions_);
        link_up(node_, now_, actions_);
        for (int i = 0; i < kAdvertisements; ++i) {
            Advertisement a;
            a.vhid = config_.vhid.value;
            a.advbase = config_.advbase.seconds;
            a.counter = 0x0123456789abcdef + static_cast<std::uint64_t>(i);
            a.digest = authenticator_.sign(a.counter);
            advertisements_.push_back(a);
            packets_.emplace_back(ipv4(0, 1), carp_multicast_group(Family::ipv4), encode(a));
        }
    }

    void hear_all() {
        for (const AdvertisementPacket& packet : packets_) {
            now_ += milliseconds(1);
            accepted_ += !node_.handle_packet(now_, 0, packet.bytes(), actions_).refused;
        }
    }
    // Only what authenticates them.
    void verify_all() {
        for (const Advertisement& a : advertisements_)
            accepted_ += authenticator_.verify(a.counter, a.digest);
    }
    // It believed all of them, and is what it was.
    bool held(std::size_t rounds) const {
        return accepted_ == rounds * packets_.size() && node_.group(0)->state() == State::backup;
    }

 private:
    const GroupConfig config_ = group(0, 100);
    Node node_;
    const Authenticator authenticator_;
    Actions actions_;
    Instant now_{};
    std::vector<Advertisement> advertisements_;
    std::vector<AdvertisementPacket> packets_;
    std::size_t accepted_ = 0;
};

// What no verification can do without: the HMAC of version, type, vhid, an address and the counter.
class BareHmac {
 public:
    BareHmac() { hmac_sha1_set_key(&context_, key_.size(), key_.data()); }
    void sign_all() {
        for (int i = 0; i < kAdvertisements; ++i) {
            std::uint8_t message[3 + 4 + 8] = {2, 1, 1, 10, 0, 1, 1};
            ByteWriter(std::span(message).last(8)).u64(static_cast<std::uint64_t>(i));
            hmac_sha1_update(&context_, sizeof message, message);
            hmac_sha1_digest(&context_, digest_.size(), digest_.data());
        }
    }

 private:
    Key key_ = {'s', '3', 'c', 'r', '3', 't'};
    Sha1Digest digest_{};
    hmac_sha1_ctx context_;
};

// A host that is MASTER of many groups and can always send.
class Speaker {
 public:
    Speaker() : node_(1) {
        std::vector<GroupConfig> groups;
        for (int i = 0; i < kGroups; ++i) groups.push_back(group(i, 0));
        node_.configure(Instant{}, share(groups), actions_);
        link_up(node_, Instant{}, actions_);
        while (node_.next_deadline() < Instant{} + seconds(10)) step();
    }

    // Serves timers until the groups have advertised `kBeats` times each.
    void speak() {
        const int until = sent_ + kBeats * kGroups;
        while (sent_ < until) step();
    }
    bool is_master() const {
        for (GroupId id = 0; id < node_.group_slots(); ++id)
            if (node_.group(id)->state() != State::master) return false;
        return true;
    }

 private:
    void step() {
        const Instant now = node_.next_deadline();
        node_.handle_timer(now, actions_);
        while (!actions_.empty()) {
            std::swap(actions_, to_perform_);
            for (const Action& action : to_perform_) perform(now, action);
            to_perform_.clear();
        }
    }
    void perform(Instant now, const Action& action) {
        if (const auto* send = std::get_if<SendAdvertisement>(&action)) {
            ++sent_;
            node_.handle_send_result(now, send->group, true, actions_);
        } else if (const auto* install = std::get_if<InstallAddresses>(&action)) {
            node_.handle_install_result(now, install->group, true, actions_);
        }
    }

    Node node_;
    Actions actions_, to_perform_;
    int sent_ = 0;
};

nlohmann::json::array_t row(const char* name, const std::vector<double>& rates) {
    const auto [min, max] = std::minmax_element(rates.begin(), rates.end());
    return {name, median(rates), *min, *max, rates.size()};
}

}  // namespace

nlohmann::json micro() {
    Listener listener;
    BareHmac hmac;
    Speaker speaker;
    std::vector<double> whole, digest, bare, digest_ratio, steps;
    const auto rate_of_all = [](auto work) {
        return rate(kRepeats * kAdvertisements, [&] {
            for (int i = 0; i < kRepeats; ++i) work();
        });
    };
    for (int i = 0; i < kRounds; ++i) {
        whole.push_back(rate_of_all([&] { listener.hear_all(); }));
        digest.push_back(rate_of_all([&] { listener.verify_all(); }));
        bare.push_back(rate_of_all([&] { hmac.sign_all(); }));
        digest_ratio.push_back(bare.back() / digest.back());
        steps.push_back(rate(kBeats * kGroups, [&] { speaker.speak(); }));
    }
    if (!listener.held(2 * kRounds * kRepeats) || !speaker.is_master())
        throw std::runtime_error("micro: a group did not stay what it was");

    Table figures({{"name", "one core", -58},
                   {"median_per_s", "median/s", 12},
                   {"min_per_s", "min/s", 12},
                   {"max_per_s", "max/s", 12},
                   {"rounds", "rounds", 6}});
    figures.add(row("advertisements verified: parse, digest, election", whole));
    figures.add(row("of that, the digest", digest));
    figures.add(row("bare HMAC-SHA1 of nettle over the same bytes", bare));
    figures.add(row("timers of a MASTER of 1000 groups: sign, send, renew", steps));
    Goals goals;
    goals.at_least("advertisements verified per second", median(whole), 300000);
    goals.at_most("time of a digest's verification / of a bare HMAC", median(digest_ratio), 1.5);
    return {{"figures", figures.rows()}, {"goals", goals.rows()}};
}

}  // namespace carpd::bench
