// A small network of real kernels: hosts in network namespaces, each with its Ethernet interfaces on a
// learning switch (a Linux bridge in a namespace of its own), and the ways in which such a network breaks.
//
//   Lab lab;
//   Host& alpha = lab.add_host("alpha", {"192.0.2.1/24", "2001:db8::1/64"});
//   alpha.run({"ping", "-c1", "192.0.2.2"});
//   alpha.power_off();
//
// The lab serves the demo, the tests and the measurements. It needs root. Everything it makes is gone when
// its objects are, and what a killed run left is removed by the next lab.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/addresses.h"
#include "lab/namespace.h"
#include "lab/process.h"
#include "linux/unique_fd.h"

namespace carpd::lab {

class Lab;
class Responder;

// Empty if a lab can be built here; otherwise why not.
std::string why_no_lab();

// Fault injection at the switch: one bridge port, by rtnetlink messages that take microseconds.
class SwitchPort {
 public:
    SwitchPort(const Namespace& space, std::string name);
    const std::string& name() const { return name_; }
    int index() const { return index_; }
    // The cable: without it the host's interface loses its carrier.
    void set_plugged(bool plugged);
    // Whether the switch forwards frames from and to the port. The host can't tell.
    void set_forwarding(bool forwarding);

 private:
    UniqueFd netlink_;
    std::string name_;
    int index_;
};

class Host {
 public:
    Host(Lab& lab, const std::string& name, std::uint8_t number);
    ~Host();

    const std::string& name() const { return name_; }
    std::uint8_t number() const { return number_; }  // its place in the lab, from 0
    const Namespace& space() const { return space_; }
    Lab& lab() { return lab_; }

    // Adds an interface with these addresses, connected to the lab's segment `segment`.
    void attach(const std::string& interface, int segment, const std::vector<std::string>& addresses);
    // Deletes it, as when a network card is pulled.
    void detach(const std::string& interface);
    SwitchPort& port(const std::string& interface = "eth0");
    MacAddress mac(const std::string& interface = "eth0") const;

    Result run(std::vector<std::string> argv) const { return lab::run({std::move(argv), &space_}); }
    Process spawn(std::vector<std::string> argv) const { return Process({std::move(argv), &space_}); }
    void ip(const std::string& commands) const { space_.ip(commands); }
    void set(const std::string& parameter, const std::string& value) const { space_.set(parameter, value); }

    // Answers the probes' requests (lab/probe.h) from now on, from whatever address they were sent to.
    void serve();

    void cut() { port().set_plugged(false); }
    void restore() { port().set_plugged(true); }
    // The whole host dies: its processes, and both directions of its cables, without a signal to anyone.
    void power_off();
    // Its cables work again; the processes are gone.
    void power_on();

 private:
    Lab& lab_;
    std::string name_;
    std::uint8_t number_;
    Namespace space_;
    std::deque<std::pair<std::string, SwitchPort>> ports_;
    std::unique_ptr<Responder> responder_;
};

class Lab {
 public:
    Lab();
    ~Lab();

    // A host whose eth0 is on segment 0.
    Host& add_host(const std::string& name, const std::vector<std::string>& addresses);
    // A host without interfaces.
    Host& add_host(const std::string& name);
    Host& host(std::uint8_t number) { return hosts_.at(number); }
    const Namespace& switch_space() const { return switch_; }
    // Makes segment `number`'s bridge unless it is there already; returns its name.
    std::string segment(int number);
    // Segment 0 is a hub from now on: every frame comes to all.
    void make_hub();
    // Its switch listens to who joins which multicast group, asks for that all the time, and keeps back what
    // nobody joined.
    void make_snooping();
    // A folder for files of this lab.
    const std::string& folder() const { return folder_; }
    // In which its daemons keep what outlives them; there once one does.
    std::string state_folder() const { return folder_ + "/state"; }

 private:
    std::string folder_;
    Namespace switch_;
    std::vector<int> segments_;
    std::deque<Host> hosts_;  // after the switch: they go first
};

}  // namespace carpd::lab
