#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include <array>
#include <cctype>
#include <climits>
#include <cstdlib>

#include "linux/check.h"

namespace carpd {

namespace {

constexpr int kProcessesAtOnce = 256;

struct CloseDirectory {
    void operator()(DIR* directory) const { closedir(directory); }
};

// The process that was found last is watched, so that its end is known at once; only then, and until another
// is found, all are looked through.
class ProcessProbe : public Check {
 public:
    explicit ProcessProbe(const ProcessCheck& config) : name_(config.name) {}

    std::optional<CheckResult> start(Instant) override {
        if (is_alive()) return found();
        pidfd_ = {};
        processes_.reset(opendir("/proc"));
        if (!processes_) return cannot("read /proc");
        return look_on();
    }

    Watch watch() const override {
        if (processes_) return {always_ready_.get()};
        return {pidfd_.get()};
    }

    News wake(Instant) override {
        if (processes_) return {look_on()};
        const bool ended = !is_alive();
        if (ended) pidfd_ = {};  // it would tell us for ever
        return {{}, ended};
    }

    void cancel() override { processes_.reset(); }

 private:
    std::optional<CheckResult> look_on() {
        for (int i = 0; i < kProcessesAtOnce; ++i) {
            const dirent* entry = readdir(processes_.get());
            if (entry == nullptr) {
                processes_.reset();
                return CheckResult{false, "no process " + name_};
            }
            if (!std::isdigit(static_cast<unsigned char>(entry->d_name[0])) || !matches(entry->d_name))
                continue;
            pid_ = std::atoi(entry->d_name);
            pidfd_ = UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
            // Between our looking and its opening it may have ended, and a zombie is none that serves.
            if (!is_alive() || !matches(entry->d_name)) continue;
            processes_.reset();
            return found();
        }
        return std::nullopt;
    }

    bool matches(const std::string& pid) const {
        const std::string directory = "/proc/" + pid;
        if (name_.starts_with('/')) {
            std::array<char, PATH_MAX> target;
            const ssize_t size = readlink((directory + "/exe").c_str(), target.data(), target.size());
            return size > 0 && name_ == std::string_view(target.data(), static_cast<std::size_t>(size));
        }
        const UniqueFd file(open((directory + "/comm").c_str(), O_RDONLY | O_CLOEXEC));
        std::array<char, 64> comm;
        const ssize_t size = file ? read(file.get(), comm.data(), comm.size()) : 0;
        return size > 1 && name_ == std::string_view(comm.data(), static_cast<std::size_t>(size - 1));
    }

    bool is_alive() const {
        pollfd waiting{pidfd_.get(), POLLIN, 0};
        return pidfd_ && poll(&waiting, 1, 0) == 0;
    }

    CheckResult found() const { return {true, name_ + " runs (pid " + std::to_string(pid_) + ")"}; }

    const std::string name_;
    const UniqueFd always_ready_{eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};  // goes on in the next wake-up
    std::unique_ptr<DIR, CloseDirectory> processes_;                       // while it looks through them
    pid_t pid_ = 0;
    UniqueFd pidfd_;
};

}  // namespace

std::unique_ptr<Check> make_check(const ProcessCheck& config) {
    return std::make_unique<ProcessProbe>(config);
}

}  // namespace carpd
