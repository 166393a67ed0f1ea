#include "web/page.h"

#include <array>

// CARPD_PAGE is the folder.
#define EMBED(name, file)                             \
    asm(".pushsection .rodata\n"                      \
        ".global " #name ", " #name "_end\n" #name    \
        ":\n"                                         \
        ".incbin \"" CARPD_PAGE "/" file "\"\n" #name \
        "_end:\n"                                     \
        ".popsection\n");                             \
    extern "C" {                                      \
    extern const char name[], name##_end[];           \
    }

EMBED(carpd_page_html, "index.html")
EMBED(carpd_page_css, "page.css")
EMBED(carpd_page_js, "page.js")

namespace carpd {

namespace {

std::string_view between(const char* begin, const char* end) {
    return {begin, static_cast<std::size_t>(end - begin)};
}

}  // namespace

std::span<const PageFile> page_files() {
    static const std::array kFiles = {
        PageFile{"/", "text/html; charset=utf-8", between(carpd_page_html, carpd_page_html_end)},
        PageFile{"/page\\.css", "text/css; charset=utf-8", between(carpd_page_css, carpd_page_css_end)},
        PageFile{"/page\\.js", "text/javascript; charset=utf-8", between(carpd_page_js, carpd_page_js_end)}};
    return kFiles;
}

}  // namespace carpd
