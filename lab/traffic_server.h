// The server behind the firewalls, and what its clients need to know of it. Both families.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "base/bytes.h"
#include "lab/lab.h"
#include "lab/loop.h"

namespace carpd::lab {

// What is said in sessions is words, in the machine's order. Those of the server's own accord have kCall.
inline constexpr std::size_t kWord = 8;
inline constexpr std::uint64_t kCall = 1ull << 63;

// The bytes of a download, of which none is where another one could be without being noticed.
class Pattern {
 public:
    // The next bytes, as many as fit; they are taken as sent by advance().
    void fill(std::span<std::uint8_t> bytes) const;
    // Whether these are the next ones.
    bool matches(Bytes bytes) const;
    void advance(std::size_t size) { position_ += size; }
    std::uint64_t position() const { return position_; }

 private:
    std::uint64_t position_ = 0;
};

class TrafficServer {
 public:
    static constexpr std::uint16_t kSessions = 22;   // TCP and UDP: sends back each word
    static constexpr std::uint16_t kDownloads = 80;  // TCP: sends the pattern, without being asked or an end
    static constexpr std::uint64_t kBytesPerMs = 4096;

    explicit TrafficServer(Host& host);

    // Speaks first: says `number` to every open TCP connection and every UDP client of kSessions.
    void call(std::uint64_t number);
    // TCP connections of kSessions that are open.
    int connections() const;

 private:
    struct Connection {
        UniqueFd socket;
        std::string unread{};  // the beginning of a word
    };
    struct Transfer {
        UniqueFd socket;
        Time started;
        Pattern pattern{};
    };

    void accept_session();
    void accept_download();
    void answer(int socket);
    void answer_datagram();
    void send_due(Transfer& transfer);

    UniqueFd sessions_, downloads_, datagrams_;
    std::map<int, Connection> connections_;
    std::map<int, Transfer> transfers_;
    std::set<std::string> peers_;  // of datagrams_: bytes of a sockaddr
    Loop loop_;
};

}  // namespace carpd::lab
