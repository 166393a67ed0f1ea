// Any line is a request or a refusal, and a request reads back as itself.
#include "control/request.h"
#include "control/sync_request.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace carpd;
    const auto request = parse_sync_request({reinterpret_cast<const char*>(data), size});
    if (!request) {
        CARPD_ASSERT(error_line(request.error()).find('\n') == std::string::npos);
        return 0;
    }
    const auto again = parse_sync_request(to_line(*request));
    CARPD_ASSERT(again && *again == *request);
    return 0;
}
