// A status of thousands of groups that is understood group by group: the tree of all at once takes twice as
// long to build.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace carpd {

class LongStatus {
 public:
    // carpd's answer, a line. Throws nlohmann::json::exception where it is no JSON.
    explicit LongStatus(std::string line);

    // All but the groups, of which there are none in it.
    const nlohmann::ordered_json& rest() const { return rest_; }
    std::size_t size() const { return groups_.size(); }
    // An element of "groups"; throws likewise.
    nlohmann::ordered_json group(std::size_t place) const;

 private:
    std::string line_;
    std::vector<std::pair<std::size_t, std::size_t>> groups_;  // where they begin and end in the line
    nlohmann::ordered_json rest_;
};

}  // namespace carpd
