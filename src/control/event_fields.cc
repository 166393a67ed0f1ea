#include "control/event_fields.h"

#include "control/peer_news.h"
#include "control/status.h"

namespace carpd {

namespace {

EventFields fields(std::string_view message_id, const GroupConfig& group, std::string reason) {
    return {{"MESSAGE_ID", std::string(message_id)},
            {"CARP_GROUP", group.name},
            {"CARP_INTERFACE", group.interface},
            {"CARP_VHID", std::to_string(group.vhid.value)},
            {"CARP_REASON", std::move(reason)}};
}

}  // namespace

EventFields event_fields(const GroupConfig& group, const ReportTransition& report) {
    EventFields result = fields("75df63d33f1441b49143f1208c4597a7", group, reason_of(report));
    result.emplace_back("CARP_FROM", to_string(report.from));
    result.emplace_back("CARP_TO", to_string(report.to));
    if (report.rival) result.emplace_back("CARP_RIVAL", report.rival->source.to_string());
    return result;
}

EventFields event_fields(const GroupConfig& group, const ReportRival& report) {
    EventFields result =
        fields("adcc7054c98644589d698ff76791d32a", group, std::string(to_string(report.cause)));
    result.emplace_back("CARP_RIVAL", report.rival.source.to_string());
    return result;
}

EventFields event_fields(const GroupConfig& group, const ReportHeld& report) {
    return fields("8847f9d91ee7410283eb4834fa01371b", group, std::string(to_string(report.cause)));
}

EventFields event_fields(const GroupConfig& group, const ReportDemotion& report) {
    EventFields result = fields("ef4361e3006e407c84137c62046d1770", group, report.name);
    result.emplace_back("CARP_DEMOTION", std::to_string(report.value));
    return result;
}

EventFields event_fields(const GroupConfig& group, const ReportUncommitted&) {
    return fields("f2af7703b7e6499da018ebc3d683a7c5", group, "flows were not committed in time");
}

EventFields event_fields(const GroupConfig& group, const ReportPeer& report) {
    EventFields result =
        fields("9c6ca0fd43774f62bc4666dde719fc25", group, std::string(to_identifier(report.news)));
    result.emplace_back("CARP_PEER", report.source.to_string());
    result.emplace_back("CARP_PEER_HOST", report.host);
    return result;
}

}  // namespace carpd
