// What an operator demoted for longer than the daemon lives (`carpctl drain --persist`): a file with a demote
// request in each line. The engine reads it when it starts, also after another one's death, and writes it
// before it does what it was told.
#pragma once

#include <string>
#include <vector>

#include "base/expected.h"
#include "control/request.h"

namespace carpd {

class KeptDemotions {
 public:
    // Of a file that can't be read or understood only one thing is known: somebody wanted this host to stay
    // away. So it counts as drained, which is what `complaint` says then; otherwise that is empty.
    KeptDemotions() = default;  // none, and no file
    static KeptDemotions open(std::string path, std::string& complaint);

    // These were said now of groups or interface groups, by name and amount; where `keep`, they are kept,
    // otherwise no longer. The error is a sentence, and nothing has changed.
    Expected<bool, std::string> update(const std::vector<Request>& said, bool keep);

    // Exactly these from now on. The same of an error.
    Expected<bool, std::string> replace(std::vector<Request> next);

    const std::vector<Request>& all() const { return all_; }
    const std::string& path() const { return path_; }

 private:
    explicit KeptDemotions(std::string path) : path_(std::move(path)) {}

    std::string path_;
    std::vector<Request> all_;
    bool is_damaged_ = false;  // the file isn't what all_ is
};

}  // namespace carpd
