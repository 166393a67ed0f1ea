#include "carpctl/decode.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <ctime>

#include "carp/authenticator.h"
#include "control/refusal.h"
#include "control/status.h"
#include "wire/checksum.h"
#include "wire/ip_packet.h"

namespace carpd {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMostSources = 16;  // of this host's on an interface
constexpr std::size_t kMostSeen = 64;     // addresses that may stand in lists

// RFC 3339 with milliseconds and the local offset, as carpd has it.
std::string time_text(Replay::Time time) {
    constexpr Replay::Time kMillisecond = 1'000'000, kSecond = 1'000'000'000;
    const Replay::Time second = time >= 0 ? time / kSecond : (time - kSecond + 1) / kSecond;
    const std::tm local = fmt::localtime(static_cast<std::time_t>(second));
    const std::string zone = fmt::format("{:%z}", local);  // +0100
    return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}{}:{}", local, (time - second * kSecond) / kMillisecond,
                       zone.substr(0, 3), zone.substr(3));
}

std::string_view text_of(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The vhid, or VRRP's id, of what may be either.
std::optional<std::uint8_t> id_in(Bytes ip) {
    const auto packet = parse_ip_packet(ip);
    if (!packet || packet->payload.size() < 2) return std::nullopt;
    if (!is_beacon(packet->payload)) return packet->payload[1];
    const auto beacon = decode_beacon(packet->payload);
    return beacon ? std::optional(beacon->vhid) : std::nullopt;
}

bool has_beacon(Bytes ip) {
    const auto packet = parse_ip_packet(ip);
    return packet && is_beacon(packet->payload);
}

// What an advertisement says although it is refused for its checksum, type or authlen.
Expected<Advertisement, DropReason> read_damaged(Bytes payload) {
    constexpr std::uint8_t kFirst = 0x21, kAuthlen = 7;
    if (payload.size() < kAdvertisementSize) return Unexpected{DropReason::bad_length};
    AdvertisementBytes bytes;
    std::copy_n(payload.begin(), bytes.size(), bytes.begin());
    bytes[0] = kFirst;
    bytes[3] = kAuthlen;
    bytes[6] = bytes[7] = 0;
    ByteWriter(std::span(bytes).subspan(6)).u16(checksum(bytes));
    return decode_advertisement(bytes);
}

void put_advertisement(Json& json, const Advertisement& a) {
    json["vhid"] = a.vhid;
    json["advbase"] = a.advbase;
    json["advskew"] = a.advskew;
    json["demotion"] = a.demote;
    json["counter"] = fmt::format("{:016x}", a.counter);
    json["bow_out"] = a.is_bow_out();
}

// Both versions have these places; the interval is of seconds in version 2, of hundredths in version 3.
void put_vrrp(Json& json, Bytes payload) {
    json["vrid"] = payload[1];
    json["priority"] = payload[2];
    if (payload.size() < 6) return;
    json["interval_ms"] = payload[0] >> 4 == 3 ? (read_u16(payload, 4) & 0x0fff) * 10 : payload[5] * 1000;
}

void put_beacon(Json& json, Bytes payload) {
    const auto beacon = decode_beacon(payload);
    json["protocol"] = beacon ? "beacon" : "unknown";
    if (!beacon) return;
    json["vhid"] = beacon->vhid;
    json["host"] = beacon->name();
    json["sender_state"] = to_string(static_cast<State>(beacon->state));
    json["leaves"] = beacon->leaves;
    json["advbase"] = beacon->advbase;
    json["advskew"] = beacon->advskew;
    json["demotion"] = beacon->demote;
    json["hears"] = beacon->hearings().size();
}

// Of whatever follows an IP header of protocol 112.
void put_payload(Json& json, Bytes payload) {
    if (is_beacon(payload)) return put_beacon(json, payload);
    auto advertisement = decode_advertisement(payload);
    const bool is_vrrp = !advertisement && (advertisement.error() == DropReason::vrrp2 ||
                                            advertisement.error() == DropReason::vrrp3);
    const bool is_damaged = !advertisement && (advertisement.error() == DropReason::bad_checksum ||
                                               advertisement.error() == DropReason::bad_type ||
                                               advertisement.error() == DropReason::bad_authlen);
    if (is_damaged) advertisement = read_damaged(payload);
    json["protocol"] = advertisement ? "carp" : is_vrrp ? to_string(advertisement.error()) : "unknown";
    if (advertisement) put_advertisement(json, *advertisement);
    if (is_vrrp) put_vrrp(json, payload);
}

Json list(const std::vector<IpAddress>& addresses) {
    Json json = Json::array();
    for (const IpAddress& address : addresses) json.push_back(address.to_string());
    return json;
}

std::string_view to_word(KeyFound key) {
    constexpr std::string_view kWords[] = {"own", "accepted", "none", "cut_short", "of_group"};
    return kWords[static_cast<std::size_t>(key)];
}

Json standing(const Standing& s) {
    return {{"advbase", s.advbase.seconds}, {"advskew", s.advskew.value}, {"demotion", s.demote}};
}

// Why an advertisement that was accepted left the group in the state in which it is.
std::string why_it_stays(const VirtualHost& group, const IpPacket& packet, const Advertisement& heard,
                         Instant now) {
    if (group.state() == State::master) {
        // Who still is MASTER hasn't lost the tie.
        const bool is_second = packet.source.family() == Family::ipv6 && group.config().has(Family::ipv4);
        const Tie tie = is_second ? Tie::elsewhere : Tie::ours;
        return std::string(to_string(
            judge(State::master, group.standing(), Standing::of(heard), group.config().preempt, tie).cause));
    }
    switch (group.obstacle(now).value_or(Obstacle::none)) {
        case Obstacle::none:
        case Obstacle::no_master_heard: return "the master is alive";
        case Obstacle::less_demoted: return "the master is less demoted";
        case Obstacle::faster: return "the master advertises more often";
        case Obstacle::equal: return "neither is the better one";
        case Obstacle::no_preempt: return "this host is the better one, but preempt is off";
        case Obstacle::preempt_delay: return "this host is the better one, but its preempt-delay isn't over";
        case Obstacle::just_failed: return "it has just failed to take over";
        case Obstacle::no_addresses: return "its addresses were refused";
        case Obstacle::held: return "another member of its set hears a better master";
    }
    return {};
}

}  // namespace

