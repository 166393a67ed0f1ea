// What was on the wire, as a capture file that `carpctl decode`, tcpdump and Wireshark read.
#pragma once

#include <fstream>
#include <string>

#include "sim/packet.h"
#include "wire/capture_file.h"

namespace carpd::sim {

class CaptureWriter {
 public:
    // `ok()` is false if the file could not be written.
    explicit CaptureWriter(const std::string& path);
    // An Ethernet frame with the source MAC of rule W6.
    void write(Moment at, const Packet& packet);
    bool ok() const { return file_.good(); }

 private:
    void put(const CaptureBlock& block);
    std::ofstream file_;
};

}  // namespace carpd::sim
