// Putting a netlink message together and taking one apart, for the sources of Netlink.
#pragma once

#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace carpd {

inline constexpr std::uint16_t kAdd = NLM_F_CREATE | NLM_F_EXCL;

template <class T>
T* put_body(nlmsghdr* header) {
    return static_cast<T*>(mnl_nlmsg_put_extra_header(header, sizeof(T)));
}

inline void put_string(nlmsghdr* header, std::uint16_t type, std::string_view text) {
    mnl_attr_put(header, type, text.size(), text.data());
}

inline std::uint32_t get_u32(const nlattr* attribute, std::uint32_t otherwise = 0) {
    if (attribute == nullptr || mnl_attr_get_payload_len(attribute) < sizeof(std::uint32_t)) return otherwise;
    return mnl_attr_get_u32(attribute);
}

inline std::string get_string(const nlattr* attribute) {
    if (attribute == nullptr) return {};
    const char* text = static_cast<const char*>(mnl_attr_get_payload(attribute));
    return std::string(text, strnlen(text, mnl_attr_get_payload_len(attribute)));
}

// The attributes behind a message's body, by type.
template <std::size_t Max>
using Attributes = std::array<const nlattr*, Max + 1>;

template <std::size_t Max>
Attributes<Max> attributes(const nlmsghdr& message, std::size_t body) {
    Attributes<Max> found{};
    const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(&message));
    const auto left = [end](const nlattr* a) {
        return static_cast<int>(end - reinterpret_cast<const char*>(a));
    };
    for (const auto* attribute = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(&message, body));
         mnl_attr_ok(attribute, left(attribute)); attribute = mnl_attr_next(attribute)) {
        if (mnl_attr_get_type(attribute) <= Max) found[mnl_attr_get_type(attribute)] = attribute;
    }
    return found;
}

// The text of type `wanted` among the attributes inside another.
inline std::string get_nested_string(const nlattr* nest, std::uint16_t wanted) {
    if (nest == nullptr) return {};
    const auto* attribute = static_cast<const nlattr*>(mnl_attr_get_payload(nest));
    for (int left = mnl_attr_get_payload_len(nest); mnl_attr_ok(attribute, left);
         left -= MNL_ALIGN(attribute->nla_len), attribute = mnl_attr_next(attribute)) {
        if (mnl_attr_get_type(attribute) == wanted) return get_string(attribute);
    }
    return {};
}

// A request with a zeroed body of type Body.
template <class Body>
struct NetlinkRequest {
    alignas(nlmsghdr) char bytes[256] = {};
    nlmsghdr* header = mnl_nlmsg_put_header(bytes);
    Body* body = put_body<Body>(header);

    NetlinkRequest(std::uint16_t type, std::uint16_t flags) {
        header->nlmsg_type = type;
        header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    }
};

}  // namespace carpd
