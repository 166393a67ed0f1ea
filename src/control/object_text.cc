#include "control/object_text.h"

#include <algorithm>

namespace carpd {

void ObjectText::put(std::string_view value) {
    const auto is_plain = [](char c) { return c >= 0x20 && c < 0x7f && c != '"' && c != '\\'; };
    if (!std::all_of(value.begin(), value.end(), is_plain)) {
        text_ += dump(value);
        return;
    }
    text_ += '"';
    text_ += value;
    text_ += '"';
}

// Most values are these, for which dump() would make a serializer.
void ObjectText::put(const Json& value) {
    if (value.is_null())
        text_ += "null";
    else if (value.is_string())
        put(value.get_ref<const std::string&>());
    else if (value.is_number_unsigned())
        put(value.get<std::uint64_t>());
    else if (value.is_number_integer())
        put(value.get<std::int64_t>());
    else if (value.is_structured() && value.empty())
        text_ += value.is_array() ? "[]" : "{}";
    else
        text_ += dump(value);
}

}  // namespace carpd
