#include "lab/server_pool.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "lab/crowd.h"
#include "lab/error.h"
#include "lab/questions.h"

namespace carpd::lab {

namespace {

// Who stands in for a carpnode first is the server after its own.
std::string config_of(const PoolOptions& options, int index) {
    std::vector<std::string> carpnodes;
    for (int i = 0; i < options.servers; ++i) {
        const int after = (index - i + options.servers) % options.servers;
        const int skew = after == 0 ? options.home_skew : options.next_skew + (after - 1) * options.step;
        carpnodes.push_back(fmt::format("\"{}:{}\"", i + 1, skew));
    }
    const std::string weights = options.weights.empty() ? "" : fmt::format("weights = {}\n", options.weights);
    return fmt::format(
        "[[group]]\nname = \"{}\"\ninterface = \"eth0\"\ncarpnodes = [{}]\n"
        "addresses = [\"{}/16\", \"{}/64\"]\npassword = \"s3cret\"\nadvbase = 0\npreempt = true\n"
        "balancing = \"{}\"\nhash = \"{}\"\n{}{}\n{}",
        kPool, fmt::join(carpnodes, ", "), kPool4, kPool6, options.balancing, options.hash, weights,
        options.group_keys, options.more);
}

}  // namespace

// ---- PoolServer

PoolServer::PoolServer(Lab& lab, const PoolOptions& options, int index)
    : host_(lab.add_host(fmt::format("web{}", index + 1), {fmt::format("10.1.0.{}/16", index + 1),
                                                           fmt::format("2001:db8::{}/64", index + 1)})),
      servers_(options.servers),
      config_(config_of(options, index)) {
    Crowd::add_routes(host_);
    Questions::mark(host_);
    host_.serve();
}

void PoolServer::boot() {
    web_.reset();
    web_ = std::make_unique<WebServer>(host_);
    carpd_.reset();
    carpd_ = std::make_unique<Carpd>(host_, config_);
    host_.power_on();  // now: a host that boots doesn't have the addresses of its last life
}

void PoolServer::power_off() {
    host_.power_off();
    web_.reset();
}

int PoolServer::stop() {
    return carpd_->stop();
}

void PoolServer::demote(int by) {
    const Result result = carpd_->carpctl({"demote", kPool, fmt::format("{}", by)});
    if (result.exit_code != 0) fail("carpctl demote: {}", result.errors);
}

std::vector<int> PoolServer::carpnodes() const {
    std::vector<int> result;
    const nlohmann::json all = carpd_->status();
    for (int vhid = 1; vhid <= servers_; ++vhid)
        for (const nlohmann::json& group : all.at("groups"))
            if (group.at("name") == carpnode_name(vhid) && group.at("state") == "master")
                result.push_back(vhid);
    return result;
}

bool PoolServer::hears_probes_of(int hosts) const {
    const nlohmann::json all = carpd_->status();
    const auto& known = all.at("pools").at(0).at("hosts");
    return std::count_if(known.begin(), known.end(), [](const nlohmann::json& host) {
               return host.contains("probes") && host.at("probes") == "heard";
           }) == hosts;
}

// ---- ServerPool

ServerPool::ServerPool(Lab& lab, const PoolOptions& options) {
    for (int i = 0; i < options.servers; ++i) servers_.emplace_back(lab, options, i);
}

void ServerPool::start() {
    for (PoolServer& server : servers_) server.boot();
    if (!wait_home()) fail("the servers don't come to be at home:\n{}", logs());
}

bool ServerPool::wait_home(Span patience) const {
    return wait_until(
        [&] {
            int vhid = 0;
            return std::all_of(servers_.begin(), servers_.end(), [&](const PoolServer& server) {
                return server.carpnodes() == std::vector<int>{++vhid};
            });
        },
        patience, 20ms);
}

std::string ServerPool::logs() const {
    std::string text;
    for (const PoolServer& server : servers_)
        if (server.runs())
            text += fmt::format("---- {}'s log:\n{}", server.host().name(), server.carpd().log());
    return text;
}

}  // namespace carpd::lab
