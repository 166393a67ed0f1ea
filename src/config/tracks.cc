#include "config/tracks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "carp/node.h"
#include "config/nearest.h"
#include "config/subjects.h"

namespace carpd {

namespace {

constexpr std::array<std::string_view, 19> kTrackKeys = {
    "status", "name",     "interface", "route",    "gateway", "tcp",  "http", "process", "file",  "script",
    "demote", "withdraw", "groups",    "interval", "timeout", "rise", "fall", "probe",   "device"};
constexpr int kMostSeconds = 3600, kMostInARow = 100, kMostDemote = 240;

class TrackReader {
 public:
    TrackReader(Reader& reader, const GroupNames& groups) : reader_(reader), groups_(groups) {}

    std::optional<TrackConfig> read(const toml::table& table) {
        const std::size_t errors_before = reader_.errors().size();
        TrackConfig track;
        reader_.refuse_unknown_keys(table, kTrackKeys);
        read_name(table, track);
        read_subject(table, track);
        read_effect(table, track);
        read_timing(table, track);
        if (reader_.errors().size() != errors_before) return std::nullopt;
        return track;
    }

 private:
    void read_name(const toml::table& table, TrackConfig& track) {
        const toml::node* node = table.get("name");
        if (node == nullptr)
            return reader_.fail(position_of(table), "the track has no name",
                                "add one that says what it looks at, like \"uplink\"");
        const auto name = reader_.text(*node, "name");
        if (!name) return;
        const Position at = position_of(*node);
        if (const auto complaint = check_track_name(*name)) return reader_.fail(at, *complaint);
        const auto [found, is_new] = names_.try_emplace(*name, at.line);
        if (!is_new)
            reader_.fail(at, fmt::format("name '{}' is used twice", *name),
                         fmt::format("the track of line {} has it already", found->second));
        track.name = *name;
    }

    void read_subject(const toml::table& table, TrackConfig& track) {
        std::string_view found;
        for (std::string_view key : kSubjectKeys) {
            const toml::node* node = table.get(key);
            if (node == nullptr) continue;
            if (!found.empty())
                return reader_.fail(position_of(*node),
                                    fmt::format("{} and {} are given together", found, key),
                                    "a track looks at one thing; write another [[track]]");
            found = key;
            if (auto subject = read_subject_of(reader_, table, *node, key))
                track.subject = std::move(*subject);
        }
        if (found.empty())
            return reader_.fail(position_of(table), "the track looks at nothing",
                                fmt::format("add one of {}", fmt::join(kSubjectKeys, ", ")));
        for (const auto& [key, needed] :
             {std::pair("probe", "gateway"), {"device", "gateway"}, {"status", "http"}})
            if (const toml::node* node = table.get(key); node != nullptr && found != needed)
                reader_.fail(position_of(*node), fmt::format("{} is given, but no {}", key, needed),
                             "remove it");
        // What is no measurement needs no second one.
        if (found == "interface" || found == "route" || found == "file") track.rise = track.fall = 1;
    }

    void read_effect(const toml::table& table, TrackConfig& track) {
        if (const auto withdraw = reader_.flag(table, "withdraw")) track.withdraw = *withdraw;
        if (const toml::node* node = table.get("demote")) {
            track.demote = reader_.number(*node, "demote", 1, kMostDemote).value_or(1);
            if (track.withdraw)
                reader_.fail(position_of(*node), "demote and withdraw are given together",
                             "a group that leaves the election needs no demotion; keep one of them");
        }
        if (const toml::node* node = table.get("groups")) track.groups = reader_.group_names(*node, groups_);
        check_number_of_tracks(table, track);
    }

    // Every track of a group is one of its demotion's contributions, of which there is room for so many.
    void check_number_of_tracks(const toml::table& table, const TrackConfig& track) {
        for (const auto& [group, what] : groups_) {
            const auto& of = track.groups;
            if (what.is_pool) continue;  // its carpnodes are counted
            if (!of.empty() && std::find(of.begin(), of.end(), group) == of.end()) continue;
            if (++tracks_of_[group] == Node::kMaxTracks + 1)
                reader_.fail(position_of(table),
                             fmt::format("group '{}' has more than {} tracks", group, Node::kMaxTracks),
                             "a script can look at several things at once");
        }
    }

    void read_timing(const toml::table& table, TrackConfig& track) {
        const toml::node* timeout = table.get("timeout");
        track.interval = seconds(table, "interval", track.interval);
        track.timeout = seconds(table, "timeout", track.timeout);
        if (timeout != nullptr && track.timeout > track.interval)
            reader_.fail(position_of(*timeout), "timeout is longer than interval",
                         fmt::format("a check ends before the next begins: {} s at most",
                                     track.interval / std::chrono::seconds(1)));
        if (const toml::node* node = table.get("rise"))
            track.rise = reader_.number(*node, "rise", 1, kMostInARow).value_or(1);
        if (const toml::node* node = table.get("fall"))
            track.fall = reader_.number(*node, "fall", 1, kMostInARow).value_or(1);
    }

    Duration seconds(const toml::table& table, std::string_view key, Duration otherwise) {
        const toml::node* node = table.get(key);
        const auto value = node != nullptr ? reader_.number(*node, key, 1, kMostSeconds) : std::nullopt;
        return value ? Duration(std::chrono::seconds(*value)) : otherwise;
    }

    Reader& reader_;
    const GroupNames& groups_;
    std::map<std::string, std::uint32_t> names_;
    std::map<std::string, std::size_t> tracks_of_;
};

}  // namespace

std::vector<TrackConfig> read_tracks(Reader& reader, const toml::node& node, const GroupNames& groups) {
    std::vector<TrackConfig> tracks;
    const toml::array* sections = reader.sections(node, "track");
    if (sections == nullptr) return tracks;
    TrackReader track_reader(reader, groups);
    for (const toml::node& element : *sections)
        if (auto track = track_reader.read(*element.as_table())) tracks.push_back(std::move(*track));
    if (sections->size() > kMostTracks)
        reader.fail(position_of(node), fmt::format("there are {} tracks", sections->size()),
                    fmt::format("there may be {}", kMostTracks));
    return tracks;
}

}  // namespace carpd
