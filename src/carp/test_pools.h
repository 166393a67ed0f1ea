// For tests of load balancing: one of a pool's hosts, and the network around it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "carp/node.h"

namespace carpd {

// One of the pool's hosts, 192.0.2.1, and the network around it. What it sends works, as does what it
// installs.
class Pools : public testing::Test {
 protected:
    static IpAddress ip(const std::string& text) { return IpAddress::parse(text).value(); }

    // A pool of three carpnodes, as a host sees it that is to have the one with vhid `own`.
    static std::vector<GroupConfig> pool(std::uint8_t own, BalanceHash hash = BalanceHash::weighted,
                                         Balancing mode = Balancing::ip) {
        BalanceConfig balance;
        balance.pool = "web";
        balance.mode = mode;
        balance.hash = hash;
        for (std::uint8_t vhid = 1; vhid <= 3; ++vhid)
            balance.carpnodes.push_back({vhid, static_cast<std::uint8_t>(vhid == own ? 0 : 100), 1});
        const SharedValue<BalanceConfig> shared(balance);
        std::vector<GroupConfig> groups;
        for (const Carpnode& each : balance.carpnodes) {
            GroupConfig& group = groups.emplace_back();
            group.name = "web:" + std::to_string(each.vhid);
            group.interface = "eth0";
            group.vhid = Vhid{each.vhid};
            group.advskew = AdvSkew{each.advskew};
            group.preempt = true;
            group.addresses = {{ip("192.0.2.100"), 24}};
            group.key = {'k'};
            group.balance = shared;
        }
        return groups;
    }

    void start(std::vector<GroupConfig> groups) {
        configure(std::move(groups));
        node.handle_link(now, 0, good_link(), out);
        settle();
    }
    static LinkStatus good_link() {
        LinkStatus link;
        link.present = link.up = link.running = true;
        link.source4 = ip("192.0.2.1");
        link.source6 = ip("fe80::1");
        return link;
    }
    void configure(std::vector<GroupConfig> groups) {
        node.configure(now, share(std::move(groups)), out);
        settle();
    }
    // Performs what the node wants, and keeps it in `done`.
    void settle() {
        while (!out.empty()) {
            const Actions wanted = std::exchange(out, {});
            for (const Action& action : wanted) {
                done.push_back(action);
                if (const auto* set = std::get_if<SetPool>(&action)) pool_is = *set;
                if (const auto* send = std::get_if<SendAdvertisement>(&action); send && sends)
                    node.handle_send_result(now, send->group, true, out);
                if (const auto* install = std::get_if<InstallAddresses>(&action))
                    node.handle_install_result(now, install->group, true, out);
            }
        }
    }
    void pass(Duration time) {
        for (const Instant end = now + time; now < end;) {
            now = std::min(end, std::max(now, node.next_deadline()));
            node.handle_timer(now, out);
            settle();
        }
    }
    // 192.0.2.`host` advertises the carpnode.
    Receipt hear(int host, std::uint8_t vhid, std::uint8_t advskew, std::uint8_t demote = 0) {
        Advertisement a;
        a.vhid = vhid;
        a.advbase = advskew == 255 ? 255 : 1;
        a.advskew = advskew;
        a.demote = demote;
        return hear(host, a);
    }
    Receipt hear(int host, Advertisement a, std::uint16_t mark = 0, const char* to = "224.0.0.18") {
        const GroupConfig config = pool(0)[0];
        a.counter = counter++;
        a.digest = Authenticator(config.key, Vhid{a.vhid}, config.addresses).sign(a.counter);
        const AdvertisementPacket packet(ip("192.0.2." + std::to_string(host)), ip(to), encode(a), mark);
        const Receipt receipt = node.handle_packet(now, 0, packet.bytes(), out);
        settle();
        return receipt;
    }
    // For so long the others advertise what is theirs, with `mark`.
    void live(Duration time, const std::vector<std::pair<int, std::uint8_t>>& others,
              std::uint16_t mark = 0) {
        for (const Instant end = now + time; now < end;
             pass(std::min<Duration>(std::chrono::seconds(1), end - now)))
            for (const auto& [host, vhid] : others)
                hear(host, advertisement(vhid, vhid == host ? 0 : 100), mark);
    }
    static Advertisement advertisement(std::uint8_t vhid, std::uint8_t advskew = 0) {
        Advertisement a;
        a.vhid = vhid;
        a.advbase = 1;
        a.advskew = advskew;
        return a;
    }
    std::vector<PoolNews> news() const {
        std::vector<PoolNews> all_news;
        for (const ReportPool& report : all<ReportPool>()) all_news.push_back(report.news);
        return all_news;
    }
    std::uint16_t own_mark() const { return fingerprint_of(balancer().config()); }
    const PoolPeers::Peer peer() const { return balancer().peers().peers(now).at(0); }
    template <class T>
    std::vector<T> all() const {
        std::vector<T> found;
        for (const Action& action : done)
            if (const auto* is = std::get_if<T>(&action)) found.push_back(*is);
        return found;
    }
    State state(std::uint8_t vhid) const { return node.group(vhid - 1u)->state(); }
    const Balancer& balancer() const { return *node.pool(0); }
    bool settles() const { return pool_is.settling_until > now; }

    Node node{1};
    Instant now{std::chrono::hours(1)};
    Actions out;
    Actions done;
    SetPool pool_is{};
    std::uint64_t counter = 1000;
    bool sends = true;  // otherwise what becomes of it is still to come
};

}  // namespace carpd
