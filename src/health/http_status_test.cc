#include "health/http_status.h"

#include <gtest/gtest.h>

#include <string>

namespace carpd {
namespace {

using Kind = HttpStatus::Kind;

Kind kind(std::string_view text, bool ended = false) {
    return parse_http_status(text, ended).kind;
}

TEST(HttpStatus, IsTheCodeOfTheFirstLine) {
    EXPECT_EQ(parse_http_status("HTTP/1.1 200 OK\r\n", false).code, 200);
    EXPECT_EQ(parse_http_status("HTTP/1.0 503 Service Unavailable\r\nServer: x\r\n", false).code, 503);
    EXPECT_EQ(parse_http_status("HTTP/1.1 204\r\n", true).code, 204);
    EXPECT_EQ(parse_http_status("HTTP/1.1 301\n", false).code, 301);
    EXPECT_EQ(parse_http_status("HTTP/1.1 200 " + std::string(kMaxStatusLine - 13, 'x'), false).code, 200);
}

TEST(HttpStatus, EveryBeginningIsIncomplete) {
    const std::string line = "HTTP/1.1 200 OK\r\n";
    for (std::size_t size = 0; size < line.size(); ++size) {
        EXPECT_EQ(kind(line.substr(0, size)), Kind::incomplete) << size;
        EXPECT_EQ(kind(line.substr(0, size), true), Kind::not_http) << size;
    }
    EXPECT_EQ(kind(line), Kind::answer);
}

TEST(HttpStatus, EverythingElseIsNotHttp) {
    for (const char* text :
         {"SSH-2.0-OpenSSH", "HTTP/2.0 200 OK\r\n", "HTTP/1.1  200\r\n", "HTTP/1.1 2000\r\n",
          "HTTP/1.1 099 \r\n", "HTTP/1.1 600 \r\n", "\r\n", "http/1.1 200 OK\r\n", "HTTP/1.1 2x0 OK\r\n"})
        EXPECT_EQ(kind(text), Kind::not_http) << text;
}

}  // namespace
}  // namespace carpd
