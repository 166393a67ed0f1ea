// Metrics as text, in the exposition format of OpenMetrics 1.0. Pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace carpd {

enum class MetricType : std::uint8_t { gauge, counter, info, histogram };

class OpenMetrics {
 public:
    static constexpr std::string_view kContentType =
        "application/openmetrics-text; version=1.0.0; charset=utf-8";

    using Label = std::pair<std::string_view, std::string_view>;

    // All samples until the next family are of this one. Names come without _total and _info, which are
    // added; a name that ends with _seconds, _bytes or _ratio has that unit.
    void family(std::string_view name, MetricType type, std::string_view help);
    // Of the last family, each set of labels once. Values of labels may have any bytes.
    void sample(std::initializer_list<Label> labels, double value);
    // The same with labels() that many samples have in common before them.
    void sample(std::string_view common, std::initializer_list<Label> labels, double value);
    static std::string labels(std::initializer_list<Label> labels);
    // Of the last family, a histogram without labels: how many values were at most each bound (and more than
    // the one before), at last how many were more than all, and their sum.
    void histogram(std::span<const double> bounds, std::span<const std::uint64_t> counts, double sum);

    // The end; nothing may follow.
    std::string finish() &&;

 private:
    void line(std::string_view suffix, std::string_view common, std::string_view own, double value);

    std::string text_, name_;
};

}  // namespace carpd
