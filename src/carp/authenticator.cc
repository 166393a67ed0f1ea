#include "carp/authenticator.h"

#include <algorithm>
#include <vector>

#include "base/bytes.h"

namespace carpd {

namespace {

// Version, type, vhid and the addresses, IPv4 before IPv6 and each ascending (rule D2).
HmacSha1 begin(const Key& key, Vhid vhid, const std::vector<IpAddress>& sorted, bool with_link_local) {
    HmacSha1 hmac(key);
    const std::uint8_t start[] = {2, 1, vhid.value};
    hmac.update(start);
    for (const IpAddress& address : sorted)
        if (with_link_local || !address.is_link_local()) hmac.update(address.bytes());
    return hmac;
}

std::vector<IpAddress> sorted(std::span<const InterfaceAddress> addresses) {
    std::vector<IpAddress> result;
    for (const InterfaceAddress& a : addresses) result.push_back(a.address);
    std::sort(result.begin(), result.end());
    return result;
}

Sha1Digest finish(HmacSha1 hmac, std::uint64_t counter) {
    std::uint8_t bytes[8];
    ByteWriter(bytes).u64(counter);
    hmac.update(bytes);
    return hmac.finish();
}

}  // namespace

Authenticator::Authenticator(const Key& key, Vhid vhid, std::span<const InterfaceAddress> addresses)
    : without_link_local_(begin(key, vhid, sorted(addresses), false)) {
    const bool has_link_local =
        std::any_of(addresses.begin(), addresses.end(),
                    [](const InterfaceAddress& a) { return a.address.is_link_local(); });
    if (has_link_local)
        with_link_local_ = std::make_unique<HmacSha1>(begin(key, vhid, sorted(addresses), true));
}

Sha1Digest Authenticator::sign(std::uint64_t counter) const {
    return finish(without_link_local_, counter);
}

bool Authenticator::verify(std::uint64_t counter, const Sha1Digest& digest) const {
    if (equal_in_constant_time(finish(without_link_local_, counter), digest)) return true;
    return with_link_local_ && equal_in_constant_time(finish(*with_link_local_, counter), digest);
}

}  // namespace carpd
