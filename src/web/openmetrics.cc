#include "web/openmetrics.h"

#include <fmt/format.h>

namespace carpd {

namespace {

std::string_view to_string(MetricType type) {
    constexpr std::string_view kNames[] = {"gauge", "counter", "info", "histogram"};
    return kNames[static_cast<std::size_t>(type)];
}

std::string_view suffix_of(MetricType type) {
    constexpr std::string_view kSuffixes[] = {"", "_total", "_info", ""};
    return kSuffixes[static_cast<std::size_t>(type)];
}

std::string_view unit_of(std::string_view name) {
    for (const std::string_view unit : {"seconds", "bytes", "ratio"})
        if (name.ends_with(unit) && name.size() > unit.size()) return unit;
    return {};
}

// As Prometheus itself writes it, so that "1.0" of one program is "1.0" of all.
std::string bound_text(double bound) {
    const std::string text = fmt::format("{}", bound);
    return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
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
    line("", common, labels(own), value);
}

void OpenMetrics::histogram(std::span<const double> bounds, std::span<const std::uint64_t> counts,
                            double sum) {
    std::uint64_t up_to = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        up_to += counts[i];
        const std::string bound = i < bounds.size() ? bound_text(bounds[i]) : "+Inf";
        line("_bucket", {}, labels({{"le", bound}}), static_cast<double>(up_to));
    }
    line("_count", {}, {}, static_cast<double>(up_to));
    line("_sum", {}, {}, sum);
}

void OpenMetrics::line(std::string_view suffix, std::string_view common, std::string_view own, double value) {
    const bool is_any = !common.empty() || !own.empty();
    fmt::format_to(std::back_inserter(text_), "{}{}{}{}{}{}{} {}\n", name_, suffix, is_any ? "{" : "", common,
                   !common.empty() && !own.empty() ? "," : "", own, is_any ? "}" : "", value);
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
