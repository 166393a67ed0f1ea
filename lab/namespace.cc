#include "lab/namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <thread>

#include "lab/error.h"
#include "lab/process.h"

namespace carpd::lab {

namespace {

constexpr const char* kFolder = "/run/netns";
constexpr const char* kPrefix = "cpd";

std::string path_of(const std::string& name) {
    return std::string(kFolder) + "/" + name;
}

bool is_number(const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

// Those whose main thread is in the namespace `path`.
std::vector<pid_t> processes_in(const std::string& path) {
    std::vector<pid_t> result;
    struct stat space {
    }, other{};
    if (stat(path.c_str(), &space) != 0) return result;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
        const std::string pid = entry.path().filename();
        if (!is_number(pid) || stat((entry.path() / "ns/net").c_str(), &other) != 0) continue;
        if (other.st_dev == space.st_dev && other.st_ino == space.st_ino)
            result.push_back(std::atoi(pid.c_str()));
    }
    return result;
}

// All at a time, as with the power: stopped before, none can react to the death of another.
void kill_processes_in(const std::string& path) {
    for (int signal : {SIGSTOP, SIGKILL})
        for (const pid_t process : processes_in(path)) kill(process, signal);
}

}  // namespace

Namespace::Namespace(const std::string& name) : name_(fmt::format("{}{}-{}", kPrefix, getpid(), name)) {
    run_checked({{"ip", "netns", "add", name_}});
    descriptor_ = UniqueFd(check(open(path_of(name_).c_str(), O_RDONLY | O_CLOEXEC), "open a namespace"));
    ip("link set lo up");
}

Namespace::~Namespace() {
    kill_all();
    try {
        run({{"ip", "netns", "del", name_}});
    } catch (const std::exception& error) {
        fmt::print(stderr, "lab: {} stays behind: {}\n", name_, error.what());
    }
}

void Namespace::inside(const std::function<void()>& work) const {
    std::exception_ptr failure;
    std::thread([&] {
        try {
            check(setns(descriptor(), CLONE_NEWNET), "setns");
            work();
        } catch (...) {
            failure = std::current_exception();
        }
    }).join();
    if (failure) std::rethrow_exception(failure);
}

UniqueFd Namespace::socket(int domain, int type, int protocol) const {
    UniqueFd result;
    inside([&] { result = UniqueFd(check(::socket(domain, type | SOCK_CLOEXEC, protocol), "socket")); });
    return result;
}

void Namespace::set(const std::string& parameter, const std::string& value) const {
    inside([&] {
        std::ofstream file("/proc/sys/" + parameter);
        if (!(file << value << std::flush)) fail("cannot set {} to {}", parameter, value);
    });
}

bool Namespace::has(const std::string& parameter) const {
    bool result = false;
    inside([&] { result = std::filesystem::exists("/proc/sys/" + parameter); });
    return result;
}

void Namespace::ip(const std::string& commands) const {
    run_checked({{"ip", "-n", name_, "-batch", "-"}, nullptr, commands + "\n"});
}

std::vector<pid_t> Namespace::processes() const {
    return processes_in(path_of(name_));
}

void Namespace::kill_all() const {
    kill_processes_in(path_of(name_));
}

namespace {

// Whether `name` is cpd<pid>-<name> and that process is gone.
bool is_leftover(const std::string& name) {
    const std::size_t begin = std::strlen(kPrefix), end = name.find('-');
    if (name.rfind(kPrefix, 0) != 0 || end == std::string::npos) return false;
    const std::string pid = name.substr(begin, end - begin);
    std::error_code gone;  // also where it waits for its parent to collect its exit code
    return is_number(pid) && std::filesystem::read_symlink("/proc/" + pid + "/exe", gone).empty();
}

}  // namespace

void remove_leftovers() {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(kFolder, ignored)) {
        if (!is_leftover(entry.path().filename())) continue;
        kill_processes_in(entry.path());
        run({{"ip", "netns", "del", entry.path().filename()}});
    }
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::temp_directory_path()))
        if (is_leftover(entry.path().filename())) std::filesystem::remove_all(entry.path(), ignored);
}

}  // namespace carpd::lab
