// What carpctl/decode.h finds as lines for people.
#include <fmt/format.h>

#include "carpctl/decode.h"
#include "carpctl/parts.h"

namespace carpd {

namespace {

// "2026-11-27T12:01:03.114+00:00" -> "12:01:03.114"
std::string time_of_day(const Json& json) {
    constexpr std::size_t kDate = 11, kTime = 12;
    const std::string time = text(json, "time");
    return time.size() >= kDate + kTime ? time.substr(kDate, kTime) : time;
}

std::string advertisement(const Json& json) {
    const std::string what = fmt::format("vhid {} ", number(json, "vhid"));
    const std::string counter = fmt::format(" counter {}", text(json, "counter"));
    if (json.at("bow_out").get<bool>())
        return what + fmt::format("bow-out demotion {}", number(json, "demotion")) + counter;
    return what +
           fmt::format("advbase {} advskew {} demotion {}", number(json, "advbase"), number(json, "advskew"),
                       number(json, "demotion")) +
           counter;
}

std::string beacon(const Json& json) {
    const auto hears = count(json, "hears");
    return fmt::format("beacon of {}: vhid {} {} advbase {} advskew {} demotion {}, {}", text(json, "host"),
                       number(json, "vhid"), upper(text(json, "sender_state")), number(json, "advbase"),
                       number(json, "advskew"), number(json, "demotion"),
                       json.at("leaves").get<bool>()
                           ? "leaves"
                           : fmt::format("hears {} host{}", hears, hears == 1 ? "" : "s"));
}

std::string content(const Json& json) {
    if (!json.contains("source")) return "a packet that can't be read";
    std::string line = fmt::format("{} > {}  ", text(json, "source"), text(json, "destination"));
    const std::string protocol = text(json, "protocol");
    if (protocol == "carp")
        line += advertisement(json);
    else if (protocol == "beacon")
        line += beacon(json);
    else if (protocol == "unknown")
        line += "neither CARP nor VRRP";
    else
        line += fmt::format("VRRPv{} vrid {} priority {}", protocol.back(), number(json, "vrid"),
                            number(json, "priority"));
    if (const int ttl = number(json, "ttl"); ttl != 255) line += fmt::format(" ttl {}", ttl);
    return line;
}

std::string summary(const Json& json) {
    const auto packets = count(json, "packets");
    std::string line = fmt::format("{} packet{} of protocol 112", packets, packets == 1 ? "" : "s");
    if (const auto own = count(json, "own"); own > 0) line += fmt::format(", {} of them this host's", own);
    if (const auto cut = count(json, "cut"); cut > 0)
        line += fmt::format(", {} of them cut off by the capture", cut);
    if (const auto repeated = count(json, "repeated"); repeated > 0)
        line += fmt::format(", {} more heard twice", repeated);
    std::string refused;
    for (const auto& [reason, n] : json.at("refused").items())
        refused +=
            fmt::format("{}{} {}", refused.empty() ? "" : ", ", printable(reason), integer<std::uint64_t>(n));
    if (!refused.empty())
        line += "; refused: " + refused;
    else if (packets > 0)
        line += ", none refused";
    if (const auto others = count(json, "other_frames"); others > 0)
        line += fmt::format("; {} other frame{}", others, others == 1 ? "" : "s");
    return line;
}

}  // namespace

std::string DecodeText::packet(const Json& json) {
    std::string line = fmt::format("{}  {}  {}  ", time_of_day(json), text(json, "interface"), content(json));
    if (json.at("cut").get<bool>())
        return line + "cut off by the capture: give it a longer snap length (tcpdump -s 0)";
    const bool is_own = json.at("own").get<bool>();
    if (json.at("refused").is_null()) {
        line += is_own ? "ok, sent by this host" : "ok";
        if (!is_own && explains_ && !json.at("stays").is_null())
            line += fmt::format("\n{:14}{}: stays {}: {}", "", text(json, "group"),
                                upper(text(json, "state")), text(json, "stays"));
        return line;
    }
    const std::string reason = text(json, "refused"), why = text(json, "why");
    line += is_own ? reason + ", sent by this host" : reason;
    const std::string sender = json.contains("source") ? text(json, "source") : "";
    const bool is_new = said_.insert(reason + ' ' + sender + ' ' + why).second;
    return is_new ? fmt::format("{}\n{:14}{}", line, "", why) : line;
}

std::string DecodeText::line(const Json& json) {
    const std::string event = text(json, "event");
    if (event == "packet") return packet(json);
    if (event == "summary") return summary(json);
    if (event == "gap") return fmt::format("{}  a long gap: from here on as if it began", time_of_day(json));
    return fmt::format("{}  {}", time_of_day(json), text(json, "text"));
}

}  // namespace carpd
