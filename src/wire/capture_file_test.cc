#include "wire/capture_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "wire/link_frame.h"

namespace carpd {
namespace {

using testing::ElementsAreArray;

// Writes a file by hand, in either byte order.
class File {
 public:
    explicit File(bool little) : little_(little) {}

    File& number(std::uint64_t value, int bytes) {
        for (int i = 0; i < bytes; ++i)
            bytes_.push_back(static_cast<std::uint8_t>(value >> 8 * (little_ ? i : bytes - 1 - i)));
        return *this;
    }
    File& u16(std::uint64_t value) { return number(value, 2); }
    File& u32(std::uint64_t value) { return number(value, 4); }
    File& u64(std::uint64_t value) { return number(value, 8); }
    File& text(std::string_view text) {
        bytes_.insert(bytes_.end(), text.begin(), text.end());
        return *this;
    }
    File& padded(std::string_view value) {
        text(value);
        while (bytes_.size() % 4 != 0) bytes_.push_back(0);
        return *this;
    }
    File& block(std::uint32_t type, const File& body) {
        u32(type).u32(body.bytes_.size() + 12);
        bytes_.insert(bytes_.end(), body.bytes_.begin(), body.bytes_.end());
        return u32(body.bytes_.size() + 12);
    }
    File& section() { return block(0x0a0d0d0a, File(little_).u32(0x1a2b3c4d).u16(1).u16(0).u64(~0ull)); }
    File& interface(std::uint16_t link = 1, const File& options = File(true)) {
        File body(little_);
        body.u16(link).u16(0).u32(65535);
        body.bytes_.insert(body.bytes_.end(), options.bytes_.begin(), options.bytes_.end());
        return block(1, body);
    }
    File& packet(std::uint32_t interface, std::uint64_t time, std::string_view data, std::size_t length) {
        return block(6, File(little_)
                            .u32(interface)
                            .u32(time >> 32)
                            .u32(time & 0xffffffff)
                            .u32(data.size())
                            .u32(length)
                            .padded(data));
    }
    File& pcap(std::uint32_t magic, std::uint32_t link) {
        return u32(magic).u16(2).u16(4).u32(0).u32(0).u32(65535).u32(link);
    }
    File& append(const File& other) {
        bytes_.insert(bytes_.end(), other.bytes_.begin(), other.bytes_.end());
        return *this;
    }

    const std::vector<std::uint8_t>& bytes() const { return bytes_; }
    Bytes first(std::size_t size) const { return Bytes(bytes_).first(size); }

 private:
    bool little_;
    std::vector<std::uint8_t> bytes_;
};

std::string text_of(Bytes bytes) {
    return {bytes.begin(), bytes.end()};
}

std::optional<CaptureFault> fault_of(Bytes file) {
    CaptureReader reader(file);
    while (reader.next()) {
    }
    return reader.fault();
}

class CaptureInEitherOrder : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Order, CaptureInEitherOrder, testing::Bool());

TEST_P(CaptureInEitherOrder, ReadsPcapInMicrosecondsAndNanoseconds) {
    for (const bool is_fine : {false, true}) {
        File file(GetParam());
        file.pcap(is_fine ? 0xa1b23c4d : 0xa1b2c3d4, 0xf0000001)
            .u32(1700000000)
            .u32(123456)
            .u32(5)
            .u32(9)
            .text("hello");
        CaptureReader reader(file.bytes());
        const auto frame = reader.next();
        ASSERT_TRUE(frame);
        EXPECT_EQ(frame->link, LinkType::ethernet);
        EXPECT_EQ(frame->time, 1700000000'000000000 + (is_fine ? 123456 : 123456000));
        EXPECT_EQ(text_of(frame->bytes), "hello");
        EXPECT_TRUE(frame->is_cut());
        EXPECT_EQ(frame->interface, "");
        EXPECT_FALSE(reader.next());
        EXPECT_FALSE(reader.fault());
    }
}

TEST_P(CaptureInEitherOrder, ReadsPcapngWithNamesAndDirections) {
    const bool little = GetParam();
    File name(little), packet(little);
    name.u16(2).u16(4).text("eth0").u32(0);
    packet.u32(1).u32(0).u32(7).u32(3).u32(3).padded("abc").u16(2).u16(4).u32(0xfffffffe).u32(0);
    File file(little);
    file.section().interface(276).interface(1, name).block(6, packet);
    CaptureReader reader(file.bytes());
    const auto frame = reader.next();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->interface, "eth0");
    EXPECT_EQ(frame->link, LinkType::ethernet);
    EXPECT_EQ(frame->direction, FrameDirection::out);
    EXPECT_EQ(frame->time, 7000);
    EXPECT_EQ(text_of(frame->bytes), "abc");
    EXPECT_FALSE(frame->is_cut());
}

TEST_P(CaptureInEitherOrder, EachSectionHasItsOrderAndItsInterfaces) {
    File file(GetParam()), other(!GetParam());
    file.section().interface(1).packet(0, 1, "one", 3);
    file.append(other.section().interface(113).packet(0, 2, "two", 3));
    CaptureReader reader(file.bytes());
    EXPECT_EQ(text_of(reader.next()->bytes), "one");
    const auto second = reader.next();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->link, LinkType::linux_cooked);
    EXPECT_EQ(second->time, 2000);
    File stale(GetParam());
    stale.section().interface().section().packet(0, 1, "x", 1);
    EXPECT_EQ(fault_of(stale.bytes()), CaptureFault::unknown_interface);
}

