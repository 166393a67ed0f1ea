// Why packets are refused, and datagrams of state synchronisation, in words for those who don't read protocol
// descriptions: for the log and for carpctl.
#pragma once

#include <string_view>

#include "wire/drop_reason.h"
#include "wire/sync_datagram.h"

namespace carpd {

// "password or address list differs from the sender's"
std::string_view explain_refusal(DropReason reason);
// The same by the reason's name in JSON; empty if there is no such reason (an older carpctl, a newer carpd).
std::string_view explain_refusal(std::string_view reason);

// "sealed with another key, forged or damaged"
std::string_view explain_refusal(SyncDrop reason);
// As above.
std::string_view explain_sync_refusal(std::string_view reason);

}  // namespace carpd
