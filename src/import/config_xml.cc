// config.xml of pfSense and OPNsense: <virtualip> with <vip>s of mode carp, and aliases that stand on them.
// The carp(4) below is FreeBSD's: addresses of one vhid on one interface are a group.
#include <fmt/format.h>

#include <algorithm>
#include <pugixml.hpp>
#include <string_view>

#include "import/readers.h"
#include "import/words.h"

namespace carpd {

namespace {

using pugi::xml_node;

std::string value(const xml_node& of, const char* name) {
    return of.child(name).text().as_string();
}

class ConfigXml {
 public:
    ConfigXml(const ImportFile& file, Draft& draft) : file_(file), draft_(draft) {}

    void read() {
        pugi::xml_document document;
        const auto result = document.load_buffer(file_.text.data(), file_.text.size());
        if (!result)
            return draft_.to_do(at(result.offset), fmt::format("this is no XML: {}", result.description()));
        root_ = document.first_child();
        for (const xml_node vip : root_.child("virtualip").children("vip"))
            if (value(vip, "mode") == "carp") read_carp(vip);
        for (const xml_node vip : root_.child("virtualip").children("vip"))
            if (value(vip, "mode") != "carp") read_other(vip);
        read_hasync(root_.child("hasync"));
        if (groups_.empty()) return;
        draft_.check_once(
            "FreeBSD's carp(4), which is in both, and carpd understand each other, so hosts can move one "
            "after the other");
        draft_.check_once("interfaces have other names on Linux; write those");
        if (groups_.front().second.preempt)
            draft_.check_once(
                "net.inet.carp.preempt is on there, so preempt = true; groups that must move together, as a "
                "firewall's LAN and WAN, want a [[together]]");
        for (auto& [id, group] : groups_) draft_.groups.push_back(std::move(group));
    }

 private:
    Source at(std::ptrdiff_t offset) const {
        const auto end = file_.text.begin() + std::clamp<std::ptrdiff_t>(offset, 0, std::ssize(file_.text));
        return {file_.name, static_cast<std::uint32_t>(1 + std::count(file_.text.begin(), end, '\n'))};
    }
    Source at(const xml_node& node) const { return at(node.offset_debug()); }

    // Of "lan" its device.
    std::string device(const std::string& name) const {
        const std::string device = value(root_.child("interfaces").child(name.c_str()), "if");
        return device.empty() ? name : device;
    }

    static std::string address_of(const xml_node& vip) {
        const std::string address = value(vip, "subnet"), bits = value(vip, "subnet_bits");
        return bits.empty() ? with_prefix(address) : address + '/' + bits;
    }

    DraftGroup* find(const std::string& interface, const std::string& vhid) {
        for (auto& [id, group] : groups_)
            if (group.interface == interface && group.vhid == vhid) return &group;
        return nullptr;
    }

    void read_carp(const xml_node& vip) {
        const std::string interface = device(value(vip, "interface")), vhid = value(vip, "vhid");
        const std::string description = value(vip, "descr");
        draft_.taken(at(vip),
                     fmt::format("{}{} is in the [[group]] {}-{}", address_of(vip),
                                 description.empty() ? "" : " (" + description + ")", interface, vhid));
        if (DraftGroup* group = find(interface, vhid)) return group->addresses.push_back(address_of(vip));
        DraftGroup group;
        group.at = at(vip);
        group.interface = interface;
        group.vhid = vhid;
        group.addresses = {address_of(vip)};
        group.password = value(vip, "password");
        group.advbase = value(vip, "advbase");
        group.advskew = value(vip, "advskew");
        group.preempt = true;
        for (const char* peer : {"peer", "peer6"})
            if (const std::string address = value(vip, peer); !address.empty())
                group.peers.push_back(address);
        groups_.emplace_back(value(vip, "uniqid"), std::move(group));
    }

    // An alias stands on a CARP address by its vhid (OPNsense), or by its id (pfSense).
    void read_other(const xml_node& vip) {
        const std::string mode = value(vip, "mode"), interface = value(vip, "interface");
        const std::string vhid = value(vip, "vhid"), address = address_of(vip);
        DraftGroup* group = vhid.empty() ? nullptr : find(device(interface), vhid);
        if (interface.starts_with("_vip"))
            for (auto& [id, one] : groups_)
                if (!id.empty() && interface == "_vip" + id) group = &one;
        if (mode == "ipalias" && group != nullptr) {
            group->addresses.push_back(address);
            draft_.taken(at(vip), fmt::format("{}, an alias, is in the [[group]] {}-{}", address,
                                              group->interface, group->vhid));
        } else if (mode == "ipalias" && (interface.starts_with("_vip") || !vhid.empty())) {
            draft_.to_do(
                at(vip),
                fmt::format("{}, an alias, stands on a CARP address that isn't in the file: add it to "
                            "its group",
                            address));
        } else {
            draft_.no_match(at(vip), fmt::format("{} of mode {}: no shared address; configure it on the host",
                                                 address, mode));
        }
    }

    void read_hasync(const xml_node& hasync) {
        const std::string interface = value(hasync, "pfsyncinterface"), peer = value(hasync, "pfsyncpeerip");
        if (!interface.empty())
            draft_.no_match(at(hasync),
                            fmt::format("pfsync on {}{}: [sync] does that, among hosts that run carpd",
                                        device(interface), peer.empty() ? "" : " to " + peer));
        if (const std::string to = value(hasync, "synchronizetoip"); !to.empty())
            draft_.no_match(at(hasync),
                            fmt::format("the configuration is synchronised to {}: copy carpd.toml by other "
                                        "means",
                                        to));
        const std::string off = value(hasync, "disablepreempt");
        if (off.empty() || off == "0") return;
        for (auto& [id, group] : groups_) group.preempt = false;
        draft_.taken(at(hasync), "disablepreempt: preempt = false");
    }

    const ImportFile& file_;
    Draft& draft_;
    xml_node root_;
    std::vector<std::pair<std::string, DraftGroup>> groups_;  // with the id of their first <vip>
};

}  // namespace

void read_config_xml(const ImportFiles& files, Draft& draft) {
    for (const ImportFile* file : files) ConfigXml(*file, draft).read();
}

}  // namespace carpd
