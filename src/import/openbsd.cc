// OpenBSD's hostname.carpN: lines of ifconfig(8)'s arguments, as netstart(8) reads them.
#include <fmt/format.h>

#include <algorithm>

#include "import/readers.h"
#include "import/words.h"

namespace carpd {

namespace {

bool is_family(const std::string& word) {
    return word == "inet" || word == "inet6";
}

class HostnameFile {
 public:
    HostnameFile(const ImportFile& file, Draft& draft) : file_(file), draft_(draft) {
        group_.at = {file.name, 1};
        const std::string name = base_name(file.name);
        if (name.starts_with("hostname.")) group_.name = name.substr(9);
    }

    void read() {
        std::uint32_t number = 0;
        for (std::string_view line : lines_of(file_.text)) {
            const Source at{file_.name, ++number};
            const std::size_t begin = std::min(line.find_first_not_of(" \t"), line.size());
            if (line.substr(begin).starts_with('!'))
                draft_.no_match(
                    at, fmt::format("{}: carpd runs no commands at its start; a [[hook]] may do", line));
            else if (const auto commands = shell_commands(line); !commands.empty())
                read_words(at, commands.front());
        }
        finish();
    }

 private:
    void read_words(const Source& at, const ShellCommand& line) {
        words_ = &line;
        next_ = 0;
        while (next_ < line.size()) {
            const std::string keyword = take();
            if (is_family(keyword))
                read_address(at, keyword == "inet6");
            else if (!read_value(at, keyword) && keyword != "up" && keyword != "alias")
                draft_.no_match(at, fmt::format("{}: carpd has nothing like it", keyword));
        }
    }

    std::string take() { return next_ < words_->size() ? (*words_)[next_++].text : ""; }
    std::string peek() const { return next_ < words_->size() ? (*words_)[next_].text : ""; }

    // inet [alias] ADDRESS [NETMASK [BROADCAST]], inet6 [alias] ADDRESS [PREFIX]; or with prefix or netmask
    // before it.
    void read_address(const Source& at, bool is_ipv6) {
        if (peek() == "alias") take();
        const std::string address = take();
        if (!is_address(address)) return draft_.no_match(at, fmt::format("{}: is no address", address));
        std::optional<unsigned> prefix;
        if (peek() == "netmask" || peek() == "prefixlen") take();
        if (const auto length = prefix_length(peek())) {
            prefix = length;
            take();
        }
        if (!is_ipv6 && (is_address(peek()) || peek() == "NONE")) take();  // the broadcast address
        if (!prefix && address.find('/') == std::string::npos)
            draft_.check(at, fmt::format("{} has no prefix length; it is a single host's", address));
        group_.addresses.push_back(with_prefix(address, prefix));
    }

    bool read_value(const Source& at, const std::string& keyword) {
        if (keyword == "vhid")
            group_.vhid = take();
        else if (keyword == "carpdev")
            group_.interface = take();
        else if (keyword == "pass")
            group_.password = take();
        else if (keyword == "advbase")
            group_.advbase = take();
        else if (keyword == "advskew")
            group_.advskew = take();
        else if (keyword == "carppeer")
            group_.peers = {take()};
        else if (keyword == "balancing")
            group_.balancing = take();
        else if (keyword == "carpnodes")
            read_carpnodes(take());
        else if (keyword == "group")
            group_.interface_groups.push_back(take());
        else if (keyword == "description" || keyword == "descr")
            draft_.no_match(at,
                            fmt::format("description {}: make it the group's name, or a comment", take()));
        else if (keyword == "lladdr" || keyword == "rdomain" || keyword == "mtu" || keyword == "state")
            draft_.no_match(at, fmt::format("{} {}: carpd has nothing like it", keyword, take()));
        else
            return false;
        return true;
    }

    void read_carpnodes(const std::string& list) {
        for (std::size_t at = 0; at < list.size();) {
            const std::size_t end = std::min(list.find(',', at), list.size());
            group_.carpnodes.push_back(list.substr(at, end - at));
            at = end + 1;
        }
    }

    void finish() {
        draft_.taken(group_.at,
                     fmt::format("{} is a [[group]]", group_.name.empty() ? file_.name : group_.name));
        std::erase(group_.interface_groups, "carp");  // every group is in it
        if (group_.carpnodes.size() == 1) {           // which is no pool
            const std::string& node = group_.carpnodes.front();
            const std::size_t colon = std::min(node.find(':'), node.size());
            group_.vhid = node.substr(0, colon);
            group_.advskew = node.substr(std::min(colon + 1, node.size()));
            group_.carpnodes.clear();
            group_.balancing.clear();
        }
        if (!group_.carpnodes.empty()) {
            group_.vhid.clear();
            group_.advskew.clear();
            if (group_.balancing.empty()) group_.balancing = "ip";
        }
        if (!group_.interface.empty())
            draft_.check(group_.at,
                         fmt::format("{}: write the name that the interface has here", group_.interface));
        draft_.groups.push_back(std::move(group_));
        draft_.check_once("OpenBSD and carpd understand each other, so hosts can move one after the other");
        draft_.check_once(
            "preempt is a sysctl on OpenBSD, net.inet.carp.preempt, for all groups; where it is 1, write "
            "preempt = "
            "true in each group, and join those that must move together in a [[together]]");
    }

    const ImportFile& file_;
    Draft& draft_;
    DraftGroup group_;
    const ShellCommand* words_ = nullptr;
    std::size_t next_ = 0;
};

}  // namespace

void read_openbsd(const ImportFiles& files, Draft& draft) {
    for (const ImportFile* file : files) HostnameFile(*file, draft).read();
}

}  // namespace carpd
