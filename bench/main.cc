// carpd-bench: carpd beside the installed peers, measured in one run on this machine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <exception>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/balance.h"
#include "bench/failover.h"
#include "bench/micro.h"
#include "bench/scale.h"
#include "bench/status.h"
#include "bench/sync.h"

namespace {

const std::map<std::string, nlohmann::json (*)()> kBenchmarks = {
    {"balance", carpd::bench::balance}, {"failover", carpd::bench::failover}, {"micro", carpd::bench::micro},
    {"scale", carpd::bench::scale},     {"status", carpd::bench::status},     {"sync", carpd::bench::sync}};

void measure(const std::string& only, const std::string& path) {
    std::ofstream file;
    if (!path.empty()) {
        file.open(path);  // before minutes of work, not after
        if (!file) throw std::runtime_error("cannot write " + path);
    }
    nlohmann::json found = {{"schema", 1}};
    for (const auto& [name, benchmark] : kBenchmarks) {
        if (!only.empty() && only != name) continue;
        fmt::print("==== {}\n", name);
        found[name] = benchmark();
    }
    if (!path.empty() && !(file << found.dump(2) << "\n" << std::flush))
        throw std::runtime_error("cannot write " + path);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app("Measures carpd side by side with the installed peers. Use a quiet machine.", "carpd-bench");
    std::string name, json;
    app.add_option("NAME", name, "only this one")->check(CLI::IsMember(kBenchmarks));
    app.add_option("--json", json, "keep what was measured in this file")->type_name("FILE");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        measure(name, json);
        return 0;
    } catch (const std::exception& error) {
        fmt::print(stderr, "carpd-bench: {}\n", error.what());
        return 1;
    }
}
