// Runs every tests/scenarios/*.txt. A line that begins with "> " is a command, the lines after it are what
// must happen; lines that begin with "#" say what the scenario shows. CARPD_REWRITE=1 writes what happened
// into the files, to be reviewed as a diff.
//
// > host NAME GROUP...
//       a host with groups, each NAME[:KEY=VALUE,...] with vhid, base, skew, preempt, password, mac, routed,
//       on (an interface, eth0 if not said), together, addresses and peers (joined by +);
//       pool=MODE/HASH/VHID[xWEIGHT]+...: it is a carpnode of the pool "pool"
// > run SECONDS
//       lets time pass
// > link HOST up|down|missing [INTERFACE]
// > sources HOST none
//       the interface, and its own addresses
// > stop|crash|revive HOST
//       orderly stop of carpd; sudden death of the whole host; start anew, with an empty memory
// > freeze|thaw HOST
//       carpd doesn't run, and runs again; what came meanwhile waits
// > reconfigure HOST GROUP...
// > request HOST GROUP master|backup
// > demote HOST GROUP NAME AMOUNT
// > failing HOST CHECK=AMOUNT|withdraw[@GROUP+GROUP]...
//       the checks of the host's health that fail now, and for which groups
// > commit-wait HOST MILLISECONDS
//       state synchronisation: so long new masters wait for their flows; 0: not at all
// > committed HOST GROUP
//       its flows are in the kernel
// > demote-for-sync HOST AMOUNT
// > fail-sends HOST N
// > fail-install HOST yes|no
// > cut A B [INTERFACE]
// > join A B [INTERFACE]
//       one-way loss from A to B, on one LAN or on all, and its end
// > lose ipv4|ipv6|nothing
//       loss of one family on the LAN
// > echo HOST
//       the LAN's last packet comes to HOST (again)
// > packets on|off
//       whether advertisements are shown
// > owners GROUP
//       whose data plane answers
// > clients POOL
//       how many of 1000 clients each host serves
// > switch floods|learns
//       whether frames to the MAC of a pool reach all hosts
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "world.h"

namespace carpd::scenario {
namespace {

using Words = std::vector<std::string>;

Words split(const std::string& text, char separator) {
    Words words;
    std::istringstream stream(text);
    for (std::string word; std::getline(stream, word, separator);)
        if (!word.empty()) words.push_back(word);
    return words;
}

InterfaceAddress address(const std::string& text) {
    const auto parsed = IpAddress::parse(text).value();
    return {parsed, static_cast<std::uint8_t>(parsed.family() == Family::ipv4 ? 24 : 64)};
}

BalanceConfig pool(const std::string& text) {
    const Words parts = split(text, '/');
    BalanceConfig pool;
    pool.pool = "pool";
    for (Balancing mode : {Balancing::ip, Balancing::ip_stealth, Balancing::ip_unicast, Balancing::arp})
        if (to_string(mode) == parts.at(0)) pool.mode = mode;
    pool.hash = parts.at(1) == "bsd" ? BalanceHash::bsd : BalanceHash::weighted;
    for (const std::string& carpnode : split(parts.at(2), '+')) {
        const Words numbers = split(carpnode, 'x');
        const int weight = numbers.size() > 1 ? std::stoi(numbers[1]) : 1;
        pool.carpnodes.push_back(
            {static_cast<std::uint8_t>(std::stoi(numbers[0])), 0, static_cast<std::uint8_t>(weight)});
    }
    return pool;
}

GroupConfig group(const std::string& text) {
    const std::size_t colon = text.find(':');
    GroupConfig config;
    config.name = text.substr(0, colon);
    config.interface = "eth0";
    config.vhid = Vhid{1};
    config.addresses = {address("192.0.2.100")};
    std::string password = "s3cret";
    for (const std::string& setting : split(colon == text.npos ? "" : text.substr(colon + 1), ',')) {
        const std::string key = setting.substr(0, setting.find('='));
        const std::string value = setting.substr(std::min(setting.size(), key.size() + 1));
        const auto number = [&] { return static_cast<std::uint8_t>(std::stoi(value)); };
        if (key == "vhid")
            config.vhid = Vhid{number()};
        else if (key == "base")
            config.advbase = AdvBase{number()};
        else if (key == "skew")
            config.advskew = AdvSkew{number()};
        else if (key == "preempt")
            config.preempt = true;
        else if (key == "preempt-delay")
            config.preempt_delay = std::chrono::seconds(number());
        else if (key == "in")
            for (const std::string& name : split(value, '+')) config.interface_groups.push_back(name);
        else if (key == "on")
            config.interface = value;
        else if (key == "accept-password")
            std::copy(value.begin(), value.end(), config.accept_key.emplace().begin());
        else if (key == "accept-addresses")
            for (const std::string& other : split(value, '+'))
                config.accept_addresses.push_back(address(other));
        else if (key == "pool")
            config.balance = SharedValue<BalanceConfig>(pool(value));
        else if (key == "together")
            config.together = value;
        else if (key == "routed")
            config.peer_routed = true;
        else if (key == "password")
            password = value;
        else if (key == "mac")
            config.mac = value == "virtual" ? MacMode::virtual_mac : MacMode::interface_mac;
        else if (key == "addresses") {
            config.addresses.clear();
            for (const std::string& a : split(value, '+')) config.addresses.push_back(address(a));
        } else if (key == "peers") {
            for (const std::string& a : split(value, '+'))
                config.peers.push_back(IpAddress::parse(a).value());
        } else {
            throw std::runtime_error("unknown group setting '" + key + "'");
        }
    }
    std::copy(password.begin(), password.end(), config.key.begin());
    return config;
}

FailingTrack track(const std::string& text) {
    const std::size_t equals = text.find('='), at = std::min(text.find('@'), text.size());
    const std::string effect = text.substr(equals + 1, at - equals - 1);
    FailingTrack track;
    track.name = text.substr(0, equals);
    track.withdraw = effect == "withdraw";
    if (!track.withdraw) track.demote = std::stoi(effect);
    track.groups = split(text.substr(std::min(at + 1, text.size())), '+');
    return track;
}

class Interpreter {
 public:
    // What `command` made happen.
    std::string execute(const Words& command) {
        world_.log.clear();
        const auto found = commands_.find(command.at(0));
        if (found == commands_.end()) throw std::runtime_error("unknown command '" + command[0] + "'");
        found->second(command);
        return world_.log;
    }

