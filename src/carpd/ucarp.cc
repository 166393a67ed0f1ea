#include "carpd/ucarp.h"

#include <fmt/format.h>
#include <syslog.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "carpd/supervisor.h"
#include "carpd/ucarp_helper.h"
#include "config/ucarp_command.h"
#include "linux/log.h"
#include "linux/netlink_socket.h"
#include "linux/process.h"
#include "linux/unix_socket.h"

namespace carpd {

namespace {

constexpr int kNoInterface = 2;  // as ucarp has it
constexpr std::string_view kName = "ucarp";

int fail(int code, const std::string& text) {
    log(LogLevel::error, text);
    return code;
}

// The one that has this address, if it is one only; then ucarp may be told none.
std::string interface_with(const IpAddress& own, const std::vector<Link>& links,
                           const std::vector<LinkAddress>& addresses) {
    std::string found;
    for (const LinkAddress& address : addresses) {
        if (address.address.address != own) continue;
        const auto link = std::find_if(links.begin(), links.end(),
                                       [&](const Link& l) { return l.ifindex == address.ifindex; });
        if (link == links.end()) continue;
        if (!found.empty()) return "";
        found = link->name;
    }
    return found;
}

// Checks the interface, or finds it where none was named. Returns the exit code if there is none.
std::optional<int> find_interface(Config& config) {
    auto netlink = Netlink::open();
    const auto links = netlink ? netlink->links() : Unexpected{netlink.error()};
    const auto addresses = netlink ? netlink->addresses() : Unexpected{netlink.error()};
    if (!links) return fail(kFailed, links.error().to_string());
    if (!addresses) return fail(kFailed, addresses.error().to_string());
    const std::string name = config.groups.front().interface;
    if (name.empty()) {
        const std::string found = interface_with(config.ucarp->source, *links, *addresses);
        if (found.empty())
            return fail(kNoInterface, fmt::format("there isn't one interface that has {}; name it by "
                                                  "--interface",
                                                  config.ucarp->source.to_string()));
        set_ucarp_interface(config, found);
        return std::nullopt;
    }
    if (std::any_of(links->begin(), links->end(), [&](const Link& link) { return link.name == name; }))
        return std::nullopt;
    return fail(kNoInterface, fmt::format("there is no interface {}; `ip link` shows which there are", name));
}

void warn_of_script(const std::string& path) {
    if (!path.empty() && access(path.c_str(), X_OK) != 0)
        log(LogLevel::warning, SysError{"run", path, errno}.to_string());
}

void begin_log(const UcarpCommand& command) {
    const auto facility = syslog_facility(command.facility);
    log_to_syslog(std::string(kName), facility.value_or(LOG_DAEMON));
    if (command.is_verbose) set_log_level(LogLevel::debug);
    for (const std::string& warning : command.warnings) log(LogLevel::warning, warning);
    if (!facility)
        log(LogLevel::warning, fmt::format("syslog has no facility '{}'; daemon is taken", command.facility));
    warn_of_script(command.config.ucarp->up_script);
    warn_of_script(command.config.ucarp->down_script);
}

// One that ifup has started before, say: interfaces come and go, and ucarp stays. Its last script may take a
// while.
Expected<UniqueFd, SysError> take_place(const std::string& name) {
    const std::string instance = fmt::format("{}-{}", kName, name);
    if (const auto pid = instance_holder(kLockDirectory, instance)) {
        log(LogLevel::notice, fmt::format("taking the place of pid {}, which serves {}", *pid, name));
        kill(*pid, SIGTERM);
    }
    return lock_instance(kLockDirectory, instance, UcarpHelper::kMostToFinish);
}

// Network namespaces may have /run in common.
void find_free_socket(Config& config) {
    if (!connect_unix(config.control)) return;
    config.control = fmt::format("{}.{}", config.control, network_namespace().value_or(0));
}

}  // namespace

std::optional<std::vector<std::string>> ucarp_words(int argc, const char* const* argv) {
    if (argc < 1) return std::nullopt;
    const std::string_view path = argv[0];
    const bool is_called_so = path.substr(path.rfind('/') + 1) == kName;
    const bool is_told_so = argc > 1 && argv[1] == kName;
    if (!is_called_so && !is_told_so) return std::nullopt;
    return std::vector<std::string>(argv + (is_called_so ? 1 : 2), argv + argc);
}

Expected<UcarpStart, int> begin_ucarp(const std::vector<std::string>& words) {
    auto command = parse_ucarp_command(words);
    if (!command) {
        fmt::print(command.error().exit_code == 0 ? stdout : stderr, "{}\n", command.error().text);
        return Unexpected{command.error().exit_code};
    }
    begin_log(*command);
    if (const auto capability = missing_capability())
        return Unexpected{fail(kNoPermission, fmt::format("ucarp needs {}; run it as root", *capability))};
    if (const auto code = find_interface(command->config)) return Unexpected{*code};
    auto lock = take_place(command->config.groups.front().name);
    if (!lock) return Unexpected{fail(kFailed, lock.error().to_string())};
    find_free_socket(command->config);
    if (command->is_background)
        if (const auto error = become_daemon(lock->get()))
            return Unexpected{fail(kFailed, error->to_string())};
    set_process_name(std::string(kName).c_str());
    return UcarpStart{std::make_shared<const Config>(std::move(command->config)), std::move(*lock)};
}

KeptProcess ucarp_helper_process() {
    return {"helper",
            [](const Config&) { return true; },
            [](const Config& config, MessageSocket engine) {
                auto helper = UcarpHelper::open(config, std::move(engine));
                if (!helper) return fail(kFailed, helper.error().to_string());
                helper->run();
                return static_cast<int>(kStopped);
            },
            UcarpHelper::kMostToFinish,
            {},
            {},
            to_message(EngineMessage(EngineEnded{})),
            ""};
}

}  // namespace carpd
