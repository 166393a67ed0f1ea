// Any bytes as a netlink message about a link or an address: never read past its end. The kernel is trusted,
// but other kernels' messages are shorter or longer than those that we know.
#include <algorithm>
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "linux/netlink_socket.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carpd;
    // Memory of exactly the message's size, aligned as netlink's is.
    std::vector<std::uint32_t> message((sizeof(nlmsghdr) + size + 3) / 4);
    auto& header = reinterpret_cast<nlmsghdr&>(*message.data());
    header.nlmsg_len = static_cast<std::uint32_t>(sizeof(nlmsghdr) + size);
    std::copy(data, data + size, reinterpret_cast<std::uint8_t*>(&header + 1));
    if (const auto link = parse_link(header)) {
        CARPD_ASSERT(link->name.size() + link->alias.size() + link->kind.size() <= size);
        CARPD_ASSERT(std::strlen(link->name.c_str()) == link->name.size());
    }
    if (const auto address = parse_address(header)) {
        const auto family = reinterpret_cast<const std::uint8_t*>(&header + 1)[0];
        CARPD_ASSERT((address->address.address.family() == Family::ipv4) == (family == 2));
    }
    return 0;
}
