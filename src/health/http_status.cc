#include "health/http_status.h"

#include <algorithm>

namespace carpd {

// HTTP/1.x CODE, then a blank or the end of the line (RFC 9112, 4).
HttpStatus parse_http_status(std::string_view text, bool ended) {
    constexpr std::string_view kPattern = "HTTP/1.d ddd";
    const auto is_digit = [](char c) { return '0' <= c && c <= '9'; };
    for (std::size_t i = 0; i < std::min(text.size(), kPattern.size()); ++i)
        if (kPattern[i] == 'd' ? !is_digit(text[i]) : text[i] != kPattern[i])
            return {HttpStatus::Kind::not_http};
    if (text.size() <= kPattern.size())
        return {ended ? HttpStatus::Kind::not_http : HttpStatus::Kind::incomplete};
    const char next = text[kPattern.size()];
    const int code = (text[9] - '0') * 100 + (text[10] - '0') * 10 + (text[11] - '0');
    if ((next != ' ' && next != '\r' && next != '\n') || code < 100 || code > 599)
        return {HttpStatus::Kind::not_http};
    const bool is_line = text.find('\n') != std::string_view::npos || text.size() >= kMaxStatusLine;
    if (!is_line) return {ended ? HttpStatus::Kind::not_http : HttpStatus::Kind::incomplete};
    return {HttpStatus::Kind::answer, code};
}

}  // namespace carpd