Decoder::Decoder(GroupConfigs groups, DecodeOptions options, Print print)
    : groups_(std::move(groups)),
      options_(std::move(options)),
      print_(std::move(print)),
      tries_left_(20 * options_.tries) {
    for (const GroupConfig& group : *groups_) {
        places_[group.interface][group.vhid.value] = &group;
        by_vhid_.try_emplace(group.vhid.value, &group);
    }
}

// ---- from frames to packets

// Most files don't say on which interface they were made.
std::string Decoder::interface_of(const CapturedFrame& frame, const LinkFrame& link) const {
    std::string name(frame.interface);
    if (!name.empty() && link.vlan != 0) name += fmt::format(".{}", link.vlan);
    if (is_configured(name)) return name;
    if (!options_.interface.empty()) return options_.interface;
    if (!frame.interface.empty() && frame.interface != "any") return name;
    const auto vhid = id_in(link.ip);
    const auto found = vhid ? by_vhid_.find(*vhid) : by_vhid_.end();
    return found != by_vhid_.end() ? found->second->interface : groups_->front().interface;
}

Decoder::Packet Decoder::packet_of(const CapturedFrame& frame, const LinkFrame& link) const {
    Packet packet{frame.time.value_or(0), interface_of(frame, link), link.vlan, false, false, link.ip};
    const auto ip = parse_ip_packet(link.ip);
    const auto& self = options_.self;
    packet.is_own = self.empty() ? link.is_outgoing || frame.direction == FrameDirection::out
                                 : ip && std::find(self.begin(), self.end(), ip->source) != self.end();
    packet.is_cut = !ip && frame.is_cut();
    return packet;
}

std::optional<CaptureFault> Decoder::each_packet(Bytes file, const std::function<void(const Packet&)>& visit,
                                                 const std::function<void(LinkType)>& skip) const {
    CaptureReader reader(file);
    Replay::Time last = 0;  // of one without a time
    while (const auto frame = reader.next()) {
        const auto link = carp_in_frame(frame->link, frame->bytes);
        if (!link) {
            skip(frame->link);
            continue;
        }
        Packet packet = packet_of(*frame, *link);
        packet.time = last = frame->time.value_or(last);
        visit(packet);
    }
    return reader.fault();
}

