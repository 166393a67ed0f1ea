#include "carpctl/parts.h"

#include <fmt/format.h>

#include <cctype>
#include <chrono>

#include "control/human.h"

namespace carpd {

namespace {

// How many columns of a terminal: UTF-8's continuation bytes take none.
std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string printable(std::string_view text) {
    std::string shown;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto at = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
        const bool has_two = at(i) == 0xc2 && i + 1 < text.size() && at(i + 1) < 0xa0;  // U+0080 to U+009F
        if (at(i) >= ' ' && at(i) != 0x7f && !has_two)
            shown += text[i];
        else
            shown += fmt::format("\\x{:02x}", has_two ? at(++i) : at(i));
    }
    return shown;
}

std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return static_cast<char>(std::toupper(static_cast<unsigned char>(c))); });
    return text;
}

std::string duration(const Json& ms) {
    constexpr double kLongest = 1e12;  // a Duration holds not every number that JSON does
    const std::chrono::duration<double, std::milli> exact(std::clamp(ms.get<double>(), 0.0, kLongest));
    return human_duration(std::chrono::duration_cast<Duration>(exact));
}

std::string text(const Json& object, const char* key) {
    return printable(object.at(key).get<std::string>());
}

std::string join(const Json& texts, std::string_view separator) {
    std::string joined;
    for (const Json& one : texts) {
        if (!joined.empty()) joined += separator;
        joined += printable(one.get<std::string>());
    }
    return joined;
}

int number(const Json& object, const char* key) {
    return integer<int>(object.at(key));
}

std::string percent(const Json& share) {
    return fmt::format("{:.1f} %", 100 * std::clamp(share.get<double>(), 0.0, 1.0));
}

const Json& balance_of(const Json& group) {
    static const Json kNone;
    const auto found = group.find("balance");
    return found != group.end() ? *found : kNone;
}

const Json& pools_of(const Json& status) {
    static const Json kNone = Json::array();
    const auto found = status.find("pools");
    return found != status.end() ? *found : kNone;
}

bool has_family(const Json& group, Family family) {
    const Json& addresses = group.at("addresses");
    return std::any_of(addresses.begin(), addresses.end(), [&](const Json& text) {
        const auto address = address_in(text.get<std::string>());
        return address && address->family() == family;
    });
}

std::optional<IpAddress> address_in(const std::string& text) {
    return IpAddress::parse(text.substr(0, text.find('/')));
}

std::uint64_t count(const Json& object, const char* key) {
    return integer<std::uint64_t>(object.at(key));
}

bool is_zero(const Json& count) {
    return integer<std::uint64_t>(count) == 0;
}

std::vector<std::size_t> column_widths(const std::vector<Row>& rows) {
    std::vector<std::size_t> widths(rows.front().size());
    for (const Row& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));
    return widths;
}

std::string pad(const std::string& text, std::size_t to) {
    const std::size_t now = width(text);
    return now < to ? text + std::string(to - now, ' ') : text;
}

std::vector<std::string> aligned(const std::vector<Row>& rows) {
    const auto widths = column_widths(rows);
    std::vector<std::string> lines;
    for (const Row& row : rows) {
        std::string& line = lines.emplace_back();
        for (std::size_t column = 0; column + 1 < row.size(); ++column)
            line += pad(row[column], widths[column]) + "  ";
        line += row.back();
    }
    return lines;
}

std::string refused_lines(const Json& dropped, std::string_view indent, const Paint& paint,
                          std::string_view (*explain)(std::string_view)) {
    std::vector<Row> rows;
    for (const auto& [reason, count] : dropped.items())
        if (!is_zero(count)) rows.push_back({reason, std::to_string(integer<std::uint64_t>(count))});
    if (rows.empty()) return {};
    const auto widths = column_widths(rows);
    std::string out;
    for (const Row& row : rows) {
        const std::string_view why = explain(row[0]);
        out += fmt::format("{}{}  {:>{}}", indent, paint.warning(pad(row[0], widths[0])), row[1], widths[1]);
        out += why.empty() ? "\n" : fmt::format("  {}\n", why);
    }
    return out;
}

void Details::add(std::string_view label, const std::string& value) {
    text_ += fmt::format("  {} {}\n", paint_.dim(pad(std::string(label), 12)), value);
}

}  // namespace carpd
