// What the reader of keepalived.conf is made of.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "import/draft.h"
#include "import/keepalived_tree.h"

namespace carpd {

// ---- values

// A name for carpd: without blanks.
std::string name_of(std::string text);
// Seconds with or without a fraction, as milliseconds; nothing if it is none, or more than 10^6 s.
std::optional<int> parse_ms(std::string_view text);
// Whole seconds, rounded up, within bounds; as it stands if it is no number.
std::string seconds_up(const std::string& text, int least, int most);

struct PlacedAddress {
    std::string text;
    std::string device;  // of `dev`
};
// Of a line of virtual_ipaddress.
std::vector<PlacedAddress> addresses_of(const Statement& s);

// ---- the election

struct KeepalivedPace {
    std::string priority = "100", interval = "1", version;
    Source priority_at, interval_at;
};
// VRRP's better priority is CARP's smaller advskew, so that both wait as long for a master that is silent.
void set_pace(const KeepalivedPace& pace, DraftGroup& group, Draft& draft);

// ---- scripts

// The arguments that keepalived gives a notify script.
struct Notified {
    std::string type, name, priority;
};
// A notify_* of a group; false if the statement is something else.
bool read_notify(const Statement& s, const Notified& what, const std::string& group, Draft& draft);
void read_include(const Statement& s, const std::vector<std::string>& given, Draft& draft);

// What is tracked, by all groups: a track for each thing and weight.
class KeepalivedTracks {
 public:
    explicit KeepalivedTracks(Draft& draft) : draft_(draft) {}

    static bool is_definition(const std::string& keyword);
    // vrrp_script and vrrp_track_process at the top; others are passed over.
    void define(const Statement& s);
    // track_*, of an instance or a sync group with these members; false if the statement is something else.
    bool read(const Statement& s, const std::vector<std::string>& groups);
    // Says what is wrong with definitions that nobody used.
    void finish();

 private:
    struct Definition {
        Source at;
        std::string subject, timing, weight;
        bool is_used = false;
    };
    void define_script(const Statement& s);
    void define_process(const Statement& s);
    void add(const Source& at, const std::string& name, const std::string& subject, const std::string& timing,
             const std::string& weight, const std::vector<std::string>& groups);

    Draft& draft_;
    std::map<std::string, Definition> scripts_, processes_;
};

}  // namespace carpd
