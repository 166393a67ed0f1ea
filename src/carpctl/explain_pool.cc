// What a carpnode is in its pool (docs/protocol/balance.md).
#include <fmt/format.h>

#include "carpctl/explain_parts.h"

namespace carpd {

namespace {

std::string serves(const Json& balance) {
    const Json& master = balance.at("master");
    const bool is_at_home = balance.at("at_home").get<bool>();
    if (master.is_null()) return "No MASTER of it is known here.";
    const std::string host = master == "self" ? "This host" : printable(master.get<std::string>());
    if (is_at_home) return fmt::format("{} serves it, and is its home.", host);
    return fmt::format("{} took it over as a stand-in{}, until its own host is back.", host,
                       balance.at("hash") == "weighted"
                           ? ", and all hosts serve its clients as their weights have it"
                           : " and serves it");
}

// What a host's differing pool, or a switch, does to clients.
void explain_host_of(const Json& pool, const Json& host, Reasons& out) {
    const std::string name = host.at("host").is_null() ? "" : text(host, "host");
    if (host.at("pool") == "other")
        out.push_back({"pool_differs", fmt::format("{} has another balancing, hash, carpnodes or weights, so "
                                                   "that some clients are served twice "
                                                   "and others not at all: configure the same on all hosts.",
                                                   name)});
    if (host.at("probes") == "missing")
        out.push_back(
            {"probes_missing",
             fmt::format(
                 "Frames of {} to {} don't arrive here: a switch keeps them back, and clients may not reach "
                 "the host that serves them; see LOAD BALANCING in carpd.toml(5).",
                 name, pool.at("mac").is_null() ? "the pool" : text(pool, "mac"))});
    if (host.at("host").is_null())
        out.push_back({"share_unserved", fmt::format("Nobody is known to serve {} of the clients.",
                                                     percent(host.at("share")))});
}

}  // namespace

void explain_pool(const Json& group, Reasons& out) {
    const Json& balance = balance_of(group);
    if (balance.is_null()) return;
    const Json& master = balance.at("master");
    const std::string code = master.is_null()                    ? "share_unserved"
                             : balance.at("at_home").get<bool>() ? "share_at_home"
                                                                 : "share_away";
    out.push_back({code, fmt::format("It is carpnode {} of {} of the pool {}, with {} of the clients. {}",
                                     number(balance, "carpnode") + 1, number(balance, "carpnodes"),
                                     text(balance, "pool"), percent(balance.at("share")), serves(balance))});
}

Reasons explain_hosts(const Json& pool) {
    Reasons reasons;
    for (const Json& host : pool.at("hosts")) explain_host_of(pool, host, reasons);
    for (const Json& stray : pool.at("strays"))
        reasons.push_back(
            {"stray_carpnode",
             fmt::format("{} advertises vhid {} with the pool's password and addresses, which is no carpnode "
                         "here: configure the same carpnodes on all hosts.",
                         text(stray, "source"), number(stray, "vhid"))});
    if (const Json& settling = pool.at("settling_ms"); !settling.is_null())
        reasons.push_back(
            {"settling",
             fmt::format("A share has moved: for {} more connections stay on the hosts that have them.",
                         duration(settling))});
    return reasons;
}

}  // namespace carpd
