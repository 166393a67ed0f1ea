#include "carp/digest_search.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "carp/authenticator.h"

namespace carpd {

namespace {

using List = std::vector<InterfaceAddress>;

struct KeyToTry {
    Key key;
    KeyFound is;
    std::string group = {};
};

bool contains(const List& list, const IpAddress& address) {
    return std::any_of(list.begin(), list.end(),
                       [&](const InterfaceAddress& a) { return a.address == address; });
}

List list_of(const Few<InterfaceAddress>& addresses) {
    return {addresses.begin(), addresses.end()};
}

std::vector<IpAddress> without(const List& list, const List& others) {
    std::vector<IpAddress> result;
    for (const InterfaceAddress& a : list)
        if (!contains(others, a.address)) result.push_back(a.address);
    std::sort(result.begin(), result.end());
    return result;
}

// `address` with other last two bytes.
IpAddress neighbour(const IpAddress& address, unsigned last) {
    std::array<std::uint8_t, 16> bytes{};
    const std::size_t size = address.bytes().size();
    std::copy_n(address.bytes().begin(), size, bytes.begin());
    ByteWriter(std::span(bytes).subspan(size - 2)).u16(static_cast<std::uint16_t>(last));
    return IpAddress::from_bytes(Bytes(bytes).first(size));
}

std::optional<Key> cut_short(Key key) {
    const auto last = std::find_if(key.rbegin(), key.rend(), [](std::uint8_t b) { return b != 0; });
    if (last == key.rend()) return std::nullopt;
    *last = 0;
    return key;
}

// Each of its steps ends at once when the digest is found or the tries are used up.
class Search {
 public:
    Search(const Advertisement& advertisement, const GroupConfig& group, std::span<const GroupConfig> groups,
           std::span<const IpAddress> seen, std::size_t tries);
    std::optional<DigestFinding> run();

 private:
    bool is_over() const { return finding_ || left_ == 0; }
    void add_others(std::span<const GroupConfig> groups);
    void attempt(const KeyToTry& key, const List& list);
    void attempt_each(const std::vector<KeyToTry>& keys, const std::vector<List>& lists);
    void leave_out(std::size_t count);
    void put_in(const IpAddress& address);
    void put_in_neighbours(unsigned bits);