 private:
    void configure(Host& host, const Words& command, std::size_t first) {
        host.groups.clear();
        for (std::size_t i = first; i < command.size(); ++i) host.groups.push_back(group(command[i]));
        host.pump.input(world_.now, [&](Node& node, Actions& out) {
            node.configure(world_.now, share(host.groups), out);
            for (GroupId id = 0; id < node.group_slots(); ++id)
                if (node.group(id)) host.known[id] = node.group(id)->config();
        });
    }
    void set_link(Host& host) {
        for (InterfaceId id = 0; id < host.node.interfaces().size(); ++id) {
            LinkStatus link = host.link;
            link.running = host.is_running(host.node.interfaces()[id]);
            host.pump.input(world_.now,
                            [&](Node& node, Actions& out) { node.handle_link(world_.now, id, link, out); });
        }
    }
    // A process with an empty memory; what the last one installed was removed, as the daemon does at start.
    void revive(Host& host) {
        host.alive = true;
        host.owned.clear();
        host.node = Node(host.number + 100u);
        host.pump.input(world_.now, [&](Node& node, Actions& out) {
            node.configure(world_.now, share(host.groups), out);
        });
        set_link(host);
    }
    GroupId id_of(Host& host, const std::string& name) { return host.node.find_group(name).value(); }

