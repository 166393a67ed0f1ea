#include "bench/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace carpd::bench {

namespace {

std::string text_of(const nlohmann::json& value, int decimals) {
    if (value.is_null()) return "-";
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "NO";
    if (value.is_string()) return value.get<std::string>();
    return fmt::format("{:.{}f}", value.get<double>(), decimals);
}

void print_cell(const std::string& text, const Column& column) {
    if (column.width < 0)
        fmt::print("{:<{}}  ", text, -column.width);
    else
        fmt::print("{:>{}}  ", text, column.width);
}

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
    for (const Column& column : columns_) print_cell(column.header, column);
    fmt::print("\n");
}

void Table::add(nlohmann::json::array_t row) {
    nlohmann::json object;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        print_cell(text_of(row.at(i), columns_[i].decimals), columns_[i]);
        object[columns_[i].key] = std::move(row[i]);
    }
    fmt::print("\n");
    std::fflush(stdout);
    rows_.push_back(std::move(object));
}

Goals::Goals()
    : table_((fmt::print("\n"), std::vector<Column>{{"goal", "goal", -58},
                                                    {"figure", "figure", 12, 3},
                                                    {"must_be", "must be", -8},
                                                    {"limit", "", 10, 2},
                                                    {"reached", "reached", 7}})) {}

void Goals::at_most(const std::string& goal, double figure, double limit) {
    table_.add({goal, figure, "at most", limit, figure <= limit});
}

void Goals::at_least(const std::string& goal, double figure, double limit) {
    table_.add({goal, figure, "at least", limit, figure >= limit});
}

double median(std::vector<double> figures) {
    std::sort(figures.begin(), figures.end());
    const std::size_t half = figures.size() / 2;
    return figures.size() % 2 != 0 ? figures.at(half) : (figures.at(half - 1) + figures.at(half)) / 2;
}

}  // namespace carpd::bench
