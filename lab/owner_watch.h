// Who owns an address, seen from outside: every millisecond a client asks the whole LAN for it (ARP, or a
// neighbour solicitation) and puts a request for it before every host, whatever the switch has learned; what
// each host answers is recorded at its own switch port. Two hosts that answer the same question both own the
// address, unless it shows a hand-over: a question is several frames, sent one after the other, and the
// address may have moved between them.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/addresses.h"
#include "base/bytes.h"
#include "lab/clock.h"
#include "linux/unique_fd.h"

namespace carpd::lab {

class Host;

class OwnerWatch {
 public:
    static constexpr Span kInterval = 1ms;

    // `hosts` answer requests (Host::serve()); `address` may be IPv4 or IPv6. Watches until it is destroyed.
    OwnerWatch(Host& client, const std::vector<Host*>& hosts, const std::string& address);
    ~OwnerWatch();
    OwnerWatch(const OwnerWatch&) = delete;
    OwnerWatch& operator=(const OwnerWatch&) = delete;

    // `host` got another eth0 (Host::attach) since.
    void follow(Host& host);

    struct Verdict {
        int asked = 0;
        int unanswered = 0;  // questions that no host answered
        int two_owners = 0;  // questions that show two owners: milliseconds of dual ownership
        std::vector<std::uint8_t>
            owners;  // the numbers of the hosts that answered, in order; "0 1" for a hand-over
        std::string text() const;
    };
    // What was answered to the questions asked in [from, until).
    Verdict verdict(Time from = {}, Time until = Time::max()) const;
    // Waits until `host` alone answers a question asked after now; returns whether it did.
    bool wait_owner(const Host& host, Span patience = 10s) const;

 private:
    struct Answer {
        std::uint8_t host;
        bool to_all;  // the frame that asked was one for all hosts
    };
    struct Question {
        Time asked;
        std::vector<Answer> answers;  // in order
        bool shows_two_owners() const;
    };

    void work();
    void ask();
    void ask_for_mac(std::uint32_t number);
    void request(std::uint64_t number, const MacAddress& to);
    void listen();
    void heard(std::uint8_t host, Bytes frame);
    void answered(std::uint64_t number, Answer answer);

    const IpAddress address_;
    IpAddress client_address_;
    MacAddress client_mac_;
    std::vector<MacAddress> host_macs_;
    std::map<int, std::uint8_t> host_of_port_;  // by the switch port's ifindex
    UniqueFd sender_, sink_, ports_;
    std::atomic<bool> stop_ = false;
    mutable std::mutex mutex_;
    std::vector<Question> questions_;
    std::thread thread_;
};

}  // namespace carpd::lab
