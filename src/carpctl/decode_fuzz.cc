// Any bytes as a capture: what decode makes of them is JSON that has its line, and it comes to an end.
#include <nlohmann/json.hpp>

#include "base/assert.h"
#include "carpctl/decode.h"

namespace carpd {
namespace {

GroupConfig group(const char* name, std::uint8_t vhid, const std::vector<const char*>& addresses) {
    GroupConfig group;
    group.name = name;
    group.interface = "eth0";
    group.vhid = Vhid{vhid};
    group.advskew = AdvSkew{100};
    group.key = {'s', '3', 'c', 'r', 'e', 't'};
    group.together = "set";
    for (const char* text : addresses) group.addresses.push_back({IpAddress::parse(text).value(), 24});
    return group;
}

void decode(Bytes file) {
    constexpr std::size_t kFewTries = 100;
    const GroupConfigs groups = share(
        {group("lan", 7, {"192.0.2.100", "192.0.2.101"}), group("dmz", 8, {"198.51.100.1", "2001:db8::1"})});
    DecodeText lines(true);
    bool is_ended = false;
    Decoder decoder(groups, {.tries = kFewTries}, [&](const nlohmann::ordered_json& json) {
        CARPD_ASSERT(!is_ended && !lines.line(json).empty());
        is_ended = json.at("event") == "summary";
    });
    decoder.decode(file);
    CARPD_ASSERT(is_ended);
}

}  // namespace
}  // namespace carpd

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    carpd::decode({data, size});
    return 0;
}
