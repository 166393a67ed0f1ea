// What was on the wire, as a capture file that tcpdump and Wireshark read.
#pragma once

#include <fstream>
#include <string>

#include "sim/packet.h"

namespace carpd::sim {

class PcapWriter {
 public:
    // `ok()` is false if the file could not be written.
    explicit PcapWriter(const std::string& path);
    // An Ethernet frame with the source MAC of rule W6.
    void write(Moment at, const Packet& packet);
    bool ok() const { return file_.good(); }

 private:
    void u32(std::uint32_t value);
    std::ofstream file_;
};

}  // namespace carpd::sim
