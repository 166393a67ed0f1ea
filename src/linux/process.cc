#include "linux/process.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <string_view>

#include "base/assert.h"

namespace carpd {

namespace {

pid_t locked = 0;  // the process that locked its memory: what it locked isn't locked in its children

std::string read_text(int fd) {
    char text[32];
    const ssize_t size = pread(fd, text, sizeof text, 0);
    return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : "";
}

// Of a carpd that was just killed the engine may take a moment to die.
bool try_lock(int fd, Duration patience) {
    constexpr timespec kPause{0, 10'000'000};
    const auto tries = patience / std::chrono::milliseconds(10);
    for (std::int64_t i = 1; flock(fd, LOCK_EX | LOCK_NB) != 0; ++i) {
        if (errno != EWOULDBLOCK || i >= tries) return false;
        nanosleep(&kPause, nullptr);
        errno = EWOULDBLOCK;
    }
    return true;
}

std::string lock_path(const std::string& directory, const std::string& instance, std::uint64_t network) {
    return directory + "/netns-" + std::to_string(network) + (instance.empty() ? "" : "-" + instance) +
           ".lock";
}

bool write_pid(int fd) {
    const std::string pid = std::to_string(getpid());
    return ftruncate(fd, 0) == 0 && pwrite(fd, pid.data(), pid.size(), 0) >= 0;
}

// All that this process has, and will have, stays in memory. A plain MCL_CURRENT would write to each page,
// and so copy what parent and child share, first of all the configuration. What could have to wait for a disk
// is of files: reading makes it present, too.
bool lock_memory() {
    if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) return false;
    std::ifstream maps("/proc/self/maps");
    bool any = false;
    for (std::string line; std::getline(maps, line);) {
        std::uintptr_t begin = 0, end = 0;
        const bool is_of_a_file = line.find(" /") != std::string::npos;
        if (!is_of_a_file || std::sscanf(line.c_str(), "%zx-%zx", &begin, &end) != 2) continue;
        // On Linux before 5.14 none can be read in this way.
        any |= madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_READ) == 0;
    }
    return any || mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
}

}  // namespace

std::optional<std::string> missing_capability(bool loads_bpf) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
    CARPD_ASSERT(syscall(SYS_capget, &header, data) == 0);
    const auto missing = [&data](unsigned capability) {
        return (data[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability)) == 0;
    };
    if (missing(CAP_NET_ADMIN)) return "CAP_NET_ADMIN";
    if (missing(CAP_NET_RAW)) return "CAP_NET_RAW";
    if (loads_bpf && missing(CAP_BPF) && missing(CAP_SYS_ADMIN)) return "CAP_BPF (for dataplane = \"bpf\")";
    return std::nullopt;
}

void go_before_others() {
    setpriority(PRIO_PROCESS, 0, -20);  // where it isn't allowed, it takes longer
}

std::vector<SysError> become_real_time(int priority) {
    std::vector<SysError> warnings;
    sched_param parameters{};
    parameters.sched_priority = priority;
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &parameters) != 0)
        warnings.push_back({"run at real-time priority", "", errno});
    if (lock_memory())
        locked = getpid();
    else
        warnings.push_back({"lock the memory", "", errno});
    return warnings;
}

// The C library does it by an madvise(2) that locked memory refuses.
namespace {

// Those that this process was given when it began: taskset(1) or a cgroup may have taken some away.
const cpu_set_t& allowed_cpus() {
    static const cpu_set_t allowed = [] {
        cpu_set_t cpus;
        CPU_ZERO(&cpus);
        sched_getaffinity(0, sizeof cpus, &cpus);
        return cpus;
    }();
    return allowed;
}

int last_cpu() {
    int last = CPU_SETSIZE - 1;
    while (last > 0 && !CPU_ISSET(last, &allowed_cpus())) --last;
    return last;
}

}  // namespace

void run_on_last_cpu(bool on) {
    cpu_set_t cpus = allowed_cpus();
    if (CPU_COUNT(&cpus) < 2) return;
    if (on) {
        CPU_ZERO(&cpus);
        CPU_SET(last_cpu(), &cpus);
    }
    sched_setaffinity(0, sizeof cpus, &cpus);
}

