// A server on a host of a pool, which tells its clients who it is. Both families.
#pragma once

#include <cstdint>
#include <map>

#include "lab/lab.h"
#include "lab/loop.h"

namespace carpd::lab {

class WebServer {
 public:
    // TCP. A request is a word below 2^48, the answer that and the host's number above; a connection lasts
    // until the client closes it.
    static constexpr std::uint16_t kPort = 80;
    static constexpr int kNumberShift = 48;

    explicit WebServer(Host& host);
    // Its connections end without a word, as when a host loses its power.
    ~WebServer();

    // Those that are open.
    int connections() const;

 private:
    void accept_one();
    void answer(int socket);

    const std::uint8_t number_;
    UniqueFd listener_;
    std::map<int, UniqueFd> connections_;
    Loop loop_;
};

}  // namespace carpd::lab
