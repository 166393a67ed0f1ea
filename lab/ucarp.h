// ucarp (Debian package), the foreign implementation on Linux, on a host of the lab. It is IPv4 only and one
// address a process; its scripts add and remove the address.
#pragma once

#include <string>

#include "lab/lab.h"

namespace carpd::lab {

struct UcarpOptions {
    std::string source;   // the host's own address
    std::string address;  // the shared one, prefix length 24
    std::string password;
    int vhid = 1, advbase = 1, advskew = 0;
    bool preempt = false;
};

// What runs it, after making its scripts.
Command ucarp_command(Host& host, const UcarpOptions& options);

class Ucarp {
 public:
    static bool installed();

    Ucarp(Host& host, const UcarpOptions& options);

    Process& process() { return process_; }
    std::string log() const { return process_.errors() + process_.output(); }
    // Whether it is MASTER: its up script ran last.
    bool is_master() const;
    bool wait_master(bool wanted, Span patience = 10s) const;
    // Orderly, which for ucarp means: the down script runs, and no bow-out is sent.
    int stop();
    void kill() { process_.signal_group(SIGKILL), process_.wait(5s); }

 private:
    Host& host_;
    std::string address_;
    Process process_;
};

}  // namespace carpd::lab
