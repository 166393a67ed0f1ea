#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "linux/check.h"
#include "linux/kernel_events.h"

namespace carpd {

namespace {

class LinkProbe : public Check {
 public:
    explicit LinkProbe(const LinkCheck& config) : name_(config.interface) {}

    std::optional<CheckResult> start(Instant) override {
        if (!events_) events_ = open_kernel_events(RTMGRP_LINK);
        const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        if (!socket) return cannot("open a socket");
        ifreq request{};
        name_.copy(request.ifr_name, IFNAMSIZ - 1);
        if (ioctl(socket.get(), SIOCGIFFLAGS, &request) != 0)
            return errno == ENODEV ? CheckResult{false, name_ + " does not exist"}
                                   : cannot("look at " + name_);
        if ((request.ifr_flags & IFF_UP) == 0) return CheckResult{false, name_ + " is down"};
        if ((request.ifr_flags & IFF_RUNNING) == 0) return CheckResult{false, name_ + " has no carrier"};
        return CheckResult{true, name_ + " is up"};
    }

    Watch watch() const override { return {events_.get()}; }

    // Whatever interface it is about: names change.
    News wake(Instant) override {
        return {{}, read_kernel_events(events_.get(), [](const nlmsghdr&) { return true; })};
    }

 private:
    const std::string name_;
    UniqueFd events_;
};

}  // namespace

CheckResult cannot(const std::string& operation) {
    return {false, "cannot " + operation + ": " + std::strerror(errno)};
}

std::unique_ptr<Check> make_check(const LinkCheck& config) {
    return std::make_unique<LinkProbe>(config);
}

}  // namespace carpd
