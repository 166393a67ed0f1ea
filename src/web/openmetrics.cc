#include "web/openmetrics.h"

#include <fmt/format.h>

namespace carpd {

namespace {

std::string_view to_string(MetricType type) {
    constexpr std::string_view kNames[] = {"gauge", "counter", "info"};
    return kNames[static_cast<std::size_t>(type)];
}

std::string_view suffix_of(MetricType type) {
    constexpr std::string_view kSuffixes[] = {"", "_total", "_info"};
    return kSuffixes[static_cast<std::size_t>(type)];
}

std::string_view unit_of(std::string_view name) {
    for (const std::string_view unit : {"seconds", "ratio"})
        if (name.ends_with(unit) && name.size() > unit.size()) return unit;
    return {};
}

std::string escaped(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '\\' || c == '"') result += '\\';
        if (c == '\n')
            result += "\\n";
        else
            result += c;
    }
    return result;
}

}  // namespace

void OpenMetrics::family(std::string_view name, MetricType type, std::string_view help) {
    text_ += fmt::format("# TYPE {} {}\n", name, to_string(type));
    if (const std::string_view unit = unit_of(name); !unit.empty())
        text_ += fmt::format("# UNIT {} {}\n", name, unit);
    text_ += fmt::format("# HELP {} {}\n", name, escaped(help));
    name_ = fmt::format("{}{}", name, suffix_of(type));
}

void OpenMetrics::sample(std::initializer_list<Label> labels, double value) {
    sample({}, labels, value);
}

void OpenMetrics::sample(std::string_view common, std::initializer_list<Label> own, double value) {
    const std::string more = labels(own);
    const bool is_any = !common.empty() || !more.empty();
    fmt::format_to(std::back_inserter(text_), "{}{}{}{}{}{} {}\n", name_, is_any ? "{" : "", common,
                   !common.empty() && !more.empty() ? "," : "", more, is_any ? "}" : "", value);
}

std::string OpenMetrics::labels(std::initializer_list<Label> labels) {
    std::string text;
    for (const auto& [name, value] : labels)
        text += fmt::format("{}{}=\"{}\"", text.empty() ? "" : ",", name, escaped(value));
    return text;
}

std::string OpenMetrics::finish() && {
    return std::move(text_) + "# EOF\n";
}

}  // namespace carpd
