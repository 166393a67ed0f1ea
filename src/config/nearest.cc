#include "config/nearest.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

namespace carpd {

namespace {

constexpr std::size_t kLongestWord = 64;  // longer than any we know, and a bound on the work below

// Letters to change, add, remove or swap with their neighbour (optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
            const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped) cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
        }
    }
    return cost[a.size()][b.size()];
}

// Abbreviations: "iface", "addr", "pass".
bool abbreviates(std::string_view word, std::string_view full) {
    if (word.size() < 3 || word[0] != full[0]) return false;
    std::size_t found = 0;
    for (char c : full)
        if (found < word.size() && word[found] == c) ++found;
    return found == word.size();
}

std::string lower(std::string_view text) {
    std::string result(text);
    for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return result;
}

}  // namespace

std::string_view nearest(std::string_view text, std::span<const std::string_view> known) {
    if (text.empty() || text.size() > kLongestWord) return {};
    const std::string word = lower(text);
    std::string_view best;
    std::size_t best_distance = kLongestWord;
    for (std::string_view candidate : known) {
        const std::size_t distance = edit_distance(word, candidate);
        const std::size_t tolerated = std::max<std::size_t>(1, std::max(word.size(), candidate.size()) / 3);
        const bool resembles = distance <= tolerated || abbreviates(word, candidate);
        if (!resembles || distance >= best_distance) continue;
        best = candidate;
        best_distance = distance;
    }
    return best;
}

}  // namespace carpd
