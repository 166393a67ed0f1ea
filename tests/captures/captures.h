// Reads vectors.txt and frames.txt for the tests. A file that can't be read fails the test that asks for it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/addresses.h"
#include "base/bytes.h"

namespace carpd::captures {

// Hexadecimal digits with any space between them.
inline std::vector<std::uint8_t> from_hex(const std::string& text) {
    std::string digits;
    for (char c : text)
        if (!std::isspace(static_cast<unsigned char>(c))) digits += c;
    std::vector<std::uint8_t> bytes;
    for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
        bytes.push_back(static_cast<std::uint8_t>(std::stoul(digits.substr(i, 2), nullptr, 16)));
    return bytes;
}

struct Vector {
    std::string id, password;
    std::uint8_t vhid = 0, advskew = 0, advbase = 0, demote = 0;
    std::uint64_t counter = 0;
    std::vector<IpAddress> addresses;   // as listed, out of order
    std::vector<std::uint8_t> message;  // what is hashed
    std::vector<std::uint8_t> header;   // 36 bytes; empty where the vector is only about the digest
    std::vector<std::uint8_t> digest;   // 20 bytes

    std::array<std::uint8_t, 20> key() const {
        std::array<std::uint8_t, 20> padded{};
        std::copy(password.begin(), password.end(), padded.begin());
        return padded;
    }
    std::vector<InterfaceAddress> interface_addresses() const {
        std::vector<InterfaceAddress> result;
        for (const IpAddress& a : addresses) result.push_back({a, a.bit_count()});
        return result;
    }
};

inline void read_field(Vector& vector, const std::string& key, const std::string& value) {
    auto number = [&value] { return static_cast<std::uint8_t>(std::stoul(value)); };
    if (key == "password")
        vector.password = value;
    else if (key == "vhid")
        vector.vhid = number();
    else if (key == "advskew")
        vector.advskew = number();
    else if (key == "advbase")
        vector.advbase = number();
    else if (key == "demote")
        vector.demote = number();
    else if (key == "counter")
        vector.counter = std::stoull(value, nullptr, 16);
    else if (key == "message")
        vector.message = from_hex(value);
    else if (key == "digest")
        vector.digest = from_hex(value);
    else if (key == "header") {
        vector.header = from_hex(value);
        vector.digest.assign(vector.header.begin() + 16, vector.header.end());
    } else if (key == "addresses") {
        std::istringstream words(value);
        for (std::string word; words >> word;) vector.addresses.push_back(IpAddress::parse(word).value());
    } else {
        ADD_FAILURE() << "vectors.txt: unknown field " << key;
    }
}

// Calls visit(first word, rest of the line) for each line that is neither empty nor a comment.
template <class Visit>
void for_each_line(const std::string& file, Visit visit) {
    std::ifstream in(std::string(CARPD_SOURCE_DIR "/tests/captures/") + file);
    ASSERT_TRUE(in) << "cannot read tests/captures/" << file;
    for (std::string line; std::getline(in, line);) {
        if (line.empty() || line[0] == '#') continue;
        const std::size_t space = std::min(line.find(' '), line.size());
        visit(line.substr(0, space), line.substr(std::min(space + 1, line.size())));
    }
}

inline std::vector<Vector> vectors() {
    std::vector<Vector> all;
    for_each_line("vectors.txt", [&](const std::string& key, const std::string& value) {
        if (key == "id")
            all.emplace_back().id = value;
        else
            read_field(all.back(), key, value);
    });
    EXPECT_EQ(all.size(), 11u);
    return all;
}

inline Vector vector(const std::string& id) {
    for (const Vector& v : vectors())
        if (v.id == id) return v;
    ADD_FAILURE() << "no vector " << id;
    return {};
}

// The whole frame, beginning with its Ethernet header.
inline std::vector<std::uint8_t> frame(const std::string& name) {
    std::map<std::string, std::string> hex;
    std::string current;
    for_each_line("frames.txt", [&](const std::string& key, const std::string& value) {
        if (key == "frame")
            current = value;
        else
            hex[current] += key + value;
    });
    EXPECT_TRUE(hex.count(name)) << "no frame " << name;
    return from_hex(hex[name]);
}

}  // namespace carpd::captures
