// Capture files as tcpdump and Wireshark have them: pcap and pcapng, both byte orders, in; pcapng out.
// Without allocation: what comes out of a reader points into the file's bytes.
//
// Who calls it: carpctl's `decode` and `capture`; the simulator writes its captures by it. The bytes are a
// stranger's, so a damaged file is an error and nothing else; what stands before the damage is read.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace carpd {

// What the frames of a capture begin with, by the numbers of the files.
enum class LinkType : std::uint16_t {
    ethernet = 1,
    raw = 101,  // with the IP header
    linux_cooked = 113,
    raw_ipv4 = 228,
    raw_ipv6 = 229,
    linux_cooked2 = 276,
};

// The file says in which direction it went; most don't.
enum class FrameDirection : std::uint8_t { unknown, in, out };

struct CapturedFrame {
    std::string_view interface;  // its name; empty where the file has none. Any bytes.
    LinkType link{};             // any number
    FrameDirection direction{};
    std::optional<std::int64_t> time;  // nanoseconds since 1970
    Bytes bytes;                       // what was captured of it
    std::uint32_t length = 0;          // as it was on the wire
    bool is_cut() const { return bytes.size() < length; }
};

enum class CaptureFault : std::uint8_t {
    no_capture,           // it begins like neither pcap nor pcapng
    cut_short,            // it ends in the middle of a packet
    bad_version,          // pcapng of a version that isn't 1, or pcap's that isn't 2
    bad_block,            // lengths that contradict each other
    too_many_interfaces,  // in one section, more than kMaxInterfaces
    unknown_interface,    // a packet of an interface that wasn't described
};

class CaptureReader {
 public:
    static constexpr std::size_t kMaxInterfaces = 4096;

    // `file` stays the caller's, and must stay as long as anything of it is used.
    explicit CaptureReader(Bytes file);

    // The next frame; nothing at the end, or where fault() says why no more can be read.
    std::optional<CapturedFrame> next();
    const std::optional<CaptureFault>& fault() const { return fault_; }

 private:
    struct Interface {
        LinkType link{};
        std::uint8_t resolution =
            6;                    // 10 to the minus that seconds; with the highest bit set: 2 to the minus
        std::int64_t offset = 0;  // seconds to add
        std::uint32_t snap_length = 0;
        std::string_view name;
    };

    std::uint16_t u16(Bytes bytes, std::size_t offset) const;
    std::uint32_t u32(Bytes bytes, std::size_t offset) const;
    std::uint64_t u64(Bytes bytes, std::size_t offset) const;
    std::nullopt_t fail(CaptureFault fault);
    void begin_pcap(std::uint32_t magic);
    std::optional<CapturedFrame> next_record();
    std::optional<CapturedFrame> next_in_blocks();
    std::optional<Bytes> next_block(std::uint32_t& type);
    std::optional<CaptureFault> begin_section();
    std::optional<CaptureFault> add_interface(Bytes body);
    std::optional<CapturedFrame> enhanced_packet(Bytes body);
    std::optional<CapturedFrame> simple_packet(Bytes body);
    bool each_option(Bytes options, auto visit) const;

    Bytes rest_;
    bool is_pcapng_ = false, is_little_ = false;
    std::array<Interface, kMaxInterfaces> interfaces_;  // of pcap: one
    std::size_t interface_count_ = 0;
    std::optional<CaptureFault> fault_;
};

// A piece of a pcapng file. One file is a section, descriptions of the interfaces, in their order from 0, and
// packets of interfaces that were described before.
class CaptureBlock {
 public:
    static constexpr std::size_t kSnapLength = 4096;  // longer frames are cut

    static CaptureBlock section();
    // A name may be empty; one longer than an interface's (15 bytes) is cut.
    static CaptureBlock interface(std::string_view name, LinkType link);
    // `time`: nanoseconds since 1970, not before.
    static CaptureBlock packet(std::uint32_t interface, std::int64_t time, FrameDirection direction,
                               Bytes frame);

    Bytes bytes() const { return Bytes(storage_).first(size_); }

 private:
    void u16(std::uint16_t value);
    void u32(std::uint32_t value);
    void put(Bytes bytes);  // padded to whole words
    CaptureBlock& finish();

    std::array<std::uint8_t, kSnapLength + 64> storage_;
    std::size_t size_ = 0;
};

}  // namespace carpd
