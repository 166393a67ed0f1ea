// The part of Netlink that knows traffic control: the qdisc clsact, and BPF programs as its filters.
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>

#include "linux/netlink_attributes.h"
#include "linux/netlink_socket.h"

namespace carpd {

namespace {

constexpr std::uint32_t kClsact = TC_H_MAKE(TC_H_CLSACT, 0);

std::uint32_t parent_of(Direction direction) {
    return TC_H_MAKE(TC_H_CLSACT, direction == Direction::ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
}

void fill_clsact(tcmsg& body, int ifindex) {
    body.tcm_ifindex = ifindex;
    body.tcm_parent = TC_H_CLSACT;
    body.tcm_handle = kClsact;
}

void put_qdisc(nlmsghdr* header, int ifindex) {
    fill_clsact(*put_body<tcmsg>(header), ifindex);
    mnl_attr_put_strz(header, TCA_KIND, "clsact");
}

void put_filter(nlmsghdr* header, const Filter& filter) {
    auto* body = put_body<tcmsg>(header);
    body->tcm_ifindex = filter.ifindex;
    body->tcm_parent = parent_of(filter.direction);
    body->tcm_handle = filter.handle;
    body->tcm_info = TC_H_MAKE(static_cast<std::uint32_t>(filter.priority) << 16, htons(ETH_P_ALL));
    mnl_attr_put_strz(header, TCA_KIND, "bpf");
}

const char* name_of(Direction direction) {
    return direction == Direction::ingress ? "incoming packets" : "outgoing packets";
}

}  // namespace

void NetlinkBatch::add_clsact(int ifindex) {
    put_qdisc(begin(RTM_NEWQDISC, kAdd), ifindex);
    end("add the qdisc clsact to", link_object(ifindex));
}

void NetlinkBatch::delete_clsact(int ifindex) {
    put_qdisc(begin(RTM_DELQDISC, 0), ifindex);
    end("remove the qdisc clsact from", link_object(ifindex));
}

void NetlinkBatch::put_program(const Filter& filter, int program) {
    nlmsghdr* header = begin(RTM_NEWTFILTER, NLM_F_CREATE);
    put_filter(header, filter);
    nlattr* options = mnl_attr_nest_start(header, TCA_OPTIONS);
    mnl_attr_put_u32(header, TCA_BPF_FD, static_cast<std::uint32_t>(program));
    mnl_attr_put_strz(header, TCA_BPF_NAME, filter.name.c_str());
    mnl_attr_put_u32(header, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT);
    mnl_attr_nest_end(header, options);
    end(filter.direction == Direction::ingress ? "filter the incoming packets of"
                                               : "filter the outgoing packets of",
        link_object(filter.ifindex));
}

void NetlinkBatch::delete_filter(const Filter& filter) {
    put_filter(begin(RTM_DELTFILTER, 0), filter);
    end("remove the filter of",
        std::string(name_of(filter.direction)) + " of " + link_object(filter.ifindex));
}

bool Netlink::has_clsact(int ifindex) {
    NetlinkRequest<tcmsg> request(RTM_GETQDISC, NLM_F_ACK);  // there need be no other answer
    fill_clsact(*request.body, ifindex);
    mnl_attr_put_strz(request.header, TCA_KIND, "clsact");
    return exchange(request.header, [](const nlmsghdr&) {}) == 0;
}

Expected<std::vector<Filter>, SysError> Netlink::filters(int ifindex) {
    std::vector<Filter> filters;
    for (const Direction direction : {Direction::ingress, Direction::egress}) {
        NetlinkRequest<tcmsg> request(RTM_GETTFILTER, NLM_F_DUMP);
        request.body->tcm_ifindex = ifindex;
        request.body->tcm_parent = parent_of(direction);
        auto found = dump<Filter>(
            request.header, "read the filters", [&](const nlmsghdr& message) -> std::optional<Filter> {
                const auto& body = *static_cast<const tcmsg*>(mnl_nlmsg_get_payload(&message));
                const auto attribute = attributes<TCA_MAX>(message, sizeof body);
                if (body.tcm_handle == 0) return std::nullopt;  // the head of a priority's list
                return Filter{ifindex, direction, static_cast<std::uint16_t>(TC_H_MAJ(body.tcm_info) >> 16),
                              body.tcm_handle, get_nested_string(attribute[TCA_OPTIONS], TCA_BPF_NAME)};
            });
        if (!found) return found;
        filters.insert(filters.end(), found->begin(), found->end());
    }
    return filters;
}

}  // namespace carpd
