#include "linux/sys_error.h"

#include <cstring>

namespace carpd {

std::string SysError::to_string() const {
    std::string text = "cannot " + operation;
    if (!object.empty()) text += " " + object;
    if (error != 0) text += std::string(": ") + std::strerror(error);
    return text;
}

}  // namespace carpd
