// A strict reader of OpenMetrics 1.0, as far as carpd writes it, for tests: what breaks a rule of the format
// is an exception that quotes the line.
#pragma once

#include <cmath>
#include <cstdlib>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>

namespace carpd::openmetrics {

using Labels = std::map<std::string, std::string>;

struct Metrics {
    std::map<std::string, std::string> families;  // their types
    std::map<std::string, std::map<Labels, double>> samples;

    double at(const std::string& name, const Labels& labels) const { return samples.at(name).at(labels); }
    // Of samples, also of those that there are none of now; of a histogram as a whole.
    std::set<std::string> names() const {
        std::set<std::string> names;
        for (const auto& [family, type] : families)
            names.insert(family + (type == "counter" ? "_total" : type == "info" ? "_info" : ""));
        return names;
    }
    // What may be asked for: of a histogram its three parts.
    std::set<std::string> sample_names() const {
        std::set<std::string> all = names();
        for (const auto& [family, type] : families) {
            if (type != "histogram") continue;
            all.erase(family);
            for (const char* part : {"_bucket", "_count", "_sum"}) all.insert(family + part);
        }
        return all;
    }
};

inline void require(bool holds, const std::string& what, const std::string& line) {
    if (!holds) throw std::runtime_error(what + ": " + line);
}

// The parts of a histogram: to each bound as many as to the one before, or more; to infinity all.
inline void check_histogram(const Metrics& metrics, const std::string& family) {
    require(metrics.samples.contains(family + "_bucket"), "no bucket", family);
    std::map<double, double> up_to;
    for (const auto& [labels, count] : metrics.samples.at(family + "_bucket")) {
        require(labels.size() == 1, "labels of a bucket", family);
        up_to[std::strtod(labels.at("le").c_str(), nullptr)] = count;
    }
    double before = 0;
    for (const auto& [bound, count] : up_to) {
        require(count >= before, "buckets that don't add up", family);
        before = count;
    }
    require(up_to.rbegin()->first == HUGE_VAL, "no bucket for all", family);
    require(metrics.at(family + "_count", {}) == before, "another count", family);
    require(metrics.at(family + "_sum", {}) >= 0, "a negative sum", family);
}

inline bool is_sample_of(const std::string& name, const std::string& family, const std::string& type) {
    if (type == "histogram")
        return name == family + "_bucket" || name == family + "_count" || name == family + "_sum";
    return name == family + (type == "counter" ? "_total" : type == "info" ? "_info" : "");
}

// "a="1",b="x\"y"" to the brace; `at` stands behind it then.
inline Labels read_labels(const std::string& line, std::size_t& at) {
    static const std::regex kName("[a-zA-Z_][a-zA-Z0-9_]*");
    Labels labels;
    for (;;) {
        const std::size_t equals = line.find("=\"", at);
        require(equals != std::string::npos, "no label", line);
        const std::string name = line.substr(at, equals - at);
        require(std::regex_match(name, kName), "a label's name", line);
        std::string value;
        for (at = equals + 2; at < line.size() && line[at] != '"'; ++at) {
            if (line[at] == '\\') {
                const char escaped = at + 1 < line.size() ? line[++at] : '\0';
                require(escaped == '\\' || escaped == '"' || escaped == 'n', "an escape", line);
                value += escaped == 'n' ? '\n' : escaped;
            } else {
                value += line[at];
            }
        }
        require(at < line.size(), "an open string", line);
        require(labels.emplace(name, value).second, "a label twice", line);
        if (line[++at] == '}') break;
        require(line[at++] == ',', "no comma", line);
    }
    ++at;
    return labels;
}

inline Metrics read(const std::string& text) {
    static const std::regex kMetadata("# (TYPE|UNIT|HELP) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)");
    static const std::regex kNumber("[+-]?([0-9]+(\\.[0-9]*)?([eE][+-]?[0-9]+)?|Inf|NaN)");
    require(text.ends_with("# EOF\n"), "no end", text.substr(text.size() < 20 ? 0 : text.size() - 20));
    Metrics metrics;
    std::string family, seen;  // the last family, and the kinds of lines that it had
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line == "# EOF") {
            require(lines.peek() == EOF, "more after the end", line);
            break;
        }
        if (std::smatch parts; std::regex_match(line, parts, kMetadata)) {
            const std::string kind = parts[1], name = parts[2];
            if (kind == "TYPE") {
                const std::string type = parts[3];
                require(type == "gauge" || type == "counter" || type == "info" || type == "histogram",
                        "a type", line);
                require(metrics.families.emplace(name, type).second, "a family twice", line);
                require(!name.ends_with("_total") && !name.ends_with("_info"), "a reserved end", line);
                family = name;
                seen = "T";
            } else {
                require(name == family, "metadata of another family", line);
                require(seen == "T" || (seen == "TU" && kind == "HELP"), "metadata out of order", line);
                seen += kind[0];
                if (kind == "UNIT")
                    require(name.ends_with("_" + std::string(parts[3])), "a unit that isn't in the name",
                            line);
            }
            continue;
        }
        require(!line.starts_with('#') && !family.empty() && seen.ends_with('H'), "not in a family", line);
        const std::string type = metrics.families.at(family);
        std::size_t at = line.find_first_of("{ ");
        require(at != std::string::npos, "no value", line);
        const std::string name = line.substr(0, at);
        require(is_sample_of(name, family, type), "a sample of another family", line);
        const Labels labels = line[at] == '{' ? read_labels(line, ++at) : Labels{};
        require(at < line.size() && line[at] == ' ', "no value", line);
        const std::string value = line.substr(at + 1);
        require(std::regex_match(value, kNumber), "no number", line);
        const double number = std::strtod(value.c_str(), nullptr);
        require(type != "counter" || number >= 0, "a negative counter", line);
        require(type != "info" || number == 1, "an info that isn't 1", line);
        require(metrics.samples[name].emplace(labels, number).second, "a sample twice", line);
    }
    for (const auto& [name, type] : metrics.families)
        if (type == "histogram") check_histogram(metrics, name);
    return metrics;
}

}  // namespace carpd::openmetrics
