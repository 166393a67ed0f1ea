#include "lab/ucarp.h"

#include <filesystem>
#include <fstream>

#include "lab/error.h"

namespace carpd::lab {

namespace {

std::string script(Host& host, const std::string& name, const std::string& body) {
    const std::string path = fmt::format("{}/{}-{}", host.lab().folder(), host.name(), name);
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
}

}  // namespace

// ucarp calls its scripts as SCRIPT INTERFACE ADDRESS.
Command ucarp_command(Host& host, const UcarpOptions& o) {
    const std::string up = script(host, "up", "ip address add $2/24 dev $1");
    const std::string down = script(host, "down", "ip address del $2/24 dev $1 2>/dev/null");
    Command result{
        {"ucarp", "--interface=eth0", "--srcip=" + o.source, fmt::format("--vhid={}", o.vhid),
         "--pass=" + o.password, "--addr=" + o.address, fmt::format("--advbase={}", o.advbase),
         fmt::format("--advskew={}", o.advskew), "--upscript=" + up, "--downscript=" + down, "--shutdown"},
        &host.space()};
    if (o.preempt) result.argv.push_back("--preempt");
    result.quiet_console = true;
    return result;
}

bool Ucarp::installed() {
    return run({{"sh", "-c", "command -v ucarp"}}).exit_code == 0;
}

Ucarp::Ucarp(Host& host, const UcarpOptions& options)
    : host_(host), address_(options.address), process_(ucarp_command(host, options)) {}

bool Ucarp::is_master() const {
    const Result result = host_.run({"ip", "-4", "-o", "address", "show", "dev", "eth0"});
    return result.output.find(" " + address_ + "/") != std::string::npos;
}

bool Ucarp::wait_master(bool wanted, Span patience) const {
    return wait_until([&] { return is_master() == wanted; }, patience, 20ms);
}

int Ucarp::stop() {
    process_.signal(SIGTERM);
    return process_.wait(10s).value_or(-1);
}

}  // namespace carpd::lab
