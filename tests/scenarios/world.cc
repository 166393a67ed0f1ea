#include "world.h"

#include <fmt/format.h>

#include <algorithm>

namespace carpd::scenario {

namespace {

constexpr Duration kNetworkDelay = std::chrono::microseconds(100);

std::string standing_text(const Standing& s) {
    std::string text = fmt::format("{}/{}", s.advbase.seconds, s.advskew.value);
    return s.demote == 0 ? text : text + fmt::format(" demoted by {}", s.demote);
}

std::string describe_packet(Bytes bytes) {
    const auto packet = parse_ip_packet(bytes);
    if (!packet) return "?";
    const auto advertisement = decode_advertisement(packet->payload);
    if (!advertisement) return std::string(to_string(advertisement.error()));
    return fmt::format("{} -> {} vhid {} {}", packet->source.to_string(), packet->destination.to_string(),
                       advertisement->vhid, standing_text(Standing::of(*advertisement)));
}

}  // namespace

Host::Host(World& w, std::string n, std::uint8_t i)
    : world(w), name(std::move(n)), number(i), node(i), pump(node, *this) {
    link.present = link.up = link.running = true;
    link.source4 = *IpAddress::parse(fmt::format("192.0.2.{}", i));
    link.source6 = *IpAddress::parse(fmt::format("fe80::{}", i));
}

std::span<const ReceivedPacket> Host::receive() {
    batch_.clear();
    batch_bytes_.clear();
    for (auto& [interface, bytes] : inbox) batch_bytes_.push_back(std::move(bytes));
    for (std::size_t i = 0; i < inbox.size(); ++i) batch_.push_back({inbox[i].first, batch_bytes_[i]});
    inbox.clear();
    return batch_;
}

void Host::refused(const ReceivedPacket& packet, DropReason reason, const GroupId*) {
    world.note(*this, fmt::format("refused {} ({})", describe_packet(packet.bytes), to_string(reason)));
}

void Host::perform(std::span<SendAdvertisement> actions) {
    for (SendAdvertisement& action : actions)
        action.sent = send(known[action.group].interface, action.packet.bytes());
}

bool Host::send(const std::string& interface, Bytes packet) {
    if (failing_sends > 0) {
        --failing_sends;
        if (world.show_packets) world.note(*this, "cannot send");
        return false;
    }
    if (world.show_packets) world.note(*this, "sends " + describe_packet(packet));
    world.transmit(*this, interface, packet);
    return true;
}

bool Host::perform(const SendProbe&) {
    if (world.show_packets) world.note(*this, "probes its interface");
    if (failing_sends == 0) return true;
    --failing_sends;
    return false;
}

void Host::perform(std::span<const CommitFlows> actions) {
    for (const CommitFlows& action : actions)
        world.note(*this, known[action.group].name + ": flows are to be committed");
}

void Host::perform(std::span<InstallAddresses> actions) {
    for (InstallAddresses& action : actions) {
        action.installed = install_works;
        if (install_works) owned[action.group] = action.lease_until;
        world.note(*this, (install_works ? "installs " : "cannot install the addresses of ") +
                              known[action.group].name);
    }
}

void Host::perform(const RenewLease& action) {
    owned[action.group] = action.until;
}

void Host::perform(const WithdrawAddresses& action) {
    owned.erase(action.group);
    world.note(*this, "withdraws " + known[action.group].name);
}

void Host::perform(std::span<const AnnounceAddresses> actions) {
    for (const AnnounceAddresses& action : actions)
        world.note(*this, "announces " + known[action.group].name);
}

void Host::perform(const ReportTransition& action) {
    std::string text =
        fmt::format("{}: {} -> {} ({})", known[action.group].name, to_upper_string(action.from),
                    to_upper_string(action.to),
                    (action.together.empty() ? "" : "together with " + action.together + ": ") +
                        std::string(to_string(action.cause)));
    if (!action.check.empty()) text += ", the check " + action.check;
    if (action.rival)
        text += fmt::format(", heard {} from {}, ours {}", standing_text(action.rival->standing),
                            action.rival->source.to_string(), standing_text(action.ours));
    world.note(*this, text);
}

void Host::perform(const ReportRival& action) {
    world.note(*this, fmt::format("{}: stays MASTER ({}), heard {} from {}", known[action.group].name,
                                  to_string(action.cause), standing_text(action.rival.standing),
                                  action.rival.source.to_string()));
}

void Host::perform(const ReportHeld& action) {
    std::string text = fmt::format("{}: held ({}): {} hears ", known[action.group].name,
                                   to_string(action.cause), action.member);
    text += action.rival ? fmt::format("{} from {}", standing_text(action.rival->standing),
                                       action.rival->source.to_string())
                         : "nobody yet";
    world.note(*this, text);
}

void Host::perform(const ReportDemotion& action) {
    world.note(*this, fmt::format("{}: demotion is now {} ({})", known[action.group].name, action.value,
                                  action.name));
}

void Host::perform(const SetPool& action) {
    const GroupConfig& leader = known[action.leader];
    pools[leader.balance->pool] = action;
    std::string at_home;
    for (std::size_t i = 0; i < leader.balance->carpnodes.size(); ++i)
        if (action.at_home >> i & 1) at_home += fmt::format(" {}", leader.balance->carpnodes[i].vhid);
    world.note(*this, fmt::format("{}: at home{}{}", leader.balance->pool, at_home,
                                  action.settling_until > world.now ? ", settling" : ""));
}

void Host::perform(const SendFloodProbe& action) {
    if (!world.keeps_probes_back)
        world.transmit(*this, known[action.group].interface, action.packet.bytes(), true);
}

void Host::perform(const SendBeacon& action) {
    world.transmit(*this, known[action.group].interface, action.packet);
}

void Host::perform(const ReportPeer& action) {
    constexpr const char* kNews[] = {"is heard",
                                     "has left",
                                     "is silent",
                                     "doesn't hear us",
                                     "hears us",
                                     "advertises, and it isn't heard",
                                     "advertises, and it is heard",
                                     "has other addresses",
                                     "has the same addresses now",
                                     "is heard in IPv4 only",
                                     "is heard in IPv6 only",
                                     "is heard in both families"};
    const std::string who = action.host.empty()
                                ? action.source.to_string()
                                : fmt::format("{} ({})", action.host, action.source.to_string());
    world.note(*this, fmt::format("{}: {} {}", known[action.group].name, who,
                                  kNews[static_cast<std::size_t>(action.news)]));
}

void Host::perform(const ReportPool& action) {
    constexpr const char* kNews[] = {"has another pool", "has the same pool now", "advertises a carpnode",
                                     "is behind a switch that keeps frames back",
                                     "sends frames that come again"};
    world.note(*this,
               fmt::format("{}: {} {}{}", known[action.leader].balance->pool, action.source.to_string(),
                           kNews[static_cast<std::size_t>(action.news)],
                           action.vhid == 0 ? "" : fmt::format(" {}, which is missing here", action.vhid)));
}

int Host::served(const std::string& pool, const std::vector<IpAddress>& clients,
                 std::vector<int>& served_by) const {
    const auto set = pools.find(pool);
    if (!alive || set == pools.end()) return 0;
    const GroupConfig& leader = known.at(set->second.leader);
    Shares shares(*leader.balance, leader.key);
    shares.set_at_home(set->second.at_home);
    std::set<std::uint8_t> vhids;
    for (const auto& [id, until] : owned)
        if (until > world.now && known.at(id).balance) vhids.insert(known.at(id).vhid.value);
    int count = 0;
    for (std::size_t i = 0; i < clients.size(); ++i) {
        const CarpnodeIndex carpnode = shares.carpnode_of(clients[i], leader.addresses.front().address);
        if (!vhids.contains(leader.balance->carpnodes[carpnode].vhid)) continue;
        ++served_by[i];
        ++count;
    }
    return count;
}

void Host::perform(const ReportUncommitted& action) {
    world.note(*this,
               fmt::format("{}: flows were not committed within {} ms", known[action.group].name,
                           std::chrono::duration_cast<std::chrono::milliseconds>(action.waited).count()));
}

Host& World::add_host(const std::string& name) {
    hosts_.push_back(std::make_unique<Host>(*this, name, static_cast<std::uint8_t>(hosts_.size() + 1)));
    return *hosts_.back();
}

Host& World::host(const std::string& name) {
    for (auto& host : hosts_)
        if (host->name == name) return *host;
    throw std::runtime_error("there is no host '" + name + "'");
}

void World::run(Duration duration) {
    const Instant end = now + duration;
    while (true) {
        Instant next = in_flight_.empty() ? kNever : in_flight_.front().at;
        for (auto& host : hosts_)
            if (host->alive && !host->frozen) next = std::min(next, host->node.next_deadline());
        if (next > end) break;
        now = std::max(now, next);
        for (; !in_flight_.empty() && in_flight_.front().at <= now; in_flight_.pop_front())
            inject(host(in_flight_.front().to), in_flight_.front().interface,
                   std::move(in_flight_.front().packet));
        for (auto& host : hosts_) {
            if (!host->alive || host->frozen) continue;
            host->pump.wake(now);
            host->pump.report();
        }
    }
    now = end;
}

void World::transmit(const Host& from, const std::string& interface, Bytes packet, bool to_all) {
    last_packet.assign(packet.begin(), packet.end());
    const auto parsed = parse_ip_packet(packet);
    if (!from.is_running(interface) || lost_families.count(parsed->source.family())) return;
    for (auto& to : hosts_) {
        const bool addressed = to_all || parsed->destination.is_multicast() ||
                               parsed->destination == to->link.source4 ||
                               parsed->destination == to->link.source6;
        const bool is_cut =
            cut.contains({from.name, to->name, ""}) || cut.contains({from.name, to->name, interface});
        if (to.get() == &from || !addressed || is_cut) continue;
        in_flight_.push_back({now + kNetworkDelay, to->name, interface, last_packet});
    }
}

void World::inject(Host& to, const std::string& interface, std::vector<std::uint8_t> packet) {
    const auto& names = to.node.interfaces();
    const auto found = std::find(names.begin(), names.end(), interface);
    if (to.alive && to.is_running(interface) && found != names.end())
        to.inbox.emplace_back(static_cast<InterfaceId>(found - names.begin()), std::move(packet));
}

void World::note(const Host& host, const std::string& text) {
    const double seconds = std::chrono::duration<double>(now.time_since_epoch()).count();
    log += fmt::format("{:10.4f}  {:<3} {}\n", seconds, host.name, text);
}

std::string World::owners(const std::string& name) {
    std::string owners;
    for (auto& host : hosts_)
        for (const auto& [id, lease_until] : host->owned)
            if (host->known[id].name == name && now < lease_until)
                owners += (owners.empty() ? "" : "+") + host->name;
    return owners.empty() ? "nobody" : owners;
}

std::string World::clients(const std::string& pool) {
    std::vector<IpAddress> clients;
    for (int i = 0; i < 1000; ++i)
        clients.push_back(*IpAddress::parse(fmt::format("10.0.{}.{}", i / 250, i % 250)));
    std::vector<int> served_by(clients.size());
    std::string text;
    for (const auto& host : hosts_)
        text += fmt::format("{} {}, ", host->name, host->served(pool, clients, served_by));
    const auto several = std::count_if(served_by.begin(), served_by.end(), [](int n) { return n > 1; });
    return text +
           fmt::format("nobody {}, several {}", std::count(served_by.begin(), served_by.end(), 0), several);
}

}  // namespace carpd::scenario
