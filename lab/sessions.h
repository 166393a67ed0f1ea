// Clients with long-lived sessions that say little, as people at a shell do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lab/crowd.h"
#include "lab/loop.h"
#include "lab/probe.h"
#include "linux/socket_address.h"

namespace carpd::lab {

enum class SessionKind {
    tcp,
    udp,
    ping,  // each with an ICMP id of its own; the server's kernel answers
};

class Sessions {
 public:
    // Opens `count` sessions to a TrafficServer and returns when each was answered once; throws if that
    // doesn't happen within seconds. From then on each says something every `period`.
    Sessions(Host& client, const std::string& server, SessionKind kind, int count, Span period = 2s);

    // One of each of a crowd's, by TCP, to the WebServers that share an address.
    Sessions(const Crowd& crowd, const std::string& server, Span period = 2s);

    int count() const { return static_cast<int>(sessions_.size()); }
    // Those that have waited for an answer for longer than a person likes (Request::kPatience), or were
    // closed.
    int waiting() const;
    // Each says something now; how many were answered, as soon as all were or `patience` is over.
    int survivors(Span patience);
    // The server that answered each last.
    std::vector<std::uint8_t> servers() const;
    // How many have heard the server's call (TrafficServer::call()), as soon as all have or `patience` is
    // over.
    int called(std::uint64_t number, Span patience) const;
    // What was said in [from, until), and whether it was answered.
    std::vector<Request> requests(Time from, Time until = Time::max()) const;

 private:
    struct Session {
        UniqueFd socket;
        std::uint64_t said = 0, heard = 0;  // numbers of requests, plus 1
        std::uint64_t called = 0;
        std::uint8_t by = Request::kNobody;
        Time waits_since{};    // while what it said last isn't answered
        std::string unread{};  // the beginning of a word
        bool open = true;
    };

    void begin(Host& client, Span period);
    UniqueFd open_one(std::size_t number) const;
    void say(Session& session);
    void hear(Session& session);
    void understand(Session& session, std::uint64_t word);

    const SocketAddress server_;
    const SessionKind kind_;
    const Crowd* crowd_ = nullptr;
    std::vector<Session> sessions_;
    std::size_t next_ = 0;  // who speaks
    std::vector<Request> requests_;
    Loop loop_;
};

}  // namespace carpd::lab
