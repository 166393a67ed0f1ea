// Writes state files (linux/state_file.h) in threads of their own, for one that must never wait for a disk:
// it may hang, and a file system is frozen while a virtual machine is backed up.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/expected.h"
#include "linux/sys_error.h"

namespace carpd {

class StateWriter {
 public:
    bool is_writing() const { return shared_ != nullptr; }
    // Begins to do what write_state() does; not while it is_writing().
    void begin(std::string path, std::string text);
    // What became of it, once, and it is no longer writing; nothing as long as that goes on.
    std::optional<Expected<bool, SysError>> result();
    // The same, however long that takes.
    Expected<bool, SysError> wait();

 private:
    struct Shared;
    std::shared_ptr<Shared> shared_;  // with the thread
};

}  // namespace carpd
