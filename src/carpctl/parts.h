// What carpctl's texts are made of (carpctl/render.h, carpctl/render_sync.h). Throws
// nlohmann::json::exception where the JSON isn't what is asked for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/addresses.h"
#include "carpctl/render.h"

namespace carpd {

using Json = nlohmann::ordered_json;

// ---- values

// Without anything a terminal would act on: control characters become \xNN. `text` is UTF-8.
std::string printable(std::string_view text);

std::string upper(std::string text);
std::string duration(const Json& ms);
// For people: printable().
std::string text(const Json& object, const char* key);
std::string join(const Json& texts, std::string_view separator);

// nlohmann casts a fraction to T whether T holds it or not.
template <class T>
T integer(const Json& value) {
    if (!value.is_number_float()) return value.get<T>();
    return static_cast<T>(std::clamp(value.get<double>(), std::is_signed_v<T> ? -1e9 : 0.0, 1e9));
}
int number(const Json& object, const char* key);
std::string percent(const Json& share);  // "33.3 %"
// What a group is in its pool; null where it is in none, or of a carpd that knew none.
const Json& balance_of(const Json& group);
// Of a status; an empty list of a carpd that knew none.
const Json& pools_of(const Json& status);
// Of a group, whether it has shared addresses of that family.
bool has_family(const Json& group, Family family);
// "192.0.2.100/24", or without a prefix; nothing of what is no address.
std::optional<IpAddress> address_in(const std::string& text);
std::uint64_t count(const Json& object, const char* key);
bool is_zero(const Json& count);

// ---- tables

using Row = std::vector<std::string>;

std::vector<std::size_t> column_widths(const std::vector<Row>& rows);
// Filled up to a width in columns of a terminal.
std::string pad(const std::string& text, std::size_t to);
// A line for each row; all rows are of one length.
std::vector<std::string> aligned(const std::vector<Row>& rows);

// A line for each reason that isn't 0, with what `explain` says of it.
std::string refused_lines(const Json& dropped, std::string_view indent, const Paint& paint,
                          std::string_view (*explain)(std::string_view));

// Lines with a label each.
class Details {
 public:
    explicit Details(const Paint& paint) : paint_(paint) {}
    void add(std::string_view label, const std::string& value);
    std::string take() { return std::move(text_); }

 private:
    const Paint& paint_;
    std::string text_;
};

}  // namespace carpd
