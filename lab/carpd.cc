#include "lab/carpd.h"

#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "lab/error.h"

namespace carpd::lab {

namespace {

std::string program(const char* variable, const char* built) {
    const char* other = std::getenv(variable);
    return other != nullptr ? other : built;
}

std::string new_path(Host& host, const char* suffix) {
    static std::atomic<int> number = 0;
    return fmt::format("{}/{}-{}.{}", host.lab().folder(), host.name(), ++number, suffix);
}

// Connected, or a descriptor of -1.
UniqueFd connect_to(const std::string& path) {
    sockaddr_un address{AF_UNIX, {}};
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    UniqueFd socket(check(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket"));
    if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return UniqueFd();
    return socket;
}

void send_line(int socket, const nlohmann::json& request) {
    const std::string line = request.dump() + "\n";
    check(static_cast<int>(send(socket, line.data(), line.size(), MSG_NOSIGNAL)), "asking carpd");
}

// A line without its end; nothing when the other side closed or `patience` is over.
std::optional<std::string> read_line(int socket, std::string& buffer, Span patience) {
    for (std::size_t end; (end = buffer.find('\n')) == std::string::npos;) {
        pollfd wait{socket, POLLIN, 0};
        if (poll(&wait, 1, static_cast<int>(patience / 1ms)) <= 0) return std::nullopt;
        char chunk[65536];
        const ssize_t size = recv(socket, chunk, sizeof chunk, 0);
        if (size <= 0) return std::nullopt;
        buffer.append(chunk, static_cast<std::size_t>(size));
    }
    const std::size_t end = buffer.find('\n');
    std::string line = buffer.substr(0, end);
    buffer.erase(0, end + 1);
    return line;
}

}  // namespace

std::string carpd_program() {
    return program("CARPD", CARPD_PROGRAM);
}
std::string carpctl_program() {
    return program("CARPCTL", CARPCTL_PROGRAM);
}

nlohmann::json ask(const std::string& path, const nlohmann::json& request) {
    const UniqueFd socket = connect_to(path);
    if (socket.get() < 0) fail("nobody listens on {}", path);
    send_line(socket.get(), request);
    std::string buffer;
    const auto line = read_line(socket.get(), buffer, 5s);
    if (!line) fail("no answer on {} to {}", path, request.dump());
    return nlohmann::json::parse(*line);
}

Carpd::Carpd(Host& host, const std::string& groups)
    : host_(host),
      socket_(new_path(host, "sock")),
      config_file_(new_path(host, "toml")),
      process_((write_config(groups), host.spawn({carpd_program(), "-f", config_file_}))) {
    const auto connected = [this] { return (monitor_ = connect_to(socket_)).get() >= 0; };
    wait_until([&] { return connected() || !process_.running(); }, 10s, 2ms);
    if (monitor_.get() < 0) fail("carpd on {} does not come up:\n{}", host.name(), log());
    send_line(monitor_.get(), {{"command", "monitor"}});
    ask(socket_, {{"command", "status"}});
    follower_ = std::thread([this] { follow(); });
}

Carpd::~Carpd() {
    if (monitor_.get() >= 0) shutdown(monitor_.get(), SHUT_RDWR);
    if (follower_.joinable()) follower_.join();
}

void Carpd::follow() {
    std::string buffer;
    while (auto line = read_line(monitor_.get(), buffer, 24h)) {
        const nlohmann::json json = nlohmann::json::parse(*line, nullptr, false);
        const std::lock_guard lock(mutex_);
        if (json.contains("group")) events_.push_back({Clock::now(), json});
    }
}

std::vector<Event> Carpd::events() const {
    const std::lock_guard lock(mutex_);
    return events_;
}

void Carpd::write_config(const std::string& groups) const {
    const std::string next = config_file_ + ".next";
    std::ofstream(next) << fmt::format("control = \"{}\"\n", socket_) << groups;
    std::filesystem::permissions(next, std::filesystem::perms::owner_read);  // it holds a password
    std::filesystem::rename(next, config_file_);
}

UniqueFd Carpd::connect() const {
    UniqueFd socket = connect_to(socket_);
    if (socket.get() < 0) fail("nobody listens on {}", socket_);
    return socket;
}

nlohmann::json Carpd::group(const std::string& name) const {
    const nlohmann::json all = status();
    for (const nlohmann::json& group : all.at("groups"))
        if (group.at("name") == name) return group;
    fail("carpd on {} knows no group {}", host_.name(), name);
}

std::string Carpd::group_text(const std::string& name, const std::string& key) const {
    return group(name).at(key).get<std::string>();
}

std::uint64_t Carpd::refused(const std::string& name, const std::string& reason) const {
    return group(name).at("counters").at("dropped").at(reason).get<std::uint64_t>() +
           status().at("dropped").at(reason).get<std::uint64_t>();
}

std::uint64_t Carpd::transitions(const std::string& name) const {
    const nlohmann::json counters = group(name).at("counters");
    std::uint64_t sum = 0;
    for (const char* state : {"init", "backup", "master"})
        sum += counters.at(fmt::format("transitions_to_{}", state)).get<std::uint64_t>();
    return sum;
}

bool Carpd::wait_state(const std::string& group, const std::string& wanted, Span patience) const {
    return wait_until([&] { return state(group) == wanted; }, patience);
}

Result Carpd::carpctl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {carpctl_program(), "-s", socket_});
    return run({std::move(arguments)});
}

void Carpd::reload(const std::string& groups) {
    write_config(groups);
    process_.signal(SIGHUP);
}

void Carpd::apply(const std::string& groups) {
    write_config(groups);
    const nlohmann::json answer = ask(socket_, {{"command", "reload"}});
    if (answer.at("ok") != true) fail("carpd on {} does not reload: {}", host_.name(), answer.dump());
}

int Carpd::stop() {
    process_.signal(SIGTERM);
    return process_.wait(10s).value_or(-1);
}

}  // namespace carpd::lab