    const Advertisement& advertisement_;
    const GroupConfig& group_;
    std::size_t left_;
    // Of the group itself, of it in some disguise, and of other groups.
    std::vector<KeyToTry> own_keys_, disguised_keys_, other_keys_;
    const List own_;
    std::vector<List> own_lists_, other_lists_;
    std::vector<IpAddress> known_;
    std::optional<DigestFinding> finding_;
};

Search::Search(const Advertisement& advertisement, const GroupConfig& group,
               std::span<const GroupConfig> groups, std::span<const IpAddress> seen, std::size_t tries)
    : advertisement_(advertisement),
      group_(group),
      left_(tries),
      own_keys_{{group.key, KeyFound::own}},
      own_(list_of(group.addresses)),
      own_lists_{own_},
      known_(seen.begin(), seen.end()) {
    if (group.accept_key) own_keys_.push_back({*group.accept_key, KeyFound::accepted});
    if (const auto shorter = cut_short(group.key)) disguised_keys_.push_back({*shorter, KeyFound::cut_short});
    disguised_keys_.push_back({Key{}, KeyFound::none});
    for (Family family : kFamilies) {
        List of_family = own_;
        std::erase_if(of_family, [&](const InterfaceAddress& a) { return a.address.family() != family; });
        own_lists_.push_back(of_family);
    }
    own_lists_.emplace_back();
    if (!group.accept_addresses.empty()) own_lists_.push_back(list_of(group.accept_addresses));
    add_others(groups);
}

// With thousands of groups the same key and the same list stand in many of them.
void Search::add_others(std::span<const GroupConfig> groups) {
    std::set<Key> keys{group_.key};
    std::set<List> lists{own_};
    for (const GroupConfig& other : groups) {
        if (keys.insert(other.key).second) other_keys_.push_back({other.key, KeyFound::of_group, other.name});
        if (lists.insert(list_of(other.addresses)).second) other_lists_.push_back(list_of(other.addresses));
    }
    for (const auto* all : {&own_lists_, &other_lists_})
        for (const List& list : *all)
            for (const InterfaceAddress& a : list) known_.push_back(a.address);
    std::sort(known_.begin(), known_.end());
    known_.erase(std::unique(known_.begin(), known_.end()), known_.end());
}

void Search::attempt(const KeyToTry& key, const List& list) {
    if (is_over()) return;
    --left_;
    const Authenticator authenticator(key.key, group_.vhid, list);
    if (!authenticator.verify(advertisement_.counter, advertisement_.digest)) return;
    finding_ = DigestFinding{key.is, key.group, list, without(own_, list), without(list, own_)};
}

void Search::attempt_each(const std::vector<KeyToTry>& keys, const std::vector<List>& lists) {
    for (const KeyToTry& key : keys)
        for (const List& list : lists) attempt(key, list);
}

// Of our own list, in all ways.
void Search::leave_out(std::size_t count) {
    if (count > own_.size()) return;
    std::vector<bool> is_out(own_.size());
    std::fill_n(is_out.begin(), count, true);
    do {
        List list;
        for (std::size_t i = 0; i < own_.size(); ++i)
            if (!is_out[i]) list.push_back(own_[i]);
        for (const KeyToTry& key : own_keys_) attempt(key, list);
    } while (!is_over() && std::prev_permutation(is_out.begin(), is_out.end()));
}

// Into our own list: besides the others, and in the place of each.
void Search::put_in(const IpAddress& address) {
    if (contains(own_, address)) return;
    List list = own_;
    list.push_back({address, address.bit_count()});
    for (const KeyToTry& key : own_keys_) attempt(key, list);
    list.pop_back();
    for (InterfaceAddress& place : list) {
        const InterfaceAddress was = std::exchange(place, {address, address.bit_count()});
        for (const KeyToTry& key : own_keys_) attempt(key, list);
        place = was;
    }
}

void Search::put_in_neighbours(unsigned bits) {
    for (const InterfaceAddress& of : own_) {
        const Bytes bytes = of.address.bytes();
        const unsigned first = read_u16(bytes, bytes.size() - 2) & ~((1u << bits) - 1);
        for (unsigned last = first; last < first + (1u << bits) && !is_over(); ++last)
            put_in(neighbour(of.address, last));
    }
}

std::optional<DigestFinding> Search::run() {
    for (const auto* keys : {&own_keys_, &disguised_keys_, &other_keys_}) attempt_each(*keys, own_lists_);
    for (const auto* keys : {&own_keys_, &disguised_keys_}) attempt_each(*keys, other_lists_);
    leave_out(1);
    for (const IpAddress& address : known_) put_in(address);
    leave_out(own_.size() - 1);  // ucarp signs one address only
    leave_out(2);
    put_in_neighbours(8);
    leave_out(3);
    put_in_neighbours(16);
    return std::move(finding_);
}

std::string joined(const std::vector<IpAddress>& addresses) {
    std::string text;
    for (const IpAddress& address : addresses) text += (text.empty() ? "" : ", ") + address.to_string();
    return text;
}

std::string key_in_words(const DigestFinding& finding) {
    switch (finding.key) {
        case KeyFound::own: break;
        case KeyFound::accepted: return "the sender's key is what is accepted besides ours";
        case KeyFound::none: return "the sender has no password";
        case KeyFound::cut_short:
            return "the sender's key is ours without its last character (NetBSD's ifconfig cuts it off)";
        case KeyFound::of_group: return "the sender's key is that of the group " + finding.group;
    }
    return "";
}

std::string list_in_words(const DigestFinding& finding, const GroupConfig& group) {
    const std::vector<IpAddress>& missing = finding.missing;
    const std::vector<IpAddress>& extra = finding.extra;
    if (finding.signed_.empty()) return "the sender signs no addresses at all";
    if (!missing.empty() && !extra.empty())
        return "the sender's list of addresses has " + joined(extra) + " in the place of " + joined(missing);
    if (!extra.empty())
        return "the sender's list of addresses has " + joined(extra) + ", which our list lacks";
    for (Family family : kFamilies) {
        const auto is_of = [family](const InterfaceAddress& a) { return a.address.family() == family; };
        const auto ours = std::count_if(group.addresses.begin(), group.addresses.end(), is_of);
        if (ours > 0 && std::none_of(finding.signed_.begin(), finding.signed_.end(), is_of) &&
            std::cmp_equal(missing.size(), ours))
            return std::string("the sender signs no ") + (family == Family::ipv4 ? "IPv4" : "IPv6") +
                   " addresses: its list lacks " + joined(missing);
    }
    return "the sender's list of addresses lacks " + joined(missing);
}

}  // namespace

std::optional<DigestFinding> search_digest(const Advertisement& advertisement, const GroupConfig& group,
                                           std::span<const GroupConfig> groups,
                                           std::span<const IpAddress> seen, std::size_t tries) {
    return Search(advertisement, group, groups, seen, tries).run();
}

const GroupConfig* signed_as(const Advertisement& advertisement, std::span<const GroupConfig> groups) {
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const GroupConfig& group) {
        return Authenticator(group.key, Vhid{advertisement.vhid}, group.addresses)
            .verify(advertisement.counter, advertisement.digest);
    });
    return found != groups.end() ? &*found : nullptr;
}

std::string in_words(const std::optional<DigestFinding>& finding, const GroupConfig& group) {
    if (!finding)
        return "neither a key of this configuration nor a similar list of addresses would make it right: "
               "most "
               "likely the password differs";
    const std::string key = key_in_words(*finding);
    if (finding->same_list()) return key.empty() ? "with this configuration it is right" : key;
    const std::string list = list_in_words(*finding, group);
    return key.empty() ? list : key + ", and " + list;
}

}  // namespace carpd
