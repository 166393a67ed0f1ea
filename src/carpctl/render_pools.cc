#include "carpctl/render_pools.h"

#include <fmt/format.h>

#include "carpctl/parts.h"

namespace carpd {

namespace {

std::string host(const Json& name) {
    if (name.is_null()) return "nobody known";
    return name == "self" ? "this host" : printable(name.get<std::string>());
}

std::string human_bytes(double bytes) {
    constexpr const char* kUnits[] = {"bytes", "kB", "MB", "GB", "TB"};
    std::size_t unit = 0;
    for (; bytes >= 1000 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1000;
    return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, kUnits[unit]);
}

std::string heading(const Json& pool, const Paint& paint) {
    const Json& mac = pool.at("mac");
    return fmt::format("{} on {}: {}, {} hash{}, {}\n", paint.bold(text(pool, "name")),
                       text(pool, "interface"), text(pool, "mode"), text(pool, "hash"),
                       mac.is_null() ? "" : ", " + printable(mac.get<std::string>()),
                       join(pool.at("addresses"), " "));
}

// ---- the carpnodes

// Of a stand-in it is not, and of nobody there is nothing to say.
std::string at_home(const Json& balance) {
    if (balance.at("master").is_null()) return "-";
    return balance.at("at_home").get<bool>() ? "yes" : "no";
}

Row carpnode_row(const Json& group, bool is_weighted) {
    const Json& balance = group.at("balance");
    const int skew = number(group, "advskew"), effective = number(group, "effective_advskew");
    Row row = {text(group, "name"),
               upper(text(group, "state")),
               duration(group.at("since_ms")),
               skew == effective ? std::to_string(skew) : fmt::format("{} ({})", skew, effective),
               std::to_string(number(group, "demotion")),
               host(balance.at("master")),
               percent(balance.at("share")),
               at_home(balance)};
    if (is_weighted) row.insert(row.end() - 2, std::to_string(number(balance, "weight")));
    return row;
}

std::string carpnodes(const Json& groups, const Json& pool, const Paint& paint) {
    const bool is_weighted = pool.at("hash") == "weighted";
    Row header = {"CARPNODE", "STATE", "SINCE", "SKEW", "DEMOTION", "MASTER", "SHARE", "AT HOME"};
    if (is_weighted) header.insert(header.end() - 2, "WEIGHT");
    std::vector<Row> rows = {header};
    std::vector<std::string> states;
    for (const Json& group : groups) {
        const Json& balance = balance_of(group);
        if (balance.is_null() || balance.at("pool") != pool.at("name")) continue;
        rows.push_back(carpnode_row(group, is_weighted));
        states.push_back(text(group, "state"));
    }
    const std::size_t before_state = column_widths(rows)[0] + 2;
    const auto lines = aligned(rows);
    std::string out = "  " + paint.dim(lines[0]) + "\n";
    for (std::size_t i = 1; i < lines.size(); ++i) {
        // The columns are counted in characters, the state's place in bytes of this very row.
        const std::size_t at = pad(rows[i][0], before_state).size(), length = rows[i][1].size();
        out += "  " + lines[i].substr(0, at) + paint.state(states[i - 1], lines[i].substr(at, length)) +
               lines[i].substr(at + length) + "\n";
    }
    return out;
}

// ---- the hosts

std::string_view agrees(const Json& host) {
    if (host.at("pool").is_null()) return "-";
    if (host.at("pool") == "other" || host.at("probes") == "missing") return "NO";
    return host.at("pool") == "same" ? "yes" : "unknown";
}

std::string hosts(const Json& pool, const Paint& paint) {
    std::vector<Row> rows = {{"HOST", "SHARE", "AGREES", "CARPNODES"}};
    for (const Json& one : pool.at("hosts")) {
        std::string vhids;
        for (const Json& vhid : one.at("carpnodes"))
            vhids += fmt::format("{}{}", vhids.empty() ? "" : " ", integer<int>(vhid));
        rows.push_back({host(one.at("host")), percent(one.at("share")), std::string(agrees(one)), vhids});
    }
    const auto lines = aligned(rows);
    std::string out = "  " + paint.dim(lines[0]) + "\n";
    for (std::size_t i = 1; i < lines.size(); ++i) {
        const bool is_trouble = rows[i][2] == "NO" || pool.at("hosts")[i - 1].at("host").is_null();
        out += "  " + (is_trouble ? paint.warning(lines[i]) : lines[i]) + "\n";
    }
    return out;
}

std::string traffic(const Json& pool) {
    const Json& traffic = pool.at("traffic");
    if (traffic.is_null()) return {};
    return fmt::format("  this host served {} packets, {}, and left {} packets to others\n",
                       count(traffic, "packets"), human_bytes(traffic.at("bytes").get<double>()),
                       count(traffic, "packets_of_others"));
}

// ---- a client

// "the 2nd of 3 carpnodes"
std::string place(const Json& answer, const Json& pool) {
    const int place = number(answer, "carpnode") + 1;
    const char* ending = place % 10 == 1 && place != 11   ? "st"
                         : place % 10 == 2 && place != 12 ? "nd"
                         : place % 10 == 3 && place != 13 ? "rd"
                                                          : "th";
    return fmt::format("the {}{} of {} carpnodes", place, ending, number(pool, "carpnodes"));
}

std::string why(const Json& answer, const Json& pool) {
    const bool is_by_ip = pool.at("mode") != "arp";
    const std::string hash = fmt::format(
        "{} to {}", is_by_ip ? "The two addresses hash" : "The client's MAC hashes", count(answer, "hash"));
    if (!answer.contains("slot"))
        return fmt::format("{}, which mod {} is {}: {}.", hash, number(pool, "carpnodes"),
                           number(answer, "carpnode"), place(answer, pool));
    const std::string slot = fmt::format("{}, slot {} of 4096", hash, number(answer, "slot"));
    if (number(answer, "slot_of_vhid") == number(answer, "vhid"))
        return fmt::format("{}, which by weight belongs to vhid {}: {}.", slot, number(answer, "vhid"),
                           place(answer, pool));
    return fmt::format(
        "{}, which by weight belongs to vhid {}; that is not at home, so it is vhid {}'s meanwhile: {}.",
        slot, number(answer, "slot_of_vhid"), number(answer, "vhid"), place(answer, pool));
}

std::string who(const Json& answer) {
    const std::string group = text(answer, "group");
    const Json& master = answer.at("master");
    if (master.is_null())
        return fmt::format(
            "by nobody: no MASTER of {} is known; the next host takes over when it has heard none for long "
            "enough",
            group);
    return fmt::format("by {}, MASTER of {}{}", host(master), group,
                       answer.at("at_home").get<bool>()
                           ? ""
                           : " as a stand-in: it has another carpnode with a lower advskew");
}

std::string of_pool(const Json& answer, const Json& pool, const Paint& paint) {
    const std::string name = paint.bold(text(pool, "name")) + ": ";
    if (pool.at("needs") == "mac")
        return name + "ARP balancing shares clients by their MAC, which isn't known; see --client MAC.\n";
    if (pool.at("needs") == "address")
        return name + "shares clients by their IP address; give that to --client.\n";
    if (pool.at("answers").empty()) return name + "has no address of the client's family.\n";
    const Json& client = answer.at(answer.at("address").is_null() ? "mac" : "address");
    std::string out;
    for (const Json& one : pool.at("answers"))
        out += fmt::format("{}{} is served at {} {}.\n  {}\n", name, printable(client.get<std::string>()),
                           text(one, "address"), who(one), why(one, pool));
    if (const Json& settling = pool.at("settling_ms"); !settling.is_null())
        out += fmt::format(
            "  The pool is settling for {} more: a TCP connection that another host has stays there.\n",
            duration(settling));
    return out;
}

}  // namespace

std::string render_pools(const Json& status, const Paint& paint) {
    std::string out;
    for (const Json& pool : pools_of(status))
        out += (out.empty() ? "" : "\n") + heading(pool, paint) +
               carpnodes(status.at("groups"), pool, paint) + hosts(pool, paint) + traffic(pool);
    return out;
}

std::string render_client(const Json& answer, const Paint& paint) {
    std::string out;
    for (const Json& pool : answer.at("pools")) out += of_pool(answer, pool, paint);
    return out.empty() ? "no group here is a pool: each has one MASTER, who serves all clients\n" : out;
}

}  // namespace carpd
