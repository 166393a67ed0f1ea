// A host that looks for peers and many strangers, under any sequence of inputs: what strangers say, who hears
// what this host says, what is lost, comes late, damaged or again, and which time passes. No datagram gives a
// place twice, there are never more peers than there may be, and in the end a stranger is found.
#include <algorithm>
#include <set>

#include "sync/finder.h"
#include "sync/test_channels.h"

namespace carpd {
namespace {

using namespace test_channels;
using std::chrono::milliseconds;

constexpr std::size_t kStrangers = 12, kPlaces = 7, kMaxInputs = 400, kMaxHeld = 32;

class Fuzz {
 public:
    explicit Fuzz(Bytes bytes) : bytes_(bytes) {
        for (std::size_t i = 0; i < kStrangers; ++i) start(i);
        config_.channel = config_of("fw");
        config_.finds_peers = true;
        config_.max_flows = 16;
        host_.emplace(now_, config_, kKeys, 0, fill_);
        finder_.emplace(now_, config_.channel, kKeys, fill_, kPlaces);
    }

    void run() {
        for (std::size_t inputs = 0; !bytes_.empty() && inputs < kMaxInputs; ++inputs) {
            input();
            CARPD_ASSERT(host_->peers() <= kPlaces &&
                         finder_->counters().found >= finder_->counters().forgotten);
        }
        pass(std::chrono::hours(1));
        CARPD_ASSERT(host_->peers() == 0);
        const std::uint64_t found = finder_->counters().found;
        for (int i = 0; i < 4; ++i) {
            pass(milliseconds(200));
            hear_said(0);
            give(hello_of(*strangers_[0], now_));
        }
        CARPD_ASSERT(finder_->counters().found > found);
    }

 private:
    static constexpr SyncKeys kKeys{};

    std::uint8_t byte() {
        if (bytes_.empty()) return 0;
        const std::uint8_t value = bytes_[0];
        bytes_ = bytes_.subspan(1);
        return value;
    }
    // Some have one name, one has ours, one another key.
    void start(std::size_t i) {
        const std::string name = i == 10 ? "fw" : "fw" + std::to_string(i % 9);
        const SyncKeys keys = i == 11 ? SyncKeys{key_of(1), {}} : kKeys;
        strangers_[i] = std::make_unique<Channel>(now_, config_of(name), keys, fill_);
    }
    void input() {
        const std::uint8_t choice = byte();
        const std::size_t i = byte() % kStrangers;
        switch (choice % 8) {
            case 0: pass(milliseconds(byte())); break;
            case 1: pass(std::chrono::seconds(byte())); break;
            case 2: give(hold(hello_of(*strangers_[i], now_))); break;
            case 3: hear_said(i); break;
            case 4: start(i); break;
            case 5: hold(hello_of(*strangers_[i], now_)); break;
            case 6:
                if (!held_.empty()) give(held_[byte() % held_.size()]);
                break;
            case 7:
                if (!held_.empty()) give(damaged(held_[byte() % held_.size()]));
                break;
        }
    }
    Buffer damaged(Buffer datagram) {
        datagram[byte() % datagram.size()] ^= byte();
        datagram.resize(datagram.size() - std::min<std::size_t>(byte() & 15, datagram.size()));
        return datagram;
    }
    const Buffer& hold(Buffer datagram) {
        if (held_.size() == kMaxHeld) held_.erase(held_.begin());
        return held_.emplace_back(std::move(datagram));
    }
    void give(const Buffer& datagram) {
        Buffer bytes = datagram;
        const PeerFinder::Heard heard = finder_->hear(now_, bytes, *host_);
        if (heard.verdict == PeerFinder::Verdict::found)
            CARPD_ASSERT(heard.peer < host_->peers() && gave_place_.insert(datagram).second);
        say();
    }
    void hear_said(std::size_t i) {
        Buffer bytes = said_;
        (void)strangers_[i]->receive(now_, bytes);
    }
    void say() {
        Buffer out(kLongestHelloDatagram);
        out.resize(finder_->transmit(now_, *host_, {}, out));
        if (!out.empty()) said_ = out;
        out.resize(SyncHost::kLeastDatagram);
        for (std::size_t peer = 0; peer < host_->peers(); ++peer)
            while (host_->poll_transmit(now_, peer, {}, out) > 0) continue;
    }
    void pass(Duration time) {
        now_ += time;
        host_->on_timer(now_);
        while (finder_->forget(now_, *host_)) continue;
        say();
    }

    Bytes bytes_;
    Instant now_{std::chrono::hours(1)};
    Random random_{1};
    Channel::FillRandom fill_ = [this](std::span<std::uint8_t> out) {
        for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(random_.next());
    };
    SyncHostConfig config_;
    std::optional<SyncHost> host_;
    std::optional<PeerFinder> finder_;
    std::array<std::unique_ptr<Channel>, kStrangers> strangers_;
    Buffer said_;
    std::vector<Buffer> held_;
    std::set<Buffer> gave_place_;
};

}  // namespace
}  // namespace carpd

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    carpd::Fuzz({data, size}).run();
    return 0;
}
