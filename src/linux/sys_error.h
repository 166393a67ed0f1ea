// What the operating system refused, in words.
#pragma once

#include <string>

namespace carpd {

struct SysError {
    std::string operation;  // "cannot <operation>", e.g. "open a packet socket"
    std::string object;     // what it was about, e.g. an interface's name; may be empty
    int error = 0;          // errno; 0 where the operation says it all

    // "cannot open a packet socket: Operation not permitted", "cannot add the address 192.0.2.1 on eth0: ..."
    std::string to_string() const;
};

}  // namespace carpd
