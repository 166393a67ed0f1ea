#include "control/request.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <optional>

#include "carp/demotion.h"
#include "control/request_fields.h"
#include "control/sync_request.h"

namespace carpd {

namespace {

using request::read_text;

struct CommandForm {
    Command command;
    std::string_view name;
    std::array<std::string_view, 6> fields;  // what it may have beside "command"
    bool needs_group;
};

constexpr std::array kForms = {
    CommandForm{Command::status, "status", {"group", "brief", "peers"}, false},
    CommandForm{Command::monitor, "monitor", {}, false},
    CommandForm{Command::state, "state", {"group", "state"}, true},
    CommandForm{Command::demote,
                "demote",
                {"group", "interface_group", "amount", "name", "for_ms", "persist"},
                false},
    CommandForm{Command::client, "client", {"group", "address", "mac"}, false},
    CommandForm{Command::stop, "stop", {}, false},
    CommandForm{Command::reload, "reload", {}, false},
    CommandForm{Command::history, "history", {}, false},
    CommandForm{Command::config, "config", {}, false},
    CommandForm{Command::upgrade, "upgrade", {}, false},
};

const CommandForm& form_of(Command command) {
    return kForms[static_cast<std::size_t>(command)];
}

auto find_form(std::string_view name) {
    return std::find_if(kForms.begin(), kForms.end(), [&](const auto& form) { return form.name == name; });
}

Unexpected<std::string> refuse(std::string reason) {
    return Unexpected{std::move(reason)};
}

// The daemon's own have names that say so, and those of interface groups a colon.
bool is_operators(std::string_view name) {
    constexpr std::size_t kLongest = 32;
    const auto is_plain = [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
    };
    return !name.empty() && name.size() <= kLongest && std::all_of(name.begin(), name.end(), is_plain) &&
           name != kSendErrorDemotion && name != kAddressesDemotion && name != kHoldDownDemotion &&
           name != kSyncDemotion;
}

constexpr std::int64_t kLongestMs = std::int64_t{366} * 24 * 3600 * 1000;

// Whom it is for, how long, and its name. What is wrong, if anything is.
std::optional<std::string> read_demotion(const Json& object, Request& request) {
    request.interface_group = read_text(object, "interface_group").value_or("");
    if (request.group.empty() == request.interface_group.empty())
        return "demote needs a group's name, or that of an interface group";
    if (object.contains("for_ms")) {
        const Json& ms = object.at("for_ms");
        const double given = ms.is_number_integer() ? ms.get<double>() : 0;
        if (given < 1 || given > kLongestMs || request.amount == 0)
            return fmt::format("for_ms must be a whole number, 1 to {}, of a demotion that isn't 0",
                               kLongestMs);
        request.lasts = std::chrono::milliseconds(ms.get<std::int64_t>());
    }
    if (object.contains("persist")) {
        const Json& persist = object.at("persist");
        if (persist != true || request.amount == 0 || request.lasts)
            return "persist must be true, of a demotion that isn't 0 and has no for_ms";
        request.persist = true;
    }
    if (!object.contains("name")) return std::nullopt;
    request.name = read_text(object, "name").value_or("");
    if (is_operators(request.name)) return std::nullopt;
    return "the name of a demotion has 1 to 32 letters, digits, '_', '-' and '.', and is none of the "
           "daemon's own "
           "(send_error, addresses, hold_down, sync)";
}

const char* key_of(StatusForm form) {
    return form == StatusForm::brief ? "brief" : "peers";
}

std::optional<std::string> read_form(const Json& object, Request& request) {
    for (const StatusForm form : {StatusForm::brief, StatusForm::peers}) {
        if (!object.contains(key_of(form))) continue;
        if (object.at(key_of(form)) != true || request.form != StatusForm::whole)
            return fmt::format("{} must be true, and alone", key_of(form));
        request.form = form;
    }
    return std::nullopt;
}

std::optional<std::string> read_client(const Json& object, Request& request) {
    if (object.contains("address") &&
        !(request.address = IpAddress::parse(read_text(object, "address").value_or(""))))
        return "the client's address is no IP address";
    if (object.contains("mac") && !(request.mac = MacAddress::parse(read_text(object, "mac").value_or(""))))
        return "the client's mac is not like 52:54:00:12:34:56";
    if (request.address || request.mac) return std::nullopt;
    return "client needs an address or a mac";
}

}  // namespace

std::string_view to_string(Command command) {
    return form_of(command).name;
}

bool only_reads(Command command) {
    switch (command) {
        case Command::status:
        case Command::monitor:
        case Command::client:
        case Command::history: return true;
        case Command::state:
        case Command::demote:
        case Command::stop:
        case Command::reload:
        case Command::config:
        case Command::upgrade: return false;
    }
    return false;
}

bool is_command(std::string_view name) {
    return find_form(name) != kForms.end();
}

Expected<Request, std::string> parse_request(std::string_view line) {
    const auto opened = request::open(line);
    if (!opened) return refuse(opened.error());
    const auto& [object, name] = *opened;
    const auto form = find_form(name);
    if (form == kForms.end())
        return refuse(is_sync_command(name)
                          ? fmt::format("'{}' is for the socket of state synchronisation, which has this "
                                        "one's path with .sync behind it",
                                        name)
                          : fmt::format("there is no command '{}'", name));
    if (const auto field = request::unknown_field(object, form->fields))
        return refuse(fmt::format("{} takes no '{}'", form->name, *field));

    Request request;
    request.command = form->command;
    if (const auto group = read_text(object, "group"); group && !group->empty())
        request.group = *group;
    else if (form->needs_group || object.contains("group"))
        return refuse(fmt::format("{} needs a group's name", form->name));

    if (request.command == Command::status)
        if (const auto complaint = read_form(object, request)) return refuse(*complaint);
    if (request.command == Command::state) {
        const auto state = read_text(object, "state");
        if (state != "master" && state != "backup") return refuse("state must be master or backup");
        request.state = state == "master" ? State::master : State::backup;
    }
    if (request.command == Command::demote) {
        constexpr int kMost = DemotionCounter::kMaxAmount;
        const auto amount = object.find("amount");
        const bool whole = amount != object.end() && amount->is_number_integer();
        // As a double, because a number of 64 bits without sign turns negative as any other.
        if (!whole || std::abs(amount->get<double>()) > kMost)
            return refuse(fmt::format("amount must be a whole number, {} to {}", -kMost, kMost));
        request.amount = amount->get<int>();
        if (const auto complaint = read_demotion(object, request)) return refuse(*complaint);
    }
    if (request.command == Command::client)
        if (const auto complaint = read_client(object, request)) return refuse(*complaint);
    return request;
}

std::string to_line(const Request& request) {
    Json object{{"command", to_string(request.command)}};
    if (!request.group.empty()) object["group"] = request.group;
    if (request.form != StatusForm::whole) object[key_of(request.form)] = true;
    if (request.command == Command::state) object["state"] = to_string(request.state);
    if (!request.interface_group.empty()) object["interface_group"] = request.interface_group;
    if (request.command == Command::demote) {
        object["amount"] = request.amount;
        object["name"] = request.name;
        if (request.lasts)
            object["for_ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(*request.lasts).count();
    }
    if (request.persist) object["persist"] = true;
    if (request.address) object["address"] = request.address->to_string();
    if (request.mac) object["mac"] = request.mac->to_string();
    return dump(object);
}

std::string ok_line() {
    return dump({{"ok", true}});
}

std::string kept_line(std::string_view file) {
    return dump({{"ok", true}, {"file", file}});
}

std::string history_line(const std::deque<std::string>& changes) {
    return fmt::format(R"({{"ok":true,"schema":1,"changes":[{}]}})", fmt::join(changes, ","));
}

std::string error_line(std::string_view message) {
    return dump({{"ok", false}, {"error", message}});
}

std::string unknown_group(std::string_view kind, std::string_view name,
                          const std::vector<std::string>& known) {
    constexpr std::size_t kMostNamed = 10;
    std::string text = fmt::format("there is no {} '{}'", kind, name);
    for (std::size_t i = 0; i < std::min(known.size(), kMostNamed); ++i)
        text += (i == 0 ? "; there are: " : ", ") + known[i];
    if (known.size() > kMostNamed) text += fmt::format(" and {} more", known.size() - kMostNamed);
    return text;
}

}  // namespace carpd
