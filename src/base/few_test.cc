#include "base/few.h"

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

namespace carpd {
namespace {

using Words = Few<std::string>;

const std::string kLong(100, 'x');  // longer than what a string keeps in itself

TEST(Few, TakesOnePointer) {
    static_assert(sizeof(Words) == sizeof(void*));
    const Words none;
    EXPECT_TRUE(none.empty());
    EXPECT_EQ(none.size(), 0u);
    EXPECT_EQ(none.begin(), none.end());
    EXPECT_EQ(none, Words(none));
}

TEST(Few, KeepsWhatIsAdded) {
    Words words;
    std::vector<std::string> same;
    for (const std::string& word : {std::string("a"), kLong, std::string("c")}) {
        words.push_back(word);
        same.push_back(word);
        EXPECT_TRUE(std::equal(words.begin(), words.end(), same.begin(), same.end()));
    }
    EXPECT_EQ(words, (Words{"a", kLong, "c"}));
    EXPECT_EQ(words.front(), "a");
    EXPECT_EQ(words[1], kLong);
    words.push_back(words[1]);
    EXPECT_EQ(words[3], kLong);
}

TEST(Few, CopiesAreApartAndMovedOnesEmpty) {
    Words words = {"a", kLong};
    Words copy = words;
    copy[0] = "b";
    EXPECT_EQ(words[0], "a");
    EXPECT_NE(words, copy);
    const Words moved = std::move(words);
    EXPECT_EQ(moved, (Words{"a", kLong}));
    EXPECT_TRUE(words.empty());  // NOLINT: that is what is asked
    copy = moved;
    EXPECT_EQ(copy, moved);
    copy.clear();
    EXPECT_TRUE(copy.empty());
}

TEST(Few, ErasesWhatIsUnwanted) {
    Words words = {"a", kLong, "c", "a"};
    const auto is_a = [](const std::string& word) { return word == "a"; };
    erase_if(words, is_a);
    EXPECT_EQ(words, (Words{kLong, "c"}));
    erase_if(words, is_a);
    EXPECT_EQ(words, (Words{kLong, "c"}));
    erase_if(words, [](const std::string&) { return true; });
    EXPECT_TRUE(words.empty());
}

TEST(Few, IsARangeWhateverTheAlignmentOfItsElements) {
    struct Odd {
        char bytes[3];
    };
    const Few<Odd> odd = {{{'a', 'b', 'c'}}, {{'d', 'e', 'f'}}};
    const Few<double> wide = {1.5, 2.5};
    EXPECT_EQ(std::span<const Odd>(odd)[1].bytes[2], 'f');
    EXPECT_EQ(std::span<const double>(wide)[1], 2.5);
}

}  // namespace
}  // namespace carpd
