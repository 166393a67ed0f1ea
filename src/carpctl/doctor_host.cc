#include "carpctl/doctor_host.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "carpctl/subprocess.h"

namespace carpd {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::chrono::seconds kPatience{5};
constexpr std::size_t kMostOfRules = std::size_t{64} << 20;
constexpr const char* kCarp4 = "224.0.0.18";
constexpr const char* kCarp6 = "ff020000000000000000000000000012";  // as /proc has ff02::12

std::string line_of(const std::string& file) {
    std::ifstream in(file);
    std::string line;
    std::getline(in, line);
    return line;
}

int setting(const std::string& interface, const char* name) {
    return std::atoi(line_of(fmt::format("/proc/sys/net/ipv4/conf/{}/{}", interface, name)).c_str());
}

// A line for each interface, "3\teth0 : 2 V3", and below it one for each group, the address as the number
// that its bytes are here.
bool hears_ipv4(const std::string& interface) {
    std::ifstream in("/proc/net/igmp");
    const std::string group = fmt::format("{:08X}", ::inet_addr(kCarp4));
    std::string here;
    for (std::string line; std::getline(in, line);) {
        std::istringstream fields(line);
        std::string first, second;
        fields >> first >> second;
        if (!line.empty() && line.front() != '\t')
            here = second;
        else if (here == interface && first == group)
            return true;
    }
    return false;
}

bool hears_ipv6(const std::string& interface) {
    std::ifstream in("/proc/net/igmp6");
    for (std::string line; std::getline(in, line);) {
        std::istringstream fields(line);
        std::string index, name, group;
        if (fields >> index >> name >> group && name == interface && group == kCarp6) return true;
    }
    return false;
}

std::optional<std::uint64_t> mld_queries(const std::string& interface) {
    std::ifstream in("/proc/net/dev_snmp6/" + interface);
    std::string name;
    for (std::uint64_t value = 0; in >> name >> value;)
        if (name == "Icmp6InGroupMembQueries") return value;
    return std::nullopt;
}

std::vector<std::pair<std::string, IpAddress>> standing_addresses() {
    std::vector<std::pair<std::string, IpAddress>> standing;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return standing;
    const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
    for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
        if (one->ifa_addr == nullptr) continue;
        char text[INET6_ADDRSTRLEN] = "";
        if (one->ifa_addr->sa_family == AF_INET)
            ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr, text,
                        sizeof text);
        else if (one->ifa_addr->sa_family == AF_INET6)
            ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(one->ifa_addr)->sin6_addr, text,
                        sizeof text);
        if (const auto address = IpAddress::parse(text)) standing.emplace_back(one->ifa_name, *address);
    }
    return standing;
}

// A program that runs, and none of whose settings name carpd's devices.
bool manages(const char* runs, std::initializer_list<const char*> settings) {
    std::error_code none;
    if (!std::filesystem::exists(runs, none)) return false;
    for (const char* folder : settings)
        for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
            std::ifstream in(entry.path());
            std::stringstream content;
            content << in.rdbuf();
            if (content.str().find("carp*") != std::string::npos) return false;
        }
    return true;
}

std::vector<std::string> find_managers() {
    std::vector<std::string> managers;
    if (manages("/run/systemd/netif/state",
                {"/usr/lib/systemd/network", "/etc/systemd/network", "/run/systemd/network"}))
        managers.push_back("systemd-networkd");
    if (manages("/run/NetworkManager", {"/usr/lib/NetworkManager/conf.d", "/etc/NetworkManager/conf.d",
                                        "/run/NetworkManager/conf.d"}))
        managers.push_back("NetworkManager");
    return managers;
}

bool names_carp(const Json& value) {
    if (value.is_number_integer()) return value == 112;
    if (value.is_string()) return value == "112" || value == "carp" || value == "vrrp";
    if (value.is_object() && value.contains("set"))
        return std::any_of(value.at("set").begin(), value.at("set").end(), names_carp);
    return false;
}

// Of a rule's expressions: whether it matches protocol 112 and drops it.
bool blocks(const Json& expressions) {
    bool matches = false, drops = false;
    for (const Json& expression : expressions) {
        if (expression.contains("drop") || expression.contains("reject")) drops = true;
        if (!expression.contains("match")) continue;
        const Json& match = expression.at("match");
        matches = matches ||
                  (match.value("op", "") != "!=" && match.contains("right") && names_carp(match.at("right")));
    }
    return matches && drops;
}

