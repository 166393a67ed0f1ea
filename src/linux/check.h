// Looking at what a track is about ([[track]] in carpd.toml(5)): one small class per kind, in check_*.cc. All
// of them belong to the helper process; none blocks, and each does a bounded amount of work per call.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "base/addresses.h"
#include "health/tracker.h"
#include "linux/unique_fd.h"

namespace carpd {

class Check {
 public:
    virtual ~Check() = default;

    // Begins one; none runs. Its result, if it has it at once.
    virtual std::optional<CheckResult> start(Instant now) = 0;
    // What is to be waited for until the next call, also while none runs; negative: nothing.
    struct Watch {
        int fd = -1;
        std::uint32_t events = EPOLLIN;
    };
    virtual Watch watch() const { return {}; }
    // When to call wake() at the latest, also while none runs.
    virtual Instant next_deadline() const { return kNever; }
    // The descriptor is ready, or the deadline has come.
    struct News {
        std::optional<CheckResult> result{};  // of the running one
        bool changed = false;                 // something happened that a new one may see
    };
    virtual News wake(Instant /*now*/) { return {}; }
    // Gives up the running one.
    virtual void cancel() {}
};

// The groups' addresses: nobody may be asked anything in their name, for that would teach switches and
// neighbours that they are here.
using SharedAddresses = std::set<IpAddress>;

std::unique_ptr<Check> make_check(const LinkCheck& config);
std::unique_ptr<Check> make_check(const RouteCheck& config);
std::unique_ptr<Check> make_check(const TcpCheck& config);
std::unique_ptr<Check> make_check(const HttpCheck& config);
std::unique_ptr<Check> make_check(const ProcessCheck& config);
std::unique_ptr<Check> make_check(const FileCheck& config);
// `shared` must outlive the check.
// Also runs with `name` of its track in the environment.
std::unique_ptr<Check> make_check(const ScriptCheck& config, const std::string& name, Duration timeout);
std::unique_ptr<Check> make_check(const GatewayCheck& config, const SharedAddresses& shared);

// A result that says why something could not even be tried.
CheckResult cannot(const std::string& operation);

}  // namespace carpd
