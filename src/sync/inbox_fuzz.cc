// Any bytes as what a peer sends over several streams: a byte that says which datagram comes (0: a new
// stream; 255: the owner is complete), the length of its records, these. Its changes are always such as a
// kernel can follow, and memory is bounded.
#include <algorithm>
#include <map>
#include <vector>

#include "base/assert.h"
#include "sync/inbox.h"

namespace {

using Buffer = std::vector<std::uint8_t>;

constexpr std::uint32_t kMaxSlots = 3000;

Buffer copy(carpd::Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

void follow(const carpd::Change& change, std::map<Buffer, Buffer>& kernel) {
    using Kind = carpd::Change::Kind;
    if (!change.gone.empty()) CARPD_ASSERT(kernel.erase(copy(change.gone)) == 1);
    if (change.kind == Kind::erase) CARPD_ASSERT(!change.gone.empty());
    if (change.kind == Kind::update) CARPD_ASSERT(kernel.contains(copy(change.identity)));
    if (change.kind == Kind::update || change.kind == Kind::upsert)
        kernel[copy(change.identity)] = copy(change.state);
}

std::size_t check(const carpd::FlowTable& table, const std::map<Buffer, Buffer>& kernel) {
    for (carpd::Slot slot = 0; slot < table.end(); ++slot) {
        if (!table.holds(slot)) continue;
        const auto flow = kernel.find(copy(table.identity(slot)));
        CARPD_ASSERT(flow != kernel.end() && flow->second == copy(table.state(slot)));
        CARPD_ASSERT(table.find(flow->first) == slot);
    }
    return table.size();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    carpd::Inbox inbox(kMaxSlots, {1, 2});
    std::map<Buffer, Buffer> kernel;
    for (carpd::Bytes rest(data, size); rest.size() >= 2;) {
        const std::uint8_t packet = rest[0], length = rest[1];
        rest = rest.subspan(2);
        carpd::Bytes records = rest.first(std::min<std::size_t>(length, rest.size()));
        rest = rest.subspan(records.size());
        if (packet == 0) {
            inbox.restart();
        } else if (packet == 255) {
            while (const auto change = inbox.next_leftover()) follow(*change, kernel);
        } else {
            while (const auto record = carpd::take_record(records))
                follow(inbox.apply(packet, *record), kernel);
        }
    }
    std::size_t flows = check(inbox.table(), kernel);
    if (inbox.previous()) flows += check(*inbox.previous(), kernel);
    CARPD_ASSERT(flows == kernel.size());
    CARPD_ASSERT(inbox.memory() < 1u << 20);
    return 0;
}
