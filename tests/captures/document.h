// The hex examples of a document, for the tests: lines indented by four spaces with a name, two spaces or
// more and hexadecimal digits; lines indented by more go on.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "tests/captures/captures.h"

namespace carpd::captures {

inline std::string document(const std::string& name) {
    std::ifstream file(std::string(CARPD_SOURCE_DIR "/docs/protocol/") + name);
    EXPECT_TRUE(file) << name;
    return {std::istreambuf_iterator<char>(file), {}};
}

inline std::vector<std::uint8_t> example(const std::string& text, const std::string& name) {
    const std::string begin = "\n    " + name + "  ";
    std::size_t at = text.find(begin);
    EXPECT_NE(at, std::string::npos) << name;
    if (at == std::string::npos) return {};
    EXPECT_EQ(text.find(begin, at + 1), std::string::npos) << name << " stands there twice";
    at += begin.size();
    std::string digits;
    do {
        const std::size_t end = text.find('\n', at);
        digits += text.substr(at, end - at);
        at = end + 1;
    } while (text.compare(at, 8, "        ") == 0);
    return from_hex(digits);
}

}  // namespace carpd::captures
