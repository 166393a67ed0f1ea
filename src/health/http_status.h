// The first line of an HTTP answer.
#pragma once

#include <cstddef>
#include <string_view>

namespace carpd {

struct HttpStatus {
    enum class Kind { incomplete, not_http, answer } kind;
    int code = 0;  // of an answer: 100 to 599
};

// More than any server needs: "HTTP/1.1 200 OK" and a reason of its own.
inline constexpr std::size_t kMaxStatusLine = 256;  // bytes

// `text` is what has come so far, at most kMaxStatusLine bytes; `ended`: nothing more will. The code decides,
// so that a line of kMaxStatusLine bytes needn't end.
HttpStatus parse_http_status(std::string_view text, bool ended);

}  // namespace carpd
