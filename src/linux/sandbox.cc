#include "linux/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

namespace carpd {

namespace {

constexpr const char* kUser = "carpd";

// ---- user and rights

bool has_rights(std::initializer_list<unsigned> wanted) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct rights[_LINUX_CAPABILITY_U32S_3]{};
    if (syscall(SYS_capget, &header, rights) != 0) return false;
    for (const unsigned right : wanted)
        if ((rights[CAP_TO_INDEX(right)].effective & CAP_TO_MASK(right)) == 0) return false;
    return true;
}

std::optional<SysError> change_user(Sandbox& result) {
    if (geteuid() != 0) return std::nullopt;
    const SandboxUser user = sandbox_user();
    const bool may = has_rights({CAP_SETUID, CAP_SETGID, CAP_KILL});
    if (!may) errno = EPERM;
    if (!may || prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setgroups(0, nullptr) != 0 ||
        setresgid(user.gid, user.gid, user.gid) != 0 || setresuid(user.uid, user.uid, user.uid) != 0)
        return SysError{"run as the user", user.name, errno};
    result.user = user.name;
    return std::nullopt;
}

std::optional<SysError> keep_only(std::uint32_t wanted) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct rights[_LINUX_CAPABILITY_U32S_3]{};
    auto& word = rights[CAP_TO_INDEX(CAP_NET_ADMIN)];
    word.effective = word.permitted = wanted;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_capset, &header, rights) == 0)
        return std::nullopt;
    return SysError{"give up rights", "", errno};
}

// ---- system calls

constexpr int kCalls[] = {
    // what is open
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(lseek), SCMP_SYS(close),
    SCMP_SYS(fcntl), SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(poll), SCMP_SYS(ppoll),
    SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_ctl),
    // sockets
    SCMP_SYS(accept4), SCMP_SYS(bind), SCMP_SYS(getsockname), SCMP_SYS(getsockopt), SCMP_SYS(setsockopt),
    SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    // memory
    SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
    // time, chance, processors
    SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(getrandom), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_yield),
    // what it is
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
    SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getgroups), SCMP_SYS(capget), SCMP_SYS(uname),
    // signals, and its end
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group)};

// Allowed where an argument has, of the bits in `mask`, these.
struct CallWith {
    int call;
    unsigned argument;
    scmp_datum_t mask, value;
};
constexpr scmp_datum_t kAll = ~scmp_datum_t{0};
constexpr CallWith kCallsWith[] = {
    {SCMP_SYS(openat), 2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY},
    {SCMP_SYS(mmap), 2, PROT_EXEC, 0},
    {SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
};
constexpr CallWith kSyncCallsWith[] = {{SCMP_SYS(socket), 0, kAll, AF_INET},
                                       {SCMP_SYS(socket), 0, kAll, AF_INET6},
                                       {SCMP_SYS(socket), 0, kAll, AF_NETLINK}};

// Of `carpd: web`. A thread is no process: it shares all of the one that starts it.
constexpr int kWebCalls[] = {SCMP_SYS(accept),          SCMP_SYS(connect),  SCMP_SYS(shutdown),
                             SCMP_SYS(getpeername),     SCMP_SYS(pselect6), SCMP_SYS(select),
                             SCMP_SYS(set_robust_list), SCMP_SYS(rseq),     SCMP_SYS(clock_nanosleep),
                             SCMP_SYS(nanosleep)};
constexpr CallWith kWebCallsWith[] = {{SCMP_SYS(socket), 0, kAll, AF_UNIX},
                                      {SCMP_SYS(clone), 0, CLONE_VM | CLONE_THREAD, CLONE_VM | CLONE_THREAD}};

constexpr CallWith kAttachBpf{SCMP_SYS(bpf), 0, kAll, BPF_LINK_CREATE};

// 0, or an error as errno has it, negative.
int allow(scmp_filter_ctx filter, std::span<const int> calls, std::span<const CallWith> calls_with) {
    for (const int call : calls)
        if (const int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call, 0, nullptr)) return error;
    for (const CallWith& rule : calls_with) {
        const scmp_arg_cmp argument{rule.argument, SCMP_CMP_MASKED_EQ, rule.mask, rule.value};
        if (const int error = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rule.call, 1, &argument))
            return error;
    }
    return 0;
}

int load_filter(scmp_filter_ctx filter, SandboxFor who) {
    // abort(3) sends itself a signal.
    const CallWith abort{SCMP_SYS(tgkill), 0, kAll, static_cast<scmp_datum_t>(getpid())};
    int error = allow(filter, kCalls, kCallsWith);
    if (error == 0) error = allow(filter, {}, {&abort, 1});
    if (error == 0 && who == SandboxFor::web) error = allow(filter, kWebCalls, kWebCallsWith);
    if (error == 0 && who != SandboxFor::web) error = allow(filter, {}, kSyncCallsWith);
    if (error == 0 && who == SandboxFor::deferring_sync) error = allow(filter, {}, {&kAttachBpf, 1});
    if (error != 0) return error;
    // An older kernel may know neither: it doesn't log, and is slower.
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    return seccomp_load(filter);
}

std::optional<SysError> keep_few_calls(SandboxFor who) {
    const std::unique_ptr<void, void (*)(void*)> filter(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)),
                                                        seccomp_release);
    const int error = filter ? load_filter(filter.get(), who) : -ENOMEM;
    if (error == 0) return std::nullopt;
    return SysError{"give up system calls", "", -error};
}

}  // namespace

// Not by getpwnam(3): a directory service may keep it waiting.
SandboxUser sandbox_user() {
    const std::unique_ptr<FILE, int (*)(FILE*)> users(std::fopen("/etc/passwd", "re"), std::fclose);
    while (const passwd* const entry = users ? fgetpwent(users.get()) : nullptr)
        if (std::strcmp(entry->pw_name, kUser) == 0 && entry->pw_uid != 0 && entry->pw_gid != 0)
            return {kUser, entry->pw_uid, entry->pw_gid};
    return {"nobody", 65534, 65534};
}

Sandbox enter_sandbox(SandboxFor who) {
    Sandbox result;
    if (auto error = change_user(result)) result.warnings.push_back(*error);
    if (auto error = keep_only(who == SandboxFor::web ? 0 : CAP_TO_MASK(CAP_NET_ADMIN)))
        result.warnings.push_back(*error);
    if (auto error = keep_few_calls(who)) result.warnings.push_back(*error);
    return result;
}

}  // namespace carpd
