// A client that makes one TCP connection after the other: a request, an answer, the end.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "lab/lab.h"
#include "lab/loop.h"
#include "linux/socket_address.h"

namespace carpd::lab {

class ShortConnections {
 public:
    // To a TrafficServer, a new one every `interval`.
    ShortConnections(Host& client, const std::string& server, Span interval);

    struct Outcome {
        int made = 0;
        int answered = 0;
        int failed = 0;     // refused, reset, or a wrong answer
        int open = 0;       // neither
        Span slowest = 0s;  // of those that were answered
        std::string text() const;
    };
    // Makes no more; waits until none is open or `patience` is over.
    Outcome finish(Span patience);
    // By now.
    Outcome outcome() const;

 private:
    enum class Fate { open, answered, failed };
    struct Connection {
        UniqueFd socket;
        Time started, ended{};
        std::uint64_t word = 0;  // what was asked
        Fate fate = Fate::open;
    };

    void make_one();
    void ask(Connection& connection);
    void hear(Connection& connection);
    void end(Connection& connection, Fate fate);

    const SocketAddress server_;
    bool more_ = true;
    std::deque<Connection> connections_;
    Loop loop_;
};

}  // namespace carpd::lab
