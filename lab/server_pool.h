// Servers that share their addresses and are at work at the same time (docs/protocol/balance.md), as people
// build them: each is at home with a carpnode of its own, and stands in for the others.
//
//   ServerPool pool(lab, {.balancing = "ip"});
//   Crowd crowd(lab, 500, Crowd::Place::beyond_router);
//   pool.start();
//   ... questions of the crowd to kPool4 and kPool6 ...
//   pool.server(1).power_off();
#pragma once

#include <fmt/format.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "lab/carpd.h"
#include "lab/lab.h"
#include "lab/web_server.h"

namespace carpd::lab {

inline constexpr const char* kPool = "web";  // its name
inline constexpr const char* kPool4 = "10.1.0.100";
inline constexpr const char* kPool6 = "2001:db8::100";

struct PoolOptions {
    std::string balancing = "ip", hash = "bsd";
    std::vector<int> weights{};
    int servers = 3;
    // Of each server for its own carpnode, of the next one, and how much more of each after that. By default
    // an advertisement every 39 ms, and a takeover after 234 ms.
    int home_skew = 10, next_skew = 20, step = 4;
    std::string group_keys{}, more{};  // lines to be added to [[group]], and after it
};

class PoolServer {
 public:
    PoolServer(Lab& lab, const PoolOptions& options, int index);

    Host& host() { return host_; }
    const Host& host() const { return host_; }
    Carpd& carpd() { return *carpd_; }
    const Carpd& carpd() const { return *carpd_; }
    WebServer& web() { return *web_; }
    bool runs() const { return carpd_ != nullptr; }
    std::string config() const { return config_; }

    // As a machine boots: nobody is connected, carpd starts, its cable works.
    void boot();
    // All its processes die at once, and no frame passes its cable from now on.
    void power_off();
    // SIGTERM; returns carpd's exit code. The server runs on.
    int stop();

    // Makes others better, as `carpctl demote` does; 0 ends it. Who is demoted enough is drained.
    void demote(int by);

    // The vhids of the carpnodes of which it is MASTER.
    std::vector<int> carpnodes() const;
    std::string state(int vhid) const { return carpd_->state(carpnode_name(vhid)); }
    // Flood probes of exactly so many other hosts come (rule N12).
    bool hears_probes_of(int hosts) const;
    // What the log says has this part.
    bool says(const std::string& part) const { return carpd_->log().find(part) != std::string::npos; }

    static std::string carpnode_name(int vhid) { return fmt::format("{}:{}", kPool, vhid); }

 private:
    Host& host_;
    const int servers_;
    const std::string config_;
    std::unique_ptr<WebServer> web_;
    std::unique_ptr<Carpd> carpd_;
};

class ServerPool {
 public:
    ServerPool(Lab& lab, const PoolOptions& options);

    int size() const { return static_cast<int>(servers_.size()); }
    PoolServer& server(int index) { return servers_.at(static_cast<std::size_t>(index)); }

    // Boots all. Throws if they don't come to be at home.
    void start();
    // Each server is MASTER of its own carpnode, and BACKUP of the others.
    bool wait_home(Span patience = 10s) const;
    // The log of each that runs.
    std::string logs() const;

 private:
    std::deque<PoolServer> servers_;
};

}  // namespace carpd::lab
