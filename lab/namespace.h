// A network namespace: one host's, or the switch's, own network stack in this kernel. It has a name under
// /run/netns, so `ip netns exec` reaches it while the lab runs, and the name tells whose it is:
// cpd<pid>-<name>.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "linux/unique_fd.h"

namespace carpd::lab {

class Namespace {
 public:
    explicit Namespace(const std::string& name);
    ~Namespace();
    Namespace(const Namespace&) = delete;
    Namespace& operator=(const Namespace&) = delete;

    const std::string& name() const { return name_; }
    int descriptor() const { return descriptor_.get(); }

    // Runs `work` inside, in a thread of its own: the calling thread stays where it is.
    void inside(const std::function<void()>& work) const;
    // A socket that belongs to this namespace, to be used from any thread.
    UniqueFd socket(int domain, int type, int protocol) const;
    // Writes a kernel parameter, for instance "net/ipv4/ip_forward".
    void set(const std::string& parameter, const std::string& value) const;
    bool has(const std::string& parameter) const;
    // Runs `ip -batch` inside: one command a line.
    void ip(const std::string& commands) const;
    // Those whose main thread is inside.
    std::vector<pid_t> processes() const;
    // SIGKILL to every process inside, by its pid.
    void kill_all() const;

 private:
    std::string name_;
    UniqueFd descriptor_;
};

// Removes what earlier runs left behind: namespaces whose name holds the pid of a process that is gone, with
// what runs in them. Namespaces of living labs are not touched.
void remove_leftovers();

}  // namespace carpd::lab
