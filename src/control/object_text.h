// A JSON object that is written key by key, for what is told of thousands of groups: trees of values
// (control/json.h) take three times as long.
#pragma once

#include <fmt/format.h>

#include <concepts>
#include <iterator>
#include <string>
#include <string_view>

#include "control/json.h"

namespace carpd {

// JSON that was written already.
struct JsonText {
    std::string text;
};

class ObjectText {
 public:
    // Keys are our own and need no escaping; each is to be added once. A text that isn't UTF-8 is shown as
    // dump() shows it.
    template <class Value>
    ObjectText& add(std::string_view key, const Value& value) {
        text_ += text_.empty() ? "{\"" : ",\"";
        text_ += key;
        text_ += "\":";
        put(value);
        return *this;
    }
    std::string text() const { return text_.empty() ? "{}" : text_ + "}"; }

 private:
    void put(bool value) { text_ += value ? "true" : "false"; }
    template <std::integral Number>
    void put(Number value) {
        fmt::format_to(std::back_inserter(text_), "{}", value);
    }
    void put(double value) { text_ += dump(value); }
    void put(std::string_view value);
    void put(const std::string& value) { put(std::string_view(value)); }
    void put(const char* value) { put(std::string_view(value)); }
    void put(const Json& value);
    void put(const JsonText& value) { text_ += value.text; }
    void put(const ObjectText& value) { text_ += value.text(); }

    std::string text_;
};

}  // namespace carpd
