#include "control/sync_request.h"

#include <fmt/format.h>

#include <array>

#include "control/request.h"
#include "control/request_fields.h"

namespace carpd {

namespace {

constexpr std::array<std::string_view, 4> kNames = {"status", "flows", "resync", "flush"};
constexpr std::array<std::string_view, 1> kFlowsTakes = {"owner"};

Unexpected<std::string> refuse(std::string reason) {
    return Unexpected{std::move(reason)};
}

}  // namespace

std::string_view to_string(SyncCommand command) {
    return kNames[static_cast<std::size_t>(command)];
}

bool is_sync_command(std::string_view name) {
    return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

Expected<SyncRequest, std::string> parse_sync_request(std::string_view line) {
    const auto opened = request::open(line);
    if (!opened) return refuse(opened.error());
    const auto& [object, name] = *opened;
    const auto found = std::find(kNames.begin(), kNames.end(), name);
    if (found == kNames.end())
        return refuse(
            is_command(name)
                ? fmt::format("'{}' is for carpd's control socket; this one, of state synchronisation, takes "
                              "status, flows, resync and flush",
                              name)
                : fmt::format("state synchronisation has no command '{}'", name));
    SyncRequest request{static_cast<SyncCommand>(found - kNames.begin()), {}};
    const bool is_flows = request.command == SyncCommand::flows;
    if (const auto field = request::unknown_field(object, std::span(kFlowsTakes).first(is_flows ? 1 : 0)))
        return refuse(fmt::format("{} of state synchronisation takes no '{}'", name, *field));
    if (!object.contains("owner")) return request;
    request.owner = request::read_text(object, "owner").value_or("");
    if (request.owner.empty()) return refuse("the owner of flows is a host's name");
    return request;
}

std::string to_line(const SyncRequest& request) {
    Json object{{"command", to_string(request.command)}};
    if (!request.owner.empty()) object["owner"] = request.owner;
    return dump(object);
}

}  // namespace carpd
