#include "linux/memory_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace carpd {

Expected<UniqueFd, SysError> make_memory_file(std::string_view text) {
    UniqueFd file(memfd_create("carpd", MFD_CLOEXEC));
    while (file && !text.empty()) {
        const ssize_t written = write(file.get(), text.data(), text.size());
        if (written <= 0) return Unexpected{SysError{"write to memory", "", errno}};
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    if (!file) return Unexpected{SysError{"make a file in memory", "", errno}};
    return file;
}

Expected<std::string, SysError> read_memory_file(int fd, std::size_t most) {
    struct stat status {};
    if (fstat(fd, &status) != 0) return Unexpected{SysError{"read from memory", "", errno}};
    if (static_cast<std::size_t>(status.st_size) > most)
        return Unexpected{SysError{"read from memory", "", EFBIG}};
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t count = pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
        if (count <= 0) return Unexpected{SysError{"read from memory", "", count < 0 ? errno : EIO}};
        done += static_cast<std::size_t>(count);
    }
    return text;
}

}  // namespace carpd
