// What the supervisor tells `carpd: sync` when the configuration was read again: that process runs as a user
// who can't read the file, or the key's. One JSON object, in which every field must be there but
// `accept_key`:
//
//   {"message":"settings","name":"fw1","interface":"eth2","port":3781,"peers":["10.9.0.2"],"peer_routed":false,
//    "key":"00..1f","accept_key":"20..3f","dead_after_ns":1000000000,"commit_wait_ns":200000000,
//    "max_flows":1048576,"commit_at_takeover":false,"ignored":["192.0.2.0/24"],"protocols":[6],"zones":[0],
//    "tcp_states":[3],"defer":["eth0"],"defer_wait_ns":5000000,"virtual":["192.0.2.100"]}
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/config.h"

namespace carpd {

struct SyncSettings {
    SyncConfig config;
    std::vector<IpAddress> virtual_addresses;  // the groups', sorted
    bool operator==(const SyncSettings&) const = default;
};

// Of a configuration with [sync].
SyncSettings sync_settings(const Config& config);

std::string to_message(const SyncSettings& settings);
// Nothing if a field is missing or can't be what to_message() wrote.
std::optional<SyncSettings> read_sync_settings(const nlohmann::ordered_json& object);

}  // namespace carpd
