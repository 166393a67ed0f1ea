// `carpctl decode`: reads the capture and the configuration, and prints what decode.h makes of them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "carpctl/commands.h"
#include "carpctl/decode.h"
#include "config/config.h"
#include "control/json.h"

namespace carpd {

namespace {

constexpr std::size_t kMaxCaptureSize = std::size_t{1} << 30;

Unexpected<Failure> failed(const std::string& file, std::string_view why) {
    return Unexpected{Failure{kFailed, fmt::format("{}: {}", file, why)}};
}

Expected<std::vector<std::uint8_t>, Failure> read_capture(const std::string& name) {
    const bool is_stdin = name == "-";
    const auto close = [is_stdin](std::FILE* file) { return is_stdin ? 0 : std::fclose(file); };
    const std::unique_ptr<std::FILE, decltype(close)> file(is_stdin ? stdin : std::fopen(name.c_str(), "rbe"),
                                                           close);
    if (!file) return failed(name, fmt::format("it cannot be read: {}", std::strerror(errno)));
    std::vector<std::uint8_t> bytes;
    std::array<std::uint8_t, 65536> piece;
    while (const std::size_t size = std::fread(piece.data(), 1, piece.size(), file.get())) {
        bytes.insert(bytes.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(size));
        if (bytes.size() > kMaxCaptureSize)
            return failed(name,
                          "it has more than 1 GiB; keep what is needed: tcpdump -r FILE -w FILE 'proto 112'");
    }
    if (std::ferror(file.get()) != 0)
        return failed(name, fmt::format("it cannot be read: {}", std::strerror(errno)));
    return bytes;
}

Expected<Config, Failure> read_config(const std::string& path) {
    auto file = load_config(path);
    if (file) return std::move(file->config);
    std::string errors;
    for (const ConfigError& error : file.error())
        errors += (errors.empty() ? "" : "\n         ") + error.to_string(path);
    return Unexpected{Failure{kFailed, errors}};
}

// The interfaces that groups of the configuration ask for.
std::set<std::string> interfaces_of(const Config& config) {
    std::set<std::string> names;
    for (const GroupConfig& group : config.groups) names.insert(group.interface);
    return names;
}

std::string_view explain_fault(CaptureFault fault) {
    switch (fault) {
        case CaptureFault::no_capture: return "it is neither a pcap nor a pcapng file";
        case CaptureFault::cut_short: return "it ends in the middle of a packet; what stands before was read";
        case CaptureFault::bad_version: return "it is of a version of pcap or pcapng that nobody writes";
        case CaptureFault::bad_block: return "it is damaged; what stands before that was read";
        case CaptureFault::too_many_interfaces: return "it has more than 4096 interfaces";
        case CaptureFault::unknown_interface: return "it is damaged: a packet of no interface";
    }
    return {};
}

// Those that tcpdump makes on hosts that may speak CARP.
std::string_view link_name(LinkType link) {
    switch (static_cast<int>(link)) {
        case 0: return "BSD loopback";
        case 105: return "802.11";
        case 108: return "OpenBSD loopback";
        case 109: return "OpenBSD enc";
        case 117: return "pflog";
        case 127: return "802.11 with radiotap";
        case 253: return "netlink";
        default: return "of another kind";
    }
}

}  // namespace

ExitCode decode_command(const Options& options, const DecodeOrder& order) {
    DecodeOptions how{.interface = order.interface};
    for (const std::string& text : order.self) {
        const auto address = IpAddress::parse(text);
        if (!address) return report({kUsage, fmt::format("--self: '{}' is no IP address", text)});
        how.self.push_back(*address);
    }
    auto config = read_config(order.config);
    if (!config) return report(config.error());
    const auto interfaces = interfaces_of(*config);
    if (!order.interface.empty() && !interfaces.contains(order.interface))
        return report({kUsage, fmt::format("no group of {} is on '{}'; there are groups on {}", order.config,
                                           order.interface, fmt::join(interfaces, ", "))});
    const auto file = read_capture(order.file);
    if (!file) return report(file.error());
    DecodeText lines(order.explain);
    const auto print = [&](const Json& json) {
        fmt::print("{}\n", options.json ? dump(json) : lines.line(json));
    };
    Decoder decoder(share(std::move(config->groups)), how, print);
    const auto fault = decoder.decode(*file);
    for (const auto& [link, frames] : decoder.unreadable())
        report({kFailed, fmt::format("{}: {} frames are of link type {} ({}), which carpctl can't read; "
                                     "Ethernet, Linux cooked and raw IP it can",
                                     order.file, frames, static_cast<int>(link), link_name(link))});
    if (fault) return report({kFailed, fmt::format("{}: {}", order.file, explain_fault(*fault))});
    return decoder.unreadable().empty() ? kOk : kFailed;
}

}  // namespace carpd
