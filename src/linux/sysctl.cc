#include "linux/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <charconv>

#include "linux/unique_fd.h"

namespace carpd {

namespace {

UniqueFd open_setting(const std::string& name, int flags) {
    return UniqueFd(open(("/proc/sys/net/" + name).c_str(), flags | O_CLOEXEC));
}

}  // namespace

std::optional<int> read_sysctl(const std::string& name) {
    const UniqueFd file = open_setting(name, O_RDONLY);
    char text[16];
    const ssize_t size = file ? read(file.get(), text, sizeof text) : -1;
    int value;
    if (size <= 0 || std::from_chars(text, text + size, value).ec != std::errc()) return std::nullopt;
    return value;
}

bool write_sysctl(const std::string& name, int value) {
    const UniqueFd file = open_setting(name, O_WRONLY);
    const std::string text = std::to_string(value);
    return file && write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string ipv4_setting(const std::string& interface, const char* name) {
    return "ipv4/conf/" + interface + "/" + name;
}

std::string ipv6_setting(const std::string& interface, const char* name) {
    return "ipv6/conf/" + interface + "/" + name;
}

}  // namespace carpd
