#include "control/config_answer.h"

namespace carpd {

namespace {

// As config/description.cc writes it.
std::string text_of(const Json& value) {
    if (!value.is_array()) return dump(value);
    std::string text;
    for (const Json& element : value) text += (text.empty() ? "" : ", ") + dump(element);
    return "[" + text + "]";
}

}  // namespace

std::string config_head(std::string_view file) {
    const std::string head = dump({{"ok", true}, {"schema", 1}, {"file", file}});
    return head.substr(0, head.size() - 1) + ",\"sections\":[";
}

std::string to_json_text(const Section& section) {
    Json settings = Json::array();
    for (const Setting& setting : section.settings) {
        Json& json = settings.emplace_back(Json{{"key", setting.key},
                                                {"value", Json::parse(setting.value, nullptr, false)},
                                                {"is_default", setting.is_default}});
        if (!setting.fingerprint.empty()) json["fingerprint"] = setting.fingerprint;
    }
    return dump({{"kind", section.kind},
                 {"name", section.name},
                 {"identity", section.identity},
                 {"settings", std::move(settings)}});
}

std::vector<Section> read_sections(const Json& answer) {
    std::vector<Section> sections;
    for (const Json& json : answer.at("sections")) {
        Section& section = sections.emplace_back();
        section.kind = json.at("kind").get<std::string>();
        section.name = json.at("name").get<std::string>();
        section.identity = json.at("identity").get<std::string>();
        for (const Json& setting : json.at("settings"))
            section.settings.push_back({setting.at("key").get<std::string>(), text_of(setting.at("value")),
                                        setting.at("is_default").get<bool>(),
                                        setting.value("fingerprint", "")});
    }
    return sections;
}

}  // namespace carpd
