#include "control/object_text.h"

#include <gtest/gtest.h>

namespace carpd {
namespace {

// What a tree of the same values says.
void expect_same(const Json& value) {
    EXPECT_EQ(ObjectText().add("key", value).text(), "{\"key\":" + dump(value) + "}");
}

TEST(ObjectText, SaysWhatATreeOfValuesSays) {
    for (const Json& value : {Json(nullptr), Json(true), Json(false), Json(-7), Json(18446744073709551615u),
                              Json(1000.0), Json(3.90625), Json(""), Json("lan"), Json::array(),
                              Json::object(), Json{1, "a\"b"}, Json{{"a", nullptr}, {"b", 2}}})
        expect_same(value);
}

TEST(ObjectText, EscapesTexts) {
    for (const char* text : {"a\"b", "a\\b", "a\nb", "\x01", "\x7f", "Küche", "\xff no UTF-8"}) {
        expect_same(text);
        EXPECT_EQ(ObjectText().add("key", text).text(), ObjectText().add("key", Json(text)).text());
    }
}

TEST(ObjectText, KeepsTheOrder) {
    EXPECT_EQ(ObjectText().text(), "{}");
    EXPECT_EQ(ObjectText()
                  .add("z", std::uint8_t{65})
                  .add("a", true)
                  .add("inside", ObjectText().add("text", std::string("x")).add("none", ObjectText()))
                  .add("fraction", 1000.0)
                  .text(),
              R"({"z":65,"a":true,"inside":{"text":"x","none":{}},"fraction":1000.0})");
}

}  // namespace
}  // namespace carpd
