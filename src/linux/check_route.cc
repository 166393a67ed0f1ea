#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "linux/check.h"
#include "linux/kernel_events.h"
#include "linux/netlink_attributes.h"

namespace carpd {

namespace {

constexpr int kDatagramsAtOnce = 16;

// The kernel can't be asked for one prefix exactly, so the table is read, in pieces.
class RouteProbe : public Check {
 public:
    explicit RouteProbe(const RouteCheck& config)
        : prefix_(config.prefix), is_ipv4_(prefix_.address.family() == Family::ipv4) {}

    std::optional<CheckResult> start(Instant) override {
        if (!events_) events_ = open_kernel_events(is_ipv4_ ? RTMGRP_IPV4_ROUTE : RTMGRP_IPV6_ROUTE);
        dump_ = open_kernel_events(0);
        if (!dump_) return cannot("open a netlink socket");
        const int yes = 1;  // then the kernel leaves other tables out; where it can't, we do
        setsockopt(dump_.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &yes, sizeof yes);
        NetlinkRequest<rtmsg> request(RTM_GETROUTE, NLM_F_DUMP);
        request.body->rtm_family = is_ipv4_ ? AF_INET : AF_INET6;
        request.body->rtm_table = RT_TABLE_MAIN;
        if (send(dump_.get(), request.header, request.header->nlmsg_len, 0) < 0)
            return end(cannot("read the routes"));
        return std::nullopt;
    }

    Watch watch() const override { return {dump_ ? dump_.get() : events_.get()}; }

    News wake(Instant) override {
        if (dump_) return {read_on()};
        return {{}, read_kernel_events(events_.get(), [this](const nlmsghdr& m) { return is_ours(m); })};
    }

    void cancel() override { dump_ = {}; }

 private:
    std::optional<CheckResult> read_on() {
        std::optional<CheckResult> result;
        for (int i = 0; i < kDatagramsAtOnce && !result; ++i) {
            const ssize_t size = recv(dump_.get(), buffer_.data(), buffer_.size(), 0);
            if (size < 0 && errno == EAGAIN) return std::nullopt;
            if (size <= 0) return end(cannot("read the routes"));
            for_each_message(buffer_.data(), static_cast<std::size_t>(size), [&](const nlmsghdr& message) {
                result = judge(message);
                return !result;
            });
        }
        if (result) dump_ = {};
        return result;
    }

    std::optional<CheckResult> judge(const nlmsghdr& message) {
        if (message.nlmsg_type == NLMSG_DONE)
            return CheckResult{false, "there is no route to " + prefix_.to_string()};
        if (message.nlmsg_type == NLMSG_ERROR) {
            errno = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message))->error;
            return cannot("read the routes");
        }
        if (message.nlmsg_type == RTM_NEWROUTE && is_ours(message))
            return CheckResult{true, "there is a route to " + prefix_.to_string()};
        return std::nullopt;
    }

    // What leads nowhere (blackhole, unreachable) is no route that anybody could want.
    bool is_ours(const nlmsghdr& message) const {
        if (message.nlmsg_type != RTM_NEWROUTE && message.nlmsg_type != RTM_DELROUTE) return false;
        const auto& body = *static_cast<const rtmsg*>(mnl_nlmsg_get_payload(&message));
        if (mnl_nlmsg_get_payload_len(&message) < sizeof body || body.rtm_type != RTN_UNICAST ||
            body.rtm_dst_len != prefix_.prefix_length || (body.rtm_flags & RTM_F_CLONED) != 0)
            return false;
        const auto found = attributes<RTA_MAX>(message, sizeof body);
        if (get_u32(found[RTA_TABLE], body.rtm_table) != RT_TABLE_MAIN) return false;
        const Bytes wanted = prefix_.address.bytes();
        if (found[RTA_DST] == nullptr) return prefix_.prefix_length == 0;
        const auto* is = static_cast<const std::uint8_t*>(mnl_attr_get_payload(found[RTA_DST]));
        return mnl_attr_get_payload_len(found[RTA_DST]) == wanted.size() &&
               std::equal(wanted.begin(), wanted.end(), is);
    }

    CheckResult end(CheckResult result) {
        dump_ = {};
        return result;
    }

    const InterfaceAddress prefix_;
    const bool is_ipv4_;
    UniqueFd events_, dump_;  // the latter while it reads the table
    alignas(nlmsghdr) std::array<char, 32768> buffer_;
};

}  // namespace

std::unique_ptr<Check> make_check(const RouteCheck& config) {
    return std::make_unique<RouteProbe>(config);
}

}  // namespace carpd