std::vector<BlockingRule> blocking_rules_in(const Json& ruleset) {
    std::vector<BlockingRule> blocking;
    std::map<std::string, std::string> hooks;  // of chains
    const auto chain_of = [](const Json& at, const char* key) {
        return at.value("family", "") + ' ' + at.value("table", "") + ' ' + at.value(key, "");
    };
    for (const Json& element : ruleset.at("nftables")) {
        if (element.contains("chain")) {
            const Json& chain = element.at("chain");
            hooks[chain_of(chain, "name")] = chain.value("hook", "");
        } else if (element.contains("rule") && blocks(element.at("rule").value("expr", Json::array()))) {
            const Json& rule = element.at("rule");
            const std::string chain = chain_of(rule, "chain");
            // Others stand behind carpd's packet socket, or concern packets of other hosts.
            if (hooks[chain] == "egress" || hooks[chain] == "output")
                blocking.push_back(
                    {hooks[chain], chain, rule.value("handle", 0),
                     fmt::format("nft delete rule {} handle {}", chain, rule.value("handle", 0))});
        }
    }
    return blocking;
}

}  // namespace

std::vector<BlockingRule> blocking_rules(const std::string& ruleset) {
    try {
        return blocking_rules_in(Json::parse(ruleset));
    } catch (const Json::exception&) {  // an nft that speaks otherwise
        return {};
    }
}

// Tables begin with "*filter", rules with "-A OUTPUT". Names of protocols are those of /etc/protocols.
std::vector<BlockingRule> legacy_blocking_rules(const std::string& program, const std::string& tables) {
    static const std::regex blocks(".*[^!] -p (112|vrrp|carp) (.* )?-j (DROP|REJECT)( .*)?");
    std::vector<BlockingRule> blocking;
    std::istringstream in(tables);
    std::string table;
    int number = 0;
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("*")) {
            table = line.substr(1);
            number = 0;
        }
        if (!line.starts_with("-A OUTPUT ")) continue;
        ++number;
        if (std::regex_match(line, blocks))
            blocking.push_back({"output", fmt::format("OUTPUT in the table {} of {}", table, program), number,
                                fmt::format("{} -t {} -D OUTPUT {}", program, table, number)});
    }
    return blocking;
}

std::string platform_of(const std::string& vendor, const std::string& product) {
    constexpr std::pair<std::string_view, std::string_view> kVendors[] = {
        {"VMware", "VMware"},     {"Amazon", "AWS"},      {"Google", "Google"}, {"OpenStack", "OpenStack"},
        {"Microsoft", "Hyper-V"}, {"Proxmox", "Proxmox"}, {"QEMU", "QEMU"},     {"Red Hat", "QEMU"}};
    if (product.find("OpenStack") != std::string::npos) return "OpenStack";
    for (const auto& [word, platform] : kVendors)
        if (vendor.find(word) != std::string::npos) return std::string(platform);
    return "";
}

KnownConfig look_at_config(const std::string& file) {
    KnownConfig known{.file = file};
    if (::access(file.c_str(), R_OK) != 0) {
        known.problem = fmt::format("{}: {}", file, std::strerror(errno));
        return known;
    }
    auto loaded = load_config(file);
    if (loaded) {
        known.content = std::move(*loaded);
        return known;
    }
    known.problem = loaded.error().front().to_string(file);
    known.is_invalid = true;
    return known;
}

namespace {

// The older iptables has rules of its own, of which nft knows nothing. Where nobody uses its tables it
// needn't be installed.
void look_at_legacy_filters(const std::string& family, std::vector<BlockingRule>& blocking,
                            std::vector<std::string>& untested) {
    const std::string program = family + "tables-legacy";
    const ProgramOutput rules = run_program({program + "-save"}, kPatience, kMostOfRules);
    if (!rules.failure) {
        const auto found = legacy_blocking_rules(program, rules.text);
        blocking.insert(blocking.end(), found.begin(), found.end());
    } else if (!line_of(fmt::format("/proc/net/{}_tables_names", family)).empty()) {
        untested.push_back(fmt::format("rules of {}: {}", program, *rules.failure));
    }
}

void look_at_filters(std::vector<BlockingRule>& blocking, std::vector<std::string>& untested) {
    const ProgramOutput rules = run_program({"nft", "-j", "list", "ruleset"}, kPatience, kMostOfRules);
    if (rules.failure)
        untested.push_back("rules of the packet filter: " + *rules.failure);
    else
        blocking = blocking_rules(rules.text);
    for (const char* family : {"ip", "ip6"}) look_at_legacy_filters(family, blocking, untested);
}

}  // namespace

HostView look_at_host(const std::set<std::string>& interfaces, std::vector<std::string>& untested) {
    HostView view;
    for (const std::string& interface : interfaces)
        view.interfaces[interface] = {
            std::max(setting("all", "arp_ignore"), setting(interface, "arp_ignore")), hears_ipv4(interface),
            hears_ipv6(interface), mld_queries(interface)};
    view.addresses = standing_addresses();
    view.managers = find_managers();
    view.platform =
        platform_of(line_of("/sys/class/dmi/id/sys_vendor"), line_of("/sys/class/dmi/id/product_name"));
    look_at_filters(view.blocking, untested);
    return view;
}

}  // namespace carpd
