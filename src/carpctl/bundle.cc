#include "carpctl/bundle.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "control/json.h"

namespace carpd {

namespace {

constexpr std::size_t kLeastToFind = 4;

std::string hex(Bytes bytes, const char* digits) {
    std::string text;
    for (std::uint8_t byte : bytes) {
        text += digits[byte >> 4];
        text += digits[byte & 0xf];
    }
    return text;
}

std::string base64(Bytes bytes) {
    constexpr const char* kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    // Whole groups of three: what is behind them depends on what follows in a longer text.
    for (std::size_t i = 0; i + 3 <= bytes.size(); i += 3) {
        const std::uint32_t three = bytes[i] << 16 | bytes[i + 1] << 8 | bytes[i + 2];
        for (int shift : {18, 12, 6, 0}) text += kDigits[three >> shift & 0x3f];
    }
    return text;
}

// ["/bin/x", "a", "b"] -> ["/bin/x","(arguments are not shown)"]
std::string without_arguments(const std::string& list) {
    const Json argv = Json::parse(list);
    if (argv.size() <= 1) return list;
    return dump(Json::array({argv.front(), "(arguments are not shown)"}));
}

std::string without_path(const std::string& url) {
    const std::string text = Json::parse(url).get<std::string>();
    const std::size_t path = text.find('/', text.find("//") + 2);
    return path == std::string::npos ? url : dump(Json(text.substr(0, path) + "/(not shown)"));
}

}  // namespace

std::vector<Section> without_private(std::vector<Section> sections) {
    for (Section& section : sections) {
        if (section.kind == "hook") section.identity = section.name;  // it has the arguments, too
        for (Setting& setting : section.settings) {
            if (setting.key == "command" || setting.key == "script")
                setting.value = without_arguments(setting.value);
            if (setting.key == "http") setting.value = without_path(setting.value);
        }
    }
    return sections;
}

Secrets::Secrets(const Config& config) {
    const auto add_key = [this](const Key& key) {
        add(key);
        // A password is what stands before the zeros.
        const auto end = std::find(key.begin(), key.end(), 0);
        add(Bytes(key).first(static_cast<std::size_t>(end - key.begin())));
    };
    for (const GroupConfig& group : config.groups) {
        if (group.key != Key{}) add_key(group.key);
        if (group.accept_key) add_key(*group.accept_key);
    }
    if (config.sync) {
        add(config.sync->keys.first);
        if (config.sync->keys.second) add(*config.sync->keys.second);
    }
    std::sort(forms_.begin(), forms_.end());
    forms_.erase(std::unique(forms_.begin(), forms_.end()), forms_.end());
}

void Secrets::add(Bytes bytes) {
    if (bytes.size() < kLeastToFind) return;
    forms_.emplace_back(bytes.begin(), bytes.end());
    forms_.push_back(hex(bytes, "0123456789abcdef"));
    forms_.push_back(hex(bytes, "0123456789ABCDEF"));
    forms_.push_back(base64(bytes));
}

std::string Secrets::keep_out_of(const std::string& text) const {
    std::string kept;
    for (std::size_t from = 0; from < text.size();) {
        const std::size_t end = std::min(text.find('\n', from), text.size() - 1) + 1;
        const auto line = std::string_view(text).substr(from, end - from);
        const bool has_secret = std::any_of(forms_.begin(), forms_.end(), [line](const std::string& form) {
            return line.find(form) != std::string_view::npos;
        });
        kept += has_secret ? "(a line with a secret was left out)\n" : std::string(line);
        from = end;
    }
    return kept;
}

std::string manifest(const std::vector<BundleFile>& files) {
    std::string text, missing;
    for (const BundleFile& file : files) {
        if (file.text.empty())
            missing += fmt::format("  {}: {}\n", file.what, file.note.empty() ? "there is none" : file.note);
        else
            text += fmt::format("  {:<22} {}{}\n", file.name, file.what,
                                file.note.empty() ? "" : fmt::format(" ({})", file.note));
    }
    return "In it, with addresses and names of this network, but without passwords and keys:\n" + text +
           (missing.empty() ? "" : "Not in it:\n" + missing);
}

Json manifest_json(const std::string& archive, const std::vector<BundleFile>& files) {
    Json contents = Json::array(), missing = Json::array();
    for (const BundleFile& file : files) {
        const Json note = file.note.empty() ? Json(nullptr) : Json(file.note);
        if (file.text.empty())
            missing.push_back({{"what", file.what}, {"why", note}});
        else
            contents.push_back(
                {{"name", file.name}, {"what", file.what}, {"size_bytes", file.text.size()}, {"note", note}});
    }
    return {{"schema", 1}, {"file", archive}, {"contents", contents}, {"missing", missing}};
}

}  // namespace carpd
