// What 500 clients of three servers that share their work notice when one of them fails, or is drained.
#pragma once

#include <optional>
#include <string>

namespace carpd::bench {

struct PoolKill {
    double takeover_ms = 0;   // until the first advertisement of the server that took over
    double outage_ms = 0;     // until the last question by UDP that one of its clients asked in vain
    int asked = 0, lost = 0;  // of the others' clients, by UDP and TCP
    int clients = 0,
        moved = 0;  // of the others: how many, and how many were served by another one afterwards
};

struct PoolDrain {
    int asked = 0, lost = 0;      // by UDP and TCP, of all clients
    int sessions = 0, ended = 0;  // connections that were there before
    double drained_ms = 0;        // until the last question that it answered
};

// The server at home advertises every 1/256 s, and the next one takes over after 3 * 2/256 s of silence.
// Nothing if the machine was too busy for that: a carpnode changed to whose server nothing happened.
std::optional<PoolKill> kill_one(const std::string& hash);
std::optional<PoolDrain> drain_one(const std::string& hash);

}  // namespace carpd::bench
