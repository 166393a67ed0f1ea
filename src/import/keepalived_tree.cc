#include "import/keepalived_tree.h"

namespace carpd {

namespace {

class TreeParser {
 public:
    explicit TreeParser(const ImportFile& file) : file_(file), text_(file.text) {}

    std::vector<Statement> take() {
        std::vector<Statement> statements;
        read_block(statements, 0);
        return statements;
    }

 private:
    // Until the block's } or the end of the file.
    void read_block(std::vector<Statement>& into, std::size_t depth) {
        Statement statement;
        const auto end = [&] {
            if (!statement.words.empty()) into.push_back(std::move(statement));
            statement = {};
        };
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '\n') {
                next();
                end();
            } else if (c == ' ' || c == '\t' || c == '\r') {
                next();
            } else if (c == '#' || c == '!') {
                while (at_ < text_.size() && text_[at_] != '\n') next();
            } else if (c == '{') {
                next();
                end();
                if (depth + 1 == kMostKeepalivedDepth || into.empty()) continue;
                read_block(into.back().children, depth + 1);
            } else if (c == '}') {
                next();
                end();
                if (depth > 0) return;
            } else {
                if (statement.words.empty()) statement.at = {file_.name, line_};
                read_word(statement);
            }
        }
        end();
    }

    void read_word(Statement& statement) {
        std::string word;
        if (text_[at_] == '@') statement.has_variable = true;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '{' || c == '}') break;
            if (c == '"' || c == '\'') {
                next();
                read_quoted(word, c);
                continue;
            }
            if (c == '$') {
                statement.has_variable = true;
                word += next();
                if (at_ < text_.size() && text_[at_] == '{') read_braces(word);
                continue;
            }
            word += next();
        }
        statement.words.push_back(std::move(word));
    }

    void read_quoted(std::string& word, char quote) {
        while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n') {
            if (text_[at_] == '\\' && at_ + 1 < text_.size() && text_[at_ + 1] == quote) next();
            word += next();
        }
        if (at_ < text_.size() && text_[at_] == quote) next();
    }

    void read_braces(std::string& word) {
        while (at_ < text_.size() && text_[at_] != '}' && text_[at_] != '\n') word += next();
        if (at_ < text_.size() && text_[at_] == '}') word += next();
    }

    char next() {
        const char c = text_[at_++];
        if (c == '\n') ++line_;
        return c;
    }

    const ImportFile& file_;
    const std::string_view text_;
    std::size_t at_ = 0;
    std::uint32_t line_ = 1;
};

}  // namespace

std::vector<Statement> parse_keepalived(const ImportFile& file) {
    return TreeParser(file).take();
}

}  // namespace carpd