    World world_;
    const std::map<std::string, std::function<void(const Words&)>> commands_ = {
        {"host",
         [this](const Words& c) {
             Host& host = world_.add_host(c.at(1));
             configure(host, c, 2);
             set_link(host);
         }},
        {"run",
         [this](const Words& c) {
             world_.run(
                 std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::stod(c.at(1)))));
         }},
        {"link",
         [this](const Words& c) {
             Host& host = world_.host(c.at(1));
             if (c.size() > 3) {
                 host.down.erase(c.at(3));
                 if (c.at(2) == "down") host.down.insert(c.at(3));
                 return set_link(host);
             }
             host.link.present = host.link.up = c.at(2) != "missing";
             host.link.running = c.at(2) == "up";
             set_link(host);
         }},
        {"sources",
         [this](const Words& c) {
             Host& host = world_.host(c.at(1));
             host.link.source4 = IpAddress::any(Family::ipv4);
             host.link.source6 = IpAddress::any(Family::ipv6);
             set_link(host);
         }},
        {"stop",
         [this](const Words& c) {
             Host& host = world_.host(c.at(1));
             host.pump.input(world_.now, [this](Node& node, Actions& out) { node.stop(world_.now, out); });
             host.alive = false;
         }},
        {"crash",
         [this](const Words& c) {
             Host& host = world_.host(c.at(1));
             host.alive = false;
             host.owned.clear();
         }},
        {"freeze", [this](const Words& c) { world_.host(c.at(1)).frozen = true; }},
        {"thaw", [this](const Words& c) { world_.host(c.at(1)).frozen = false; }},
        {"revive", [this](const Words& c) { revive(world_.host(c.at(1))); }},
        {"reconfigure", [this](const Words& c) { configure(world_.host(c.at(1)), c, 2); }},
        {"request",
         [this](const Words& c) {
             Host& host = world_.host(c.at(1));
             const State state = c.at(3) == "master" ? State::master : State::backup;
             host.pump.input(world_.now, [&](Node& node, Actions& out) {
                 if (!node.handle_request(world_.now, id_of(host, c.at(2)), state, out))
                     world_.note(host, "the request is refused in INIT");
             });
         }},
        {"demote",
         [this](const Words& c) {
             Host& host = world_.host(c.at(1));
             host.pump.input(world_.now, [&](Node& node, Actions& out) {
                 node.handle_demotion(world_.now, id_of(host, c.at(2)), c.at(3), std::stoi(c.at(4)), out);
             });
         }},
        {"demote-all",
         [this](const Words& c) {
             Host& host = world_.host(c.at(1));
             host.pump.input(world_.now, [&](Node& node, Actions& out) {
                 if (!node.demote_interface_group(world_.now, c.at(2), c.at(3), std::stoi(c.at(4)), kNever,
                                                  out))
                     world_.note(host, "too many demotions");
             });
         }},
        {"hold-down",
         [this](const Words& c) {
             Host& host = world_.host(c.at(1));
             host.pump.input(world_.now, [&](Node& node, Actions& out) {
                 node.hold_down(world_.now, world_.now + std::chrono::seconds(std::stoi(c.at(2))), out);
             });
         }},
        {"failing",
         [this](const Words& c) {
             Host& host = world_.host(c.at(1));
             std::vector<FailingTrack> failing;
             for (std::size_t i = 2; i < c.size(); ++i) failing.push_back(track(c[i]));
             host.pump.input(world_.now, [&](Node& node, Actions& out) {
                 node.handle_failing_tracks(world_.now, failing, out);
             });
         }},
        {"commit-wait",
         [this](const Words& c) {
             const auto wait = std::chrono::milliseconds(std::stoi(c.at(2)));
             world_.host(c.at(1)).pump.input(
                 world_.now, [&](Node& node, Actions& out) { node.set_commit_wait(world_.now, wait, out); });
         }},
        {"committed",
         [this](const Words& c) {
             Host& host = world_.host(c.at(1));
             host.pump.input(world_.now, [&](Node& node, Actions& out) {
                 node.handle_committed(world_.now, id_of(host, c.at(2)), out);
             });
         }},
        {"demote-for-sync",
         [this](const Words& c) {
             world_.host(c.at(1)).pump.input(world_.now, [&](Node& node, Actions& out) {
                 node.demote_for_sync(world_.now, std::stoi(c.at(2)), out);
             });
         }},
        {"fail-sends", [this](const Words& c) { world_.host(c.at(1)).failing_sends = std::stoi(c.at(2)); }},
        {"fail-install", [this](const Words& c) { world_.host(c.at(1)).install_works = c.at(2) == "no"; }},
        {"cut",
         [this](const Words& c) {
             world_.cut.insert({c.at(1), c.at(2), c.size() > 3 ? c.at(3) : ""});
         }},
        {"join",
         [this](const Words& c) {
             world_.cut.erase({c.at(1), c.at(2), c.size() > 3 ? c.at(3) : ""});
         }},
        {"lose",
         [this](const Words& c) {
             world_.lost_families.clear();
             if (c.at(1) == "ipv4") world_.lost_families.insert(Family::ipv4);
             if (c.at(1) == "ipv6") world_.lost_families.insert(Family::ipv6);
         }},
        {"echo",
         [this](const Words& c) {
             Host& host = world_.host(c.at(1));
             world_.inject(host, host.groups.at(0).interface, world_.last_packet);
             host.pump.wake(world_.now);
         }},
        {"packets", [this](const Words& c) { world_.show_packets = c.at(1) == "on"; }},
        {"clients",
         [this](const Words& c) { world_.log += "            " + world_.clients(c.at(1)) + "\n"; }},
        {"switch", [this](const Words& c) { world_.keeps_probes_back = c.at(1) == "learns"; }},
        {"owners", [this](const Words& c) { world_.log += "            " + world_.owners(c.at(1)) + "\n"; }},
    };
};

// The file as it would read if what happens is right.
std::string replay(const std::string& text) {
    Interpreter interpreter;
    std::string result;
    for (const std::string& line : split(text, '\n')) {
        if (line.rfind("#", 0) == 0) result += line + "\n";
        if (line.rfind("> ", 0) != 0) continue;
        result += line + "\n" + interpreter.execute(split(line.substr(2), ' '));
    }
    return result;
}

class Scenario : public testing::TestWithParam<std::string> {};

TEST_P(Scenario, HappensAsWritten) {
    const std::string path = std::string(CARPD_SOURCE_DIR "/tests/scenarios/") + GetParam() + ".txt";
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    ASSERT_FALSE(text.str().empty());
    const std::string happened = replay(text.str());
    if (std::getenv("CARPD_REWRITE"))
        std::ofstream(path) << happened;
    else
        EXPECT_EQ(happened, text.str()) << "replay with CARPD_REWRITE=1 to see the difference as a diff";
}

std::vector<std::string> scenario_names() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(CARPD_SOURCE_DIR "/tests/scenarios"))
        if (entry.path().extension() == ".txt") names.push_back(entry.path().stem());
    std::sort(names.begin(), names.end());
    return names;
}

INSTANTIATE_TEST_SUITE_P(All, Scenario, testing::ValuesIn(scenario_names()),
                         [](const auto& param) { return param.param; });

}  // namespace
}  // namespace carpd::scenario
