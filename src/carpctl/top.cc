#include "carpctl/top.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "carpctl/render_pools.h"
#include "control/human.h"

namespace carpd {

namespace {

constexpr int kFine = 9;

// The smaller the worse.
int trouble_of(const Json& group, bool is_refusing) {
    if (group.at("state") == "init") return 0;
    if (group.value("hears_rival", false)) return 1;
    if (is_refusing) return 2;
    if (group.value("waits_for_flows", false)) return 3;
    if (number(group, "demotion") != 0) return 4;
    if (group.at("state") == "backup" && group.at("last_heard").is_null()) return 5;
    return kFine;
}

std::string note_of(const Json& group) {
    if (group.at("state") == "init") return text(group, "reason");
    if (group.value("hears_rival", false)) return "another MASTER advertises";
    if (group.value("waits_for_flows", false)) return "waits for flows";
    std::string reasons;
    for (const auto& [name, amount] : group.at("demotion_reasons").items())
        reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", printable(name), integer<int>(amount));
    return reasons;
}

std::string master_of(const Json& group) {
    if (group.at("state") == "master") return "this host";
    const Json& heard = group.at("last_heard");
    return group.at("state") == "init" || heard.is_null() ? "none heard" : text(heard, "source");
}

std::string rate(double per_second) {
    return per_second < 10 ? fmt::format("{:.1f}", per_second) : fmt::format("{:.0f}", per_second);
}

// As much as a line of so many columns has; 0: all.
std::string cut(const std::string& text, std::size_t columns) {
    if (columns == 0) return text;
    std::size_t seen = 0;
    for (std::size_t i = 0; i < text.size(); ++i)
        if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80 && seen++ == columns)
            return text.substr(0, i);
    return text;
}

std::string sync_line(const Json& status) {
    const Json& sync = status.at("sync");
    if (sync.is_null()) return "";
    const std::string incomplete = text(sync, "incomplete");
    return fmt::format(
        "sync: {}, {} of {} peers\n",
        incomplete == "no" ? "complete" : "INCOMPLETE: " + std::string(explain_incomplete(incomplete)),
        number(sync, "peers_up"), number(sync, "peers"));
}

std::string failing_checks(const Json& status) {
    std::string out;
    for (const Json& track : status.at("tracks"))
        if (!track.at("passed").get<bool>())
            out += fmt::format("{}{} ({})", out.empty() ? "failing checks: " : ", ", text(track, "name"),
                               text(track, "why"));
    return out.empty() ? "" : out + "\n";
}

std::size_t line_count(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

// The first `most` lines.
std::string head(const std::string& text, std::size_t most) {
    std::size_t end = 0;
    for (; most > 0 && end < text.size(); --most) end = text.find('\n', end) + 1;
    return text.substr(0, end);
}

}  // namespace

Top::Counts Top::counts_of(const Json& group) {
    const Json& c = group.at("counters");
    Counts counts;
    counts.received = count(c, "advertisements_received_ipv4") + count(c, "advertisements_received_ipv6");
    counts.sent = count(c, "advertisements_sent_ipv4") + count(c, "advertisements_sent_ipv6");
    for (const auto& [reason, number] : c.at("dropped").items()) {
        const auto refused = integer<std::uint64_t>(number);
        if (refused == 0) continue;
        counts.refused += refused;
        counts.refusals[reason] = refused;
    }
    return counts;
}

std::optional<Top::Rates> Top::rates_of(const std::string& name, const Counts& now, double seconds) const {
    const auto found = before_.find(name);
    if (found == before_.end() || seconds <= 0) return std::nullopt;
    const Counts& before = found->second;
    const auto each_second = [seconds](std::uint64_t to, std::uint64_t from) {
        return to > from ? static_cast<double>(to - from) / seconds : 0;  // less: it was removed and is new
    };
    Rates rates{each_second(now.received, before.received), each_second(now.sent, before.sent),
                each_second(now.refused, before.refused)};
    double most = 0;
    for (const auto& [reason, number] : now.refusals) {
        const auto had = before.refusals.find(reason);
        const double one = each_second(number, had != before.refusals.end() ? had->second : 0);
        if (one > most) rates.worst = reason;
        most = std::max(most, one);
    }
    return rates;
}

std::vector<Top::Line> Top::lines_of(const Json& groups, double seconds) {
    std::vector<Line> lines;
    std::map<std::string, Counts> counts;
    for (const Json& group : groups) {
        const std::string name = group.at("name").get<std::string>();
        Counts now = counts_of(group);
        auto rates = rates_of(name, now, seconds);
        const bool is_refusing = rates && rates->refused > 0;
        lines.push_back({&group, std::move(rates), trouble_of(group, is_refusing)});
        counts[name] = std::move(now);
    }
    before_ = std::move(counts);
    std::stable_sort(lines.begin(), lines.end(),
                     [](const Line& a, const Line& b) { return a.trouble < b.trouble; });
    return lines;
}

std::string Top::heading(const Json& status, const std::vector<Line>& lines) const {
    std::size_t masters = 0, backups = 0, troubled = 0;
    Rates all;
    for (const Line& line : lines) {
        masters += line.group->at("state") == "master" ? 1 : 0;
        backups += line.group->at("state") == "backup" ? 1 : 0;
        troubled += line.trouble != kFine ? 1 : 0;
        if (!line.rates) continue;
        all.received += line.rates->received;
        all.sent += line.rates->sent;
        all.refused += line.rates->refused;
    }
    return fmt::format("carpd for {}: {} group{}, {} MASTER, {} BACKUP, {} INIT; {} in trouble\n",
                       duration(status.at("running_ms")), lines.size(), lines.size() == 1 ? "" : "s", masters,
                       backups, lines.size() - masters - backups, troubled) +
           fmt::format("advertisements: {}/s in, {}/s out, {}/s refused\n", rate(all.received),
                       rate(all.sent), rate(all.refused));
}

std::string Top::table(const std::vector<Line>& lines, std::size_t shown, std::size_t columns) const {
    std::vector<Row> rows = {
        {"GROUP", "STATE", "SINCE", "MASTER", "IN/s", "OUT/s", "REFUSED/s", "DEMOTION", "NOTE"}};
    for (std::size_t i = 0; i < shown; ++i) {
        const auto& [group, rates, trouble] = lines[i];
        std::string refused = rates ? rate(rates->refused) : "-";
        if (rates && !rates->worst.empty()) refused += " " + printable(rates->worst);
        rows.push_back({text(*group, "name"), upper(text(*group, "state")), duration(group->at("since_ms")),
                        master_of(*group), rates ? rate(rates->received) : "-",
                        rates ? rate(rates->sent) : "-", refused, std::to_string(number(*group, "demotion")),
                        note_of(*group)});
    }
    const auto texts = aligned(rows);
    std::string out = paint_.dim(cut(texts[0], columns)) + "\n";
    for (std::size_t i = 0; i < shown; ++i) {
        const std::string line = cut(texts[i + 1], columns);
        out += (lines[i].trouble == 0       ? paint_.state("init", line)
                : lines[i].trouble != kFine ? paint_.warning(line)
                                            : line) +
               "\n";
    }
    return out;
}

std::string Top::frame(const Json& status, std::chrono::nanoseconds at, ScreenSize size) {
    const auto pid = status.at("pid").get<std::int64_t>();
    if (std::exchange(pid_, pid) != pid) before_.clear();  // another engine counts from 0
    const double seconds = std::chrono::duration<double>(at - std::exchange(before_at_, at)).count();
    const std::vector<Line> lines = lines_of(status.at("groups"), seconds);

    std::string above;
    for (const std::string& part : {heading(status, lines), sync_line(status), failing_checks(status)})
        for (std::size_t from = 0; from < part.size(); from = part.find('\n', from) + 1)
            above += cut(part.substr(from, part.find('\n', from) - from), size.columns) + "\n";
    // Colours would be cut, too, and a pool's line is short.
    std::string pools = render_pools(status, Paint(false));
    if (size.rows != 0) pools = head(pools, size.rows / 3);
    above += pools + "\n";

    std::size_t shown = lines.size();
    const std::size_t needed = line_count(above) + 1 + shown;  // with the table's first line
    if (size.rows != 0 && needed > size.rows) {
        const std::size_t around = line_count(above) + 2;  // and that of what is left out
        shown = size.rows > around ? std::min(shown, size.rows - around) : 0;
    }
    std::string out = above + table(lines, shown, size.columns);
    if (shown < lines.size())
        out += cut(fmt::format("and {} more groups", lines.size() - shown), size.columns) + "\n";
    return size.rows != 0 ? head(out, size.rows) : out;
}

}  // namespace carpd
