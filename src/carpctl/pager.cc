#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "carpctl/commands.h"

namespace carpd {

namespace {

bool fits_screen(const std::string& text) {
    winsize size{};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0) return true;
    return std::count(text.begin(), text.end(), '\n') < size.ws_row;
}

// Whether somebody has seen it.
bool page(const std::string& text) {
    const char* const chosen = std::getenv("PAGER");
    const std::string pager = chosen != nullptr ? chosen : "less";
    if (pager.empty() || pager == "cat") return false;
    setenv("LESS", "FRX", 0);       // no more than one screen is just printed, colours pass
    std::signal(SIGPIPE, SIG_IGN);  // who has seen enough leaves before the end
    std::fflush(stdout);
    std::FILE* const pipe = popen(pager.c_str(), "w");
    if (pipe == nullptr) return false;
    std::fwrite(text.data(), 1, text.size(), pipe);
    const int status = pclose(pipe);
    constexpr int kNoSuchProgram = 127;
    return !(WIFEXITED(status) && WEXITSTATUS(status) == kNoSuchProgram);
}

}  // namespace

void print_paged(const Options& options, const std::string& text) {
    const bool is_to_page = !options.no_pager && isatty(STDOUT_FILENO) == 1 && !fits_screen(text);
    if (!is_to_page || !page(text)) std::fwrite(text.data(), 1, text.size(), stdout);
}

}  // namespace carpd
