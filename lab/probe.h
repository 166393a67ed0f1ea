// What the network's users notice: a client that sends small UDP requests to an address all the time, hosts
// that answer them with their own number, and the arithmetic of outages.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "lab/clock.h"
#include "linux/unique_fd.h"

namespace carpd::lab {

class Host;
class Namespace;

// Answers requests on every address of a host, from the address they were sent to. Owned by its Host.
class Responder {
 public:
    static constexpr std::uint16_t kPort = 7007;  // UDP

    Responder(const Namespace& space, std::uint8_t number);
    ~Responder();

 private:
    UniqueFd stop_;
    std::thread thread_;
};

struct Request {
    static constexpr std::uint8_t kNobody = 255;
    Time sent;
    Time answered{};
    std::uint8_t by = kNobody;  // the number of the host that answered
    bool twice = false;         // two hosts answered

    // An answer later than this helps no client.
    static constexpr Span kPatience = 100ms;
    bool ok() const { return by != kNobody && answered - sent <= kPatience; }
};

// Those sent in [from, until), of requests in the order in which they were sent.
std::vector<Request> requests_between(const std::vector<Request>& requests, Time from, Time until);

// What happened to the requests of some period.
struct Outage {
    int sent = 0, lost = 0;
    // Between the last answered request before the longest gap and the first answered after it; zero if none
    // was lost.
    Span duration{0};
    Time ended{};      // when the first answer after the gap came
    bool over = true;  // requests at the end of the period are answered
    // Who answered, in order; "0 1" for a clean hand-over, "0 1 0 1" if two hosts owned the address at a
    // time.
    std::vector<std::uint8_t> answered_by;
    bool two_answers = false;
};

Outage outage_of(const std::vector<Request>& requests);

// A client's stream of requests to one address, by a thread of its own, until it is destroyed.
class Probe {
 public:
    Probe(Host& client, const std::string& address, Span interval);
    ~Probe();

    // The requests sent in [from, until), by now.
    std::vector<Request> requests(Time from, Time until = Time::max()) const;
    // The outage around an event at `from`. Requests too young to have an answer yet are left out.
    Outage outage(Time from) const { return outage_of(requests(from, Clock::now() - Request::kPatience)); }
    // Waits until `host` (or, without one, any host) answers a request sent after now; returns whether it
    // did.
    bool wait_answer(const Host* host, Span patience) const;

 private:
    void work(Span interval);
    void receive();

    UniqueFd socket_;
    std::string destination_;  // bytes of a sockaddr
    std::atomic<bool> stop_ = false;
    mutable std::mutex mutex_;
    std::vector<Request> requests_;
    std::thread thread_;
};

}  // namespace carpd::lab
