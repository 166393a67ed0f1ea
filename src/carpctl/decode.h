// What stands in a capture, judged by a configuration: each packet of protocol 112 with what is wrong about
// it, and what a host with that configuration would have made of it (replay.h). Pure; values in, JSON out.
//
// Who calls it: `carpctl decode`. The objects are told by their "event": "packet" as docs/man/carpctl.8
// explains it, "transition" and the like as `carpctl monitor` has them, "gap", and at the end "summary".
#pragma once

#include <array>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "carp/digest_search.h"
#include "carpctl/replay.h"
#include "wire/capture_file.h"
#include "wire/link_frame.h"

namespace carpd {

struct DecodeOptions {
    std::string interface = "";        // of packets whose own isn't configured; empty: found by the vhid
    std::vector<IpAddress> self{};     // whose packets are the host's own; empty: as the capture says
    std::size_t tries = kDigestTries;  // for each wrong digest; for all of them twenty times that
};

class Decoder {
 public:
    using Print = std::function<void(const nlohmann::ordered_json&)>;

    Decoder(GroupConfigs groups, DecodeOptions options, Print print);

    // A whole file, which must stay. Returns what is wrong with it, if anything is; what stands before that
    // was printed.
    std::optional<CaptureFault> decode(Bytes file);
    // Of frames that could not be read.
    const std::map<LinkType, std::uint64_t>& unreadable() const { return unreadable_; }

 private:
    using Json = nlohmann::ordered_json;

    // One of protocol 112.
    struct Packet {
        std::int64_t time = 0;
        std::string interface;  // the configuration's, or as the capture has it
        std::uint16_t vlan = 0;
        bool is_own = false;
        bool is_cut = false;  // too short to be judged, because the capture is
        Bytes bytes;          // from the IP header on
    };

    std::optional<CaptureFault> each_packet(Bytes file, const std::function<void(const Packet&)>& visit,
                                            const std::function<void(LinkType)>& skip) const;
    Packet packet_of(const CapturedFrame& frame, const LinkFrame& link) const;
    std::string interface_of(const CapturedFrame& frame, const LinkFrame& link) const;
    bool is_configured(std::string_view interface) const { return places_.contains(interface); }
    void learn(const Packet& packet);
    bool is_repeated(const Packet& packet) const;
    void show(const Packet& packet);
    void judge_own(const Packet& packet, Json& json);
    void judge_heard(const Packet& packet, Json& json);
    void refuse(Json& json, DropReason reason, std::optional<GroupId> group, const Packet& packet);
    void find_group(Json& json, const Packet& packet);
    void find_difference(Json& json, const GroupConfig& group, const Packet& packet);
    void show_happenings();

    const GroupConfigs groups_;
    const DecodeOptions options_;
    const Print print_;
    // By interface and vhid, and the first of each vhid.
    std::map<std::string, std::map<std::uint8_t, const GroupConfig*>, std::less<>> places_;
    std::map<std::uint8_t, const GroupConfig*> by_vhid_;
    OwnSources own_sources_;
    // Names of the groups for which there is a packet, and of them those that have no address of its family.
    std::set<std::string> concerned_, of_other_family_;
    std::set<std::string, std::less<>> configured_;  // packets of configured interfaces
    std::optional<Replay> replay_;
    std::map<LinkType, std::uint64_t> unreadable_;
    std::uint64_t packets_ = 0, own_ = 0, cut_ = 0, repeated_ = 0, others_ = 0;
    std::array<std::uint64_t, kDropReasonCount> refused_{};
    // Of digests that are looked into: addresses that may stand in lists, senders of whom nothing was found,
    // and how many tries are left.
    std::vector<IpAddress> seen_;
    std::set<std::tuple<std::string, std::uint8_t, IpAddress>> unexplained_;
    std::size_t tries_left_;
};

// A line for each of the objects, without a newline; empty where there is nothing to say. What was explained
// once is only named again.
class DecodeText {
 public:
    // `explains`: also why each advertisement changed nothing.
    explicit DecodeText(bool explains) : explains_(explains) {}
    std::string line(const nlohmann::ordered_json& json);

 private:
    std::string packet(const nlohmann::ordered_json& json);

    const bool explains_;
    std::set<std::string> said_;
};

}  // namespace carpd