// What the whole file says of this host, before anything is judged.
void Decoder::learn(const Packet& packet) {
    const auto ip = parse_ip_packet(packet.bytes);
    if (!ip) return;
    const auto add = [&ip](std::vector<IpAddress>& to, std::size_t most) {
        if (to.size() < most && std::find(to.begin(), to.end(), ip->source) == to.end())
            to.push_back(ip->source);
    };
    add(seen_, kMostSeen / 2);  // room for what is found
    const auto interface = places_.find(packet.interface);
    if (interface == places_.end()) return;
    configured_.insert(std::string(text_of(packet.bytes)));
    if (packet.is_own) add(own_sources_[packet.interface], kMostSources);
    const auto group = interface->second.find(id_in(packet.bytes).value_or(0));
    if (group == interface->second.end()) return;
    concerned_.insert(group->second->name);
    if (!group->second->has(ip->source.family())) of_other_family_.insert(group->second->name);
}

std::optional<CaptureFault> Decoder::decode(Bytes file) {
    each_packet(
        file, [this](const Packet& packet) { learn(packet); }, [](LinkType) {});
    replay_.emplace(groups_, own_sources_);
    const auto fault = each_packet(
        file, [this](const Packet& packet) { show(packet); },
        [this](LinkType link) { ++(is_readable(link) ? others_ : unreadable_[link]); });
    Json refused = Json::object();
    for (std::size_t i = 0; i < kDropReasonCount; ++i)
        if (refused_[i] > 0) refused[to_string(static_cast<DropReason>(i))] = refused_[i];
    print_({{"event", "summary"},
            {"packets", packets_},
            {"own", own_},
            {"cut", cut_},
            {"repeated", repeated_},
            {"refused", refused},
            {"other_frames", others_}});
    return fault;
}

// What a bridge, a bond or a group's own device hears its port or interface heard, too, and so does a capture
// of all of them.
bool Decoder::is_repeated(const Packet& packet) const {
    return !is_configured(packet.interface) && configured_.contains(text_of(packet.bytes));
}

// ---- from packets to JSON

void Decoder::show(const Packet& packet) {
    if (is_repeated(packet)) {
        ++repeated_;
        return;
    }
    ++packets_;
    const bool is_anew = replay_->advance(packet.time);
    show_happenings();
    if (is_anew) print_({{"time", time_text(packet.time)}, {"event", "gap"}});
    Json json{
        {"time", time_text(packet.time)}, {"event", "packet"},
        {"interface", packet.interface},  {"vlan", packet.vlan == 0 ? Json(nullptr) : Json(packet.vlan)},
        {"own", packet.is_own},           {"cut", packet.is_cut}};
    if (const auto ip = parse_ip_packet(packet.bytes)) {
        json["source"] = ip->source.to_string();
        json["destination"] = ip->destination.to_string();
        json["ttl"] = ip->hop_limit;
        put_payload(json, ip->payload);
    }
    json["group"] = nullptr;
    json["refused"] = nullptr;
    if (packet.is_cut)
        ++cut_;
    else if (packet.is_own)
        judge_own(packet, json);
    else
        judge_heard(packet, json);
    print_(json);
    show_happenings();
}

// The core hears none of its own; what peers would find wrong about it is said all the same.
void Decoder::judge_own(const Packet& packet, Json& json) {
    ++own_;
    const auto ip = parse_ip_packet(packet.bytes);
    if (!ip) return refuse(json, ip.error(), {}, packet);
    if (is_beacon(ip->payload)) return;
    const auto advertisement = decode_advertisement(ip->payload);
    if (!advertisement) return refuse(json, advertisement.error(), {}, packet);
    const auto id = replay_->find(packet.interface, advertisement->vhid);
    if (!id) return refuse(json, DropReason::bad_vhid, {}, packet);
    const GroupConfig& group = replay_->group(*id).config();
    json["group"] = group.name;
    const Authenticator authenticator(group.key, group.vhid, group.addresses);
    if (!authenticator.verify(advertisement->counter, advertisement->digest))
        return refuse(json, DropReason::bad_digest, id, packet);
    if (!advertisement->is_bow_out()) replay_->spoke(*id);
}

