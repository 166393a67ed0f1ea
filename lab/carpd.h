// The real carpd on a host of the lab, and what it says of itself.
#pragma once

#include <sys/un.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lab/lab.h"

namespace carpd::lab {

// The programs under test: those of this build, unless CARPD or CARPCTL in the environment name others.
std::string carpd_program();
std::string carpctl_program();

// One line there and one back over a control socket; throws if nobody answers in time.
nlohmann::json ask(const std::string& socket, const nlohmann::json& request);

// A change as `carpctl monitor -j` tells it.
struct Event {
    Time heard;
    nlohmann::json json;
    std::string text(const std::string& key) const { return json.value(key, ""); }
};

class Carpd {
 public:
    // Starts it with `groups` (the configuration without `control`) and returns once it answers on its
    // control socket.
    Carpd(Host& host, const std::string& groups);
    ~Carpd();
    Carpd(const Carpd&) = delete;
    Carpd& operator=(const Carpd&) = delete;

    const std::string& socket() const { return socket_; }
    const std::string& config_file() const { return config_file_; }
    // The supervisor, and the engine that is its child.
    Process& process() { return process_; }
    pid_t engine_pid() const { return status().at("pid").get<pid_t>(); }
    std::string log() const { return process_.errors() + process_.output(); }

    // Another connection to its control socket.
    UniqueFd connect() const;
    nlohmann::json status() const { return ask(socket_, {{"command", "status"}}); }
    nlohmann::json group(const std::string& name) const;
    std::string state(const std::string& group) const { return group_text(group, "state"); }
    // How many packets were refused for `reason`: those that named this group, and those that named none of
    // ours.
    std::uint64_t refused(const std::string& group, const std::string& reason) const;
    // How often the group changed its state.
    std::uint64_t transitions(const std::string& group) const;
    bool wait_state(const std::string& group, const std::string& state, Span patience = 10s) const;
    // What changed since the start, as it was told.
    std::vector<Event> events() const;

    Result carpctl(std::vector<std::string> arguments) const;
    // Writes another configuration, whole at any time for whoever reads it.
    void write_config(const std::string& groups) const;
    // Writes it and sends SIGHUP.
    void reload(const std::string& groups);
    // Writes it and has it read, as `carpctl reload` does. It is in force on return; throws if it was
    // refused.
    void apply(const std::string& groups);
    // SIGTERM; returns the exit code.
    int stop();
    // SIGKILL to both processes.
    void kill() { process_.signal_group(SIGKILL), process_.wait(5s); }

 private:
    std::string group_text(const std::string& group, const std::string& key) const;
    void follow();

    Host& host_;
    std::string socket_, config_file_;
    Process process_;
    UniqueFd monitor_;
    mutable std::mutex mutex_;
    std::vector<Event> events_;
    std::thread follower_;
};

}  // namespace carpd::lab
