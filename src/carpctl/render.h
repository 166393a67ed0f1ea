// carpd's JSON as text for an administrator. Pure: what comes out depends on the arguments alone. Throws
// nlohmann::json::exception where the JSON isn't what the contract says.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace carpd {

// Colours, or none.
class Paint {
 public:
    explicit Paint(bool coloured) : coloured_(coloured) {}

    std::string state(std::string_view state,
                      std::string_view text) const;  // `text` in the colour of "master" etc.
    std::string warning(std::string_view text) const { return wrap("33", text); }
    std::string bold(std::string_view text) const { return wrap("1", text); }
    std::string dim(std::string_view text) const { return wrap("2", text); }

 private:
    std::string wrap(std::string_view code, std::string_view text) const;
    bool coloured_;
};

// A table with a line per group, and below it what needs attention.
std::string render_overview(const nlohmann::ordered_json& status, const Paint& paint);
// Everything about one element of the status's groups.
std::string render_group(const nlohmann::ordered_json& group, const Paint& paint);
// A monitor's line, without a newline.
std::string render_change(const nlohmann::ordered_json& change, const Paint& paint);

}  // namespace carpd
