// The status page: files of src/web/page, as they are served.
#pragma once

#include <span>
#include <string_view>

namespace carpd {

struct PageFile {
    std::string_view path;  // a pattern of one
    std::string_view type;
    std::string_view content;
};
std::span<const PageFile> page_files();

}  // namespace carpd
