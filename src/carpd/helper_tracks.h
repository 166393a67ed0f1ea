// The helper's tracks ([[track]]): it checks what the administrator wants to have watched and tells the
// engine the verdicts. The engine decides what they do to the groups.
#pragma once

#include <map>
#include <string>

#include "config/config.h"
#include "control/helper_message.h"
#include "linux/health_checks.h"
#include "linux/message_socket.h"

namespace carpd {

class HelperTracks {
 public:
    static Expected<HelperTracks, SysError> open();

    void configure(Instant now, const Config& config);
    // To be polled; call wake() when it is readable, and when next_deadline() has come.
    int fd() const { return checks_.fd(); }
    Instant next_deadline() const { return report_at_; }
    // Checks what is due, and tells `engine` the verdicts that changed at once, and every kReportInterval
    // also those with other figures.
    void wake(Instant now, const MessageSocket& engine);
    // The engine is new: it is told everything again.
    void forget_told() { told_.clear(); }

    static constexpr Duration kReportInterval = std::chrono::seconds(2);

 private:
    explicit HelperTracks(HealthChecks checks) : checks_(std::move(checks)) {}
    void tell(const std::string& name, const TrackVerdict& verdict, bool figures,
              const MessageSocket& engine);

    HealthChecks checks_;
    std::map<std::string, TrackVerdict> told_;
    Instant report_at_ = kNever;  // while there are any tracks
};

}  // namespace carpd
