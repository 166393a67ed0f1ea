#include "bench/receive.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <thread>

#include "bench/table.h"
#include "lab/carpd.h"
#include "lab/error.h"
#include "lab/injector.h"
#include "lab/lab.h"
#include "wire/neighbor.h"

namespace carpd::bench {

namespace {

using namespace std::chrono_literals;

constexpr int kRates[] = {10'000, 20'000, 50'000, 100'000, 150'000, 200'000, 300'000, 400'000, 600'000};
constexpr int kBeat = 1000;  // bursts a second
constexpr const char* kGroup =
    "[[group]]\nname = \"lan\"\ninterface = \"eth0\"\nvhid = 1\n"
    "addresses = [\"192.0.2.100/24\"]\npassword = \"s3cret\"\nadvskew = 200\n";

// Sends one and the same frame, as often as it is told.
class Flood {
 public:
    explicit Flood(lab::Host& host) : socket_(host.space().socket(AF_PACKET, SOCK_RAW, 0)) {
        lab::Forgery forgery;
        forgery.addresses = {"192.0.2.100"};
        forgery.password = "s3cret";
        forgery.source = "192.0.2.1";
        frame_ = multicast_frame(host.mac(), forgery.packet());
        to_.sll_family = AF_PACKET;
        host.space().inside([&] { to_.sll_ifindex = static_cast<int>(if_nametoindex("eth0")); });
    }

    // For a second. Returns how many were sent.
    int send(int rate) {
        int sent = 0;
        auto next = lab::Clock::now();
        for (int burst = 0; burst < kBeat; ++burst) {
            for (int i = 0; i < rate / kBeat; ++i)
                sent += sendto(socket_.get(), frame_.bytes().data(), frame_.bytes().size(), 0,
                               reinterpret_cast<const sockaddr*>(&to_), sizeof to_) > 0;
            std::this_thread::sleep_until(next += 1s / kBeat);
        }
        return sent;
    }

 private:
    UniqueFd socket_;
    Frame frame_;
    sockaddr_ll to_{};
};

std::uint64_t received(const lab::Carpd& carpd) {
    return carpd.group("lan").at("counters").at("advertisements_received_ipv4").get<std::uint64_t>();
}

}  // namespace

nlohmann::json receive() {
    lab::Lab lab;
    lab::Host &master = lab.add_host("master", {"192.0.2.1/24"}),
              &backup = lab.add_host("backup", {"192.0.2.2/24"});
    const lab::Carpd carpd(backup, kGroup);
    Flood flood(master);
    Table table({{"rate_per_s", "adverts/s wanted", 16},
                 {"sent_per_s", "sent/s", 9},
                 {"received", "verified", 9},
                 {"lost", "lost", 7}});
    for (const int rate : kRates) {
        const std::uint64_t before = received(carpd);
        const auto start = lab::Clock::now();
        const int sent = flood.send(rate);
        const double seconds = lab::to_seconds(lab::Clock::now() - start);
        const auto heard = static_cast<std::int64_t>(received(carpd) - before);
        table.add({rate, sent / seconds, heard, sent - heard});
        const bool is_faster_than_the_sender = sent / seconds < 0.9 * rate;
        if (heard < sent || is_faster_than_the_sender) break;
    }
    if (carpd.state("lan") == "master") lab::fail("the group took over from the master that it heard");
    return table.rows();
}

}  // namespace carpd::bench