void stay_off_last_cpu(bool stay) {
    cpu_set_t cpus = allowed_cpus();
    if (CPU_COUNT(&cpus) < 2) return;
    if (stay) CPU_CLR(last_cpu(), &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
}

void give_back_memory() {
    const bool lock_again = locked == getpid();
    if (lock_again) munlockall();
    malloc_trim(0);
    if (lock_again) lock_memory();
}

void set_process_name(const char* name) {
    prctl(PR_SET_NAME, name);
}

std::string describe_end(int status) {
    if (WIFEXITED(status)) return "exited with " + std::to_string(WEXITSTATUS(status));
    return "was killed by SIG" + std::string(sigabbrev_np(WTERMSIG(status)));
}

UniqueFd open_pidfd(pid_t pid) {
    return UniqueFd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));  // glibc's is not for C++
}

std::string program_file() {
    constexpr std::string_view kReplaced = " (deleted)";
    char path[4096];
    const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
    std::string file(path, size > 0 ? static_cast<std::size_t>(size) : 0);
    if (file.ends_with(kReplaced)) file.resize(file.size() - kReplaced.size());
    return file;
}

void keep_on_exec(const std::vector<int>& fds, bool keep) {
    for (const int fd : fds) fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

void become_ordinary() {
    const sched_param parameters{};
    sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &parameters);
    munlockall();
    locked = 0;
}

void close_all_but(int fd) {
    const auto kept = static_cast<unsigned>(fd);
    if (kept > 3) close_range(3, kept - 1, 0);
    close_range(kept + 1, ~0U, 0);
}

Expected<UniqueFd, SysError> open_signals(const std::vector<int>& signals) {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : signals) sigaddset(&set, signal);
    UniqueFd fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!fd || sigprocmask(SIG_BLOCK, &set, nullptr) != 0)
        return Unexpected{SysError{"receive signals", "", errno}};
    return fd;
}

std::optional<std::uint64_t> network_namespace() {
    struct stat status;
    if (stat("/proc/thread-self/ns/net", &status) != 0) return std::nullopt;
    return status.st_ino;
}

Expected<UniqueFd, SysError> lock_instance(const std::string& directory, const std::string& instance,
                                           Duration patience) {
    const auto network = network_namespace();
    if (!network) return Unexpected{SysError{"identify the network namespace", "", errno}};
    if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
        return Unexpected{SysError{"make the directory", directory, errno}};
    const std::string path = lock_path(directory, instance, *network);
    UniqueFd file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (!file) return Unexpected{SysError{"open", path, errno}};
    if (!try_lock(file.get(), patience)) {
        if (errno != EWOULDBLOCK) return Unexpected{SysError{"lock", path, errno}};
        const std::string pid = read_text(file.get());
        return Unexpected{SysError{"start: another carpd is running in this network namespace" +
                                       (instance.empty() ? "" : " as " + instance) + " (pid " + pid + ")",
                                   "", 0}};
    }
    if (!write_pid(file.get())) return Unexpected{SysError{"write", path, errno}};
    return file;
}

std::optional<pid_t> instance_holder(const std::string& directory, const std::string& instance) {
    const auto network = network_namespace();
    if (!network) return std::nullopt;
    const UniqueFd file(open(lock_path(directory, instance, *network).c_str(), O_RDWR | O_CLOEXEC));
    if (!file || flock(file.get(), LOCK_EX | LOCK_NB) == 0) return std::nullopt;
    const int pid = std::atoi(read_text(file.get()).c_str());
    return pid > 0 ? std::optional<pid_t>(pid) : std::nullopt;
}

std::optional<SysError> become_daemon(int lock) {
    const UniqueFd null(open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!null) return SysError{"open", "/dev/null", errno};
    const pid_t child = fork();
    if (child < 0) return SysError{"go to the background", "", errno};
    if (child > 0) _exit(0);
    setsid();
    for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(null.get(), fd);
    if (chdir("/") != 0 || !write_pid(lock)) return SysError{"go to the background", "", errno};
    close_all_but(lock);
    return std::nullopt;
}

std::string host_name() {
    char name[HOST_NAME_MAX + 1] = {};
    gethostname(name, sizeof name - 1);
    std::string text = name;
    std::replace_if(
        text.begin(), text.end(), [](unsigned char c) { return c <= 0x20 || c >= 0x7f; }, '?');
    return text;
}

std::uint64_t random_seed() {
    std::uint64_t seed;
    CARPD_ASSERT(getrandom(&seed, sizeof seed, 0) == sizeof seed);
    return seed;
}

}  // namespace carpd