TEST_P(CaptureInEitherOrder, KnowsEveryResolutionAndOffset) {
    struct Case {
        std::uint8_t resolution;
        std::int64_t offset;
        std::uint64_t units;
        std::int64_t expected;
    };
    const std::int64_t second = 1'000'000'000;
    for (const Case& c :
         {Case{9, 0, 1'500'000'000, 1'500'000'000}, Case{0, 0, 3, 3 * second},
          Case{3, 10, 1500, 11 * second + 500'000'000}, Case{12, -1, 2'000'000'001'000, second + 1},
          Case{19, 0, 10'000'000'000'000'000'000u, second}, Case{20, 5, 1, 5 * second},
          Case{0x80, 0, 4, 4 * second}, Case{0x80 | 10, 0, 1536, 1'500'000'000},
          Case{0x80 | 40, 0, (1ull << 40) * 3 / 2, 1'500'000'000},
          Case{0x80 | 63, 0, 3ull << 62, 1'500'000'000}, Case{0x80 | 64, 7, ~0ull, 7 * second}}) {
        SCOPED_TRACE(int{c.resolution});
        File options(GetParam()), file(GetParam());
        options.u16(9)
            .u16(1)
            .number(c.resolution, 1)
            .number(0, 3)
            .u16(14)
            .u16(8)
            .u64(static_cast<std::uint64_t>(c.offset));
        file.section().interface(1, options).packet(0, c.units, "x", 1);
        CaptureReader reader(file.bytes());
        const auto frame = reader.next();
        ASSERT_TRUE(frame);
        EXPECT_EQ(frame->time, c.expected);
    }
}

TEST_P(CaptureInEitherOrder, ATimeThatNoClockShowsIsTheNearest) {
    for (const std::int64_t offset :
         {std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
        File options(GetParam()), file(GetParam());
        options.u16(9).u16(1).u32(0).u16(14).u16(8).u64(static_cast<std::uint64_t>(offset));
        file.section().interface(1, options).packet(0, ~0ull, "x", 1);
        CaptureReader reader(file.bytes());
        EXPECT_TRUE(reader.next()->time);
    }
}

TEST_P(CaptureInEitherOrder, SimplePacketsAreOfTheFirstInterfaceAndHaveNoTime) {
    File file(GetParam());
    file.section().interface(101).block(3, File(GetParam()).u32(5).padded("hello"));
    CaptureReader reader(file.bytes());
    const auto frame = reader.next();
    ASSERT_TRUE(frame);
    EXPECT_EQ(text_of(frame->bytes), "hello");
    EXPECT_EQ(frame->link, LinkType::raw);
    EXPECT_FALSE(frame->time);
}

TEST_P(CaptureInEitherOrder, PassesOverOtherBlocks) {
    File file(GetParam());
    file.section().block(0xbad, File(GetParam()).padded("whatever")).interface().packet(0, 1, "x", 1);
    CaptureReader reader(file.bytes());
    EXPECT_TRUE(reader.next());
}

TEST_P(CaptureInEitherOrder, AFileThatEndsTooEarlyIsReadUpToThere) {
    File pcapng(GetParam()), pcap(GetParam());
    pcapng.section().interface().packet(0, 1, "one", 3);
    pcap.pcap(0xa1b2c3d4, 1).u32(1).u32(0).u32(3).u32(3).text("one");
    const std::size_t whole = pcapng.bytes().size(), record = pcap.bytes().size();
    pcapng.packet(0, 1, "two", 3);
    pcap.u32(1).u32(0).u32(3).u32(3).text("two");
    for (std::size_t size = whole + 1; size < pcapng.bytes().size(); ++size) {
        CaptureReader reader(pcapng.first(size));
        EXPECT_TRUE(reader.next());
        EXPECT_FALSE(reader.next());
        EXPECT_EQ(reader.fault(), CaptureFault::cut_short);
    }
    for (std::size_t size = record + 1; size < pcap.bytes().size(); ++size) {
        CaptureReader reader(pcap.first(size));
        EXPECT_TRUE(reader.next());
        EXPECT_FALSE(reader.next());
        EXPECT_EQ(reader.fault(), CaptureFault::cut_short);
    }
}

TEST_P(CaptureInEitherOrder, NamesWhatIsWrong) {
    const bool little = GetParam();
    EXPECT_EQ(fault_of(File(little).u32(0x12345678).bytes()), CaptureFault::no_capture);
    EXPECT_EQ(fault_of(File(little).text("#!/").bytes()), CaptureFault::no_capture);
    EXPECT_EQ(fault_of(Bytes()), CaptureFault::no_capture);
    EXPECT_EQ(fault_of(File(little).u32(0xa1b2c3d4).u16(1).u16(4).u64(0).u64(0).bytes()),
              CaptureFault::bad_version);
    EXPECT_EQ(
        fault_of(File(little).block(0x0a0d0d0a, File(little).u32(0x1a2b3c4d).u16(2).u16(0).u64(0)).bytes()),
        CaptureFault::bad_version);
    EXPECT_EQ(fault_of(File(little).section().packet(0, 1, "x", 1).bytes()), CaptureFault::unknown_interface);
    EXPECT_EQ(fault_of(File(little).section().interface().packet(1, 1, "x", 1).bytes()),
              CaptureFault::unknown_interface);
    File many(little);
    many.section();
    for (std::size_t i = 0; i <= CaptureReader::kMaxInterfaces; ++i) many.interface();
    EXPECT_EQ(fault_of(many.bytes()), CaptureFault::too_many_interfaces);
    // A block's length that isn't said twice, one too small, and a packet longer than its block.
    EXPECT_EQ(fault_of(File(little).section().u32(9).u32(12).u32(16).bytes()), CaptureFault::bad_block);
    EXPECT_EQ(fault_of(File(little).section().u32(9).u32(8).u32(8).bytes()), CaptureFault::bad_block);
    EXPECT_EQ(fault_of(File(little)
                           .section()
                           .interface()
                           .block(6, File(little).u32(0).u32(0).u32(0).u32(8).u32(8).text("abcd"))
                           .bytes()),
              CaptureFault::bad_block);
    // An option longer than its block.
    EXPECT_EQ(fault_of(File(little).section().interface(1, File(little).u16(2).u16(9).text("eth0")).bytes()),
              CaptureFault::bad_block);
}

TEST(CaptureBlock, IsReadAsItWasWritten) {
    std::vector<std::uint8_t> file;
    const auto add = [&file](const CaptureBlock& block) {
        file.insert(file.end(), block.bytes().begin(), block.bytes().end());
    };
    const std::vector<std::uint8_t> frame = {1, 2, 3, 4, 5}, jumbo(9000, 7);
    add(CaptureBlock::section());
    add(CaptureBlock::interface("eth0", LinkType::linux_cooked2));
    add(CaptureBlock::interface("a-longest-name0", LinkType::ethernet));
    add(CaptureBlock::packet(0, 1700000000'123456789, FrameDirection::out, frame));
    add(CaptureBlock::packet(1, 5, FrameDirection::in, jumbo));
    CaptureReader reader(file);
    const auto first = reader.next();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->interface, "eth0");
    EXPECT_EQ(first->link, LinkType::linux_cooked2);
    EXPECT_EQ(first->time, 1700000000'123456789);
    EXPECT_EQ(first->direction, FrameDirection::out);
    EXPECT_THAT(first->bytes, ElementsAreArray(frame));
    const auto second = reader.next();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->interface, "a-longest-name0");
    EXPECT_EQ(second->direction, FrameDirection::in);
    EXPECT_EQ(second->bytes.size(), CaptureBlock::kSnapLength);
    EXPECT_EQ(second->length, 9000u);
    EXPECT_FALSE(reader.next());
    EXPECT_FALSE(reader.fault());
}

}  // namespace
}  // namespace carpd
