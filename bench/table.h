// What a benchmark found: rows that are printed as they come, for people, and kept as JSON, for programs.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace carpd::bench {

struct Column {
    std::string key;     // in JSON; says the unit
    std::string header;  // for people
    int width;           // of text, whose column is to the left, less than 0
    int decimals = 0;
};

class Table {
 public:
    // Prints the headers.
    explicit Table(std::vector<Column> columns);
    // A value for each column: text, a number, or null where there is nothing to say.
    void add(nlohmann::json::array_t row);
    // An array of objects.
    const nlohmann::json& rows() const { return rows_; }

 private:
    std::vector<Column> columns_;
    nlohmann::json rows_ = nlohmann::json::array();
};

// What must be reached, beside what was.
class Goals {
 public:
    Goals();
    void at_most(const std::string& goal, double figure, double limit);
    void at_least(const std::string& goal, double figure, double limit);
    const nlohmann::json& rows() const { return table_.rows(); }

 private:
    Table table_;
};

// The middle one; of an even number, the mean of the two in the middle. At least one.
double median(std::vector<double> figures);

}  // namespace carpd::bench
