// FreeBSD's rc.conf: ifconfig_IF, ifconfig_IF_ipv6, ifconfig_IF_aliasN and ifconfig_IF_aliases with a vhid.
// Addresses of one vhid on one interface are a group.
#include <fmt/format.h>

#include <algorithm>

#include "import/readers.h"
#include "import/words.h"

namespace carpd {

namespace {

constexpr std::string_view kPrefix = "ifconfig_";

// em0 of ifconfig_em0_alias0; an interface's own name may have a _ for each . and - of it.
std::string interface_of(const std::string& variable) {
    std::string name = variable.substr(kPrefix.size());
    for (std::string_view end : {"_ipv6", "_aliases"})
        if (name.ends_with(end)) return name.substr(0, name.size() - end.size());
    const std::size_t alias = name.rfind("_alias");
    const std::string number = alias == std::string::npos ? "x" : name.substr(alias + 6);
    const bool is_alias = number.find_first_not_of("0123456789") == std::string::npos;
    return is_alias ? name.substr(0, alias) : name;
}

// Of an address, or of a vhid alone.
struct Setting {
    std::string address, vhid, password, advbase, advskew, peer;
    std::optional<unsigned> prefix;
};

class RcConf {
 public:
    explicit RcConf(Draft& draft) : draft_(draft) {}

    void read(const ImportFile& file) {
        for (const ShellCommand& command : shell_commands(file.text))
            for (const Word& word : command) {
                const auto pair = assignment(word);
                if (!pair || !pair->first.starts_with(kPrefix)) continue;
                const auto words = split(pair->second);
                if (std::find(words.begin(), words.end(), "vhid") == words.end()) continue;
                read_variable({file.name, word.line}, interface_of(pair->first), words, word.has_variable);
            }
    }

    void finish() {
        if (draft_.groups.empty()) return;
        draft_.check_once("FreeBSD and carpd understand each other, so hosts can move one after the other");
        draft_.check_once(
            "preempt is a sysctl on FreeBSD, net.inet.carp.preempt, for all groups; where it is 1, write "
            "preempt = "
            "true in each group, and join those that must move together in a [[together]]");
    }

 private:
    // Each inet or inet6 begins another address, in _aliases there are several.
    void read_variable(const Source& at, const std::string& interface, const std::vector<std::string>& words,
                       bool has_variable) {
        Setting setting;
        for (std::size_t i = 0; i < words.size(); ++i) {
            const std::string& word = words[i];
            const std::string value = i + 1 < words.size() ? words[i + 1] : "";
            if (word == "inet" || word == "inet6") {
                add(at, interface, setting, has_variable);
                setting = {};
                if (is_address(value)) setting.address = words[++i];
            } else if (word == "alias" || word == "up" || word == "add") {
                if (is_address(value)) setting.address = words[++i];
            } else if (word == "netmask" || word == "prefixlen") {
                setting.prefix = prefix_length(value);
                ++i;
            } else if (std::string Setting::*field = field_of(word)) {
                setting.*field = value;
                ++i;
            } else if (word == "broadcast" || word == "state") {
                ++i;
            } else if (is_address(word)) {
                setting.address = word;
            } else {
                draft_.no_match(at, fmt::format("{}: carpd has nothing like it", word));
            }
        }
        add(at, interface, setting, has_variable);
    }

    static std::string Setting::*field_of(const std::string& word) {
        if (word == "vhid") return &Setting::vhid;
        if (word == "pass") return &Setting::password;
        if (word == "advbase") return &Setting::advbase;
        if (word == "advskew") return &Setting::advskew;
        if (word == "peer" || word == "peer6") return &Setting::peer;
        return nullptr;
    }

    // Addresses without a vhid are the host's own.
    void add(const Source& at, const std::string& interface, const Setting& setting, bool has_variable) {
        if (setting.vhid.empty()) return;
        DraftGroup& group = group_of(at, interface, setting.vhid);
        if (has_variable) draft_.to_do(group, at, "variables are not understood; write what is meant");
        if (!setting.address.empty()) {
            if (!setting.prefix && setting.address.find('/') == std::string::npos)
                draft_.check(at,
                             fmt::format("{} has no prefix length; it is a single host's", setting.address));
            group.addresses.push_back(with_prefix(setting.address, setting.prefix));
        }
        if (!setting.password.empty()) group.password = setting.password;
        if (!setting.advbase.empty()) group.advbase = setting.advbase;
        if (!setting.advskew.empty()) group.advskew = setting.advskew;
        if (!setting.peer.empty() &&
            std::find(group.peers.begin(), group.peers.end(), setting.peer) == group.peers.end())
            group.peers.push_back(setting.peer);
    }

    DraftGroup& group_of(const Source& at, const std::string& interface, const std::string& vhid) {
        for (DraftGroup& group : draft_.groups)
            if (group.interface == interface && group.vhid == vhid) return group;
        draft_.taken(at, fmt::format("vhid {} on {} is a [[group]]", vhid, interface));
        draft_.check(at, fmt::format("{}: write the name that the interface has here", interface));
        DraftGroup group;
        group.at = at;
        group.interface = interface;
        group.vhid = vhid;
        draft_.groups.push_back(std::move(group));
        return draft_.groups.back();
    }

    Draft& draft_;
};

}  // namespace

void read_freebsd(const ImportFiles& files, Draft& draft) {
    RcConf rc_conf(draft);
    for (const ImportFile* file : files) rc_conf.read(*file);
    rc_conf.finish();
}

}  // namespace carpd