void Decoder::judge_heard(const Packet& packet, Json& json) {
    const auto vhid = id_in(packet.bytes);
    const auto id = vhid ? replay_->find(packet.interface, *vhid) : std::nullopt;
    const State before = id ? replay_->group(*id).state() : State::init;
    if (id) json["group"] = replay_->group(*id).config().name;
    if (const auto refused = replay_->hear(packet.interface, packet.bytes))
        return refuse(json, *refused, id, packet);
    const VirtualHost& group = replay_->group(*id);
    json["state"] = to_string(group.state());
    json["ours"] = standing(group.standing());
    json["stays"] = nullptr;
    if (has_beacon(packet.bytes)) return;
    const auto ip = parse_ip_packet(packet.bytes);
    const auto heard = decode_advertisement(ip->payload);
    if (group.state() == before) json["stays"] = why_it_stays(group, *ip, *heard, replay_->now());
}

void Decoder::refuse(Json& json, DropReason reason, std::optional<GroupId> id, const Packet& packet) {
    ++refused_[static_cast<std::size_t>(reason)];
    json["refused"] = to_string(reason);
    json["why"] = explain_refusal(reason);
    if (has_beacon(packet.bytes)) return;  // what is wrong with its sender its advertisements tell
    if (reason == DropReason::bad_vhid) find_group(json, packet);
    if (reason == DropReason::bad_digest) find_difference(json, replay_->group(*id).config(), packet);
}

void Decoder::find_group(Json& json, const Packet& packet) {
    const auto ip = parse_ip_packet(packet.bytes);
    const auto advertisement = decode_advertisement(ip->payload);
    const std::tuple sender{packet.interface, advertisement->vhid, ip->source};
    if (unexplained_.contains(sender)) return;
    if (const GroupConfig* group = signed_as(*advertisement, *groups_))
        json["why"] = fmt::format(
            "it has the key and the addresses of the group {}, whose vhid is {} in this configuration",
            group->name, group->vhid.value);
    else
        unexplained_.insert(sender);
}

void Decoder::find_difference(Json& json, const GroupConfig& group, const Packet& packet) {
    const auto ip = parse_ip_packet(packet.bytes);
    const auto advertisement = decode_advertisement(ip->payload);
    const std::tuple sender{packet.interface, advertisement->vhid, ip->source};
    std::optional<DigestFinding> finding;
    if (!unexplained_.contains(sender)) {
        if (tries_left_ == 0) return;  // a crowd of strangers: what is wrong with each is not worth so long
        finding =
            search_digest(*advertisement, group, *groups_, seen_, std::min(tries_left_, options_.tries));
        if (!finding) {
            unexplained_.insert(sender);
            tries_left_ -= std::min(tries_left_, options_.tries);
        }
    }
    json["why"] = in_words(finding, group);
    if (!finding && of_other_family_.contains(group.name))
        json["why"] =
            fmt::format("it comes by IPv{0}, too: the sender's list has IPv{0} addresses, and ours has none",
                        group.has(Family::ipv4) ? 6 : 4);
    if (!finding) return;
    json["key"] = to_word(finding->key);
    json["key_of"] = finding->key == KeyFound::of_group ? Json(finding->group) : Json(nullptr);
    json["missing"] = list(finding->missing);
    json["extra"] = list(finding->extra);
    // It is tried early the next time.
    for (const IpAddress& address : finding->extra)
        if (seen_.size() < kMostSeen) seen_.push_back(address);
}

void Decoder::show_happenings() {
    for (const Replay::Happening& happening : replay_->take_happenings()) {
        const GroupConfig& group = replay_->group(happening.group).config();
        if (!concerned_.contains(group.name)) continue;
        const auto line = [&](const auto& report) -> std::string {
            using Kind = std::decay_t<decltype(report)>;
            if constexpr (std::is_same_v<Kind, ReportTransition> || std::is_same_v<Kind, ReportRival> ||
                          std::is_same_v<Kind, ReportHeld>)
                return monitor_line(group, report, time_text(happening.time));
            return {};
        };
        Json json = Json::parse(std::visit(line, happening.report));
        if (happening.is_assumed) {
            json["cause"] = "was_master";
            json["reason"] = "it advertises as the capture begins";
            json["text"] = group.name + ": MASTER as the capture begins";
        }
        print_(json);
    }
}

}  // namespace carpd
