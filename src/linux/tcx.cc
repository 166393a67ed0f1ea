#include "linux/tcx.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

namespace carpd {

namespace {

// Newer than the headers and the libbpf of Debian 12.
constexpr auto kIngress = static_cast<bpf_attach_type>(46);
constexpr auto kEgress = static_cast<bpf_attach_type>(47);
constexpr __u32 kBefore = 1 << 3, kAfter = 1 << 4;
constexpr std::size_t kMostPrograms = 64;  // the kernel's limit
struct TcxAttach {
    __u32 ifindex, program, type, flags, replaced, relative;
    __u64 revision;
};

bpf_attach_type type_of(Direction direction) {
    return direction == Direction::ingress ? kIngress : kEgress;
}

bpf_prog_info info_of(int program) {
    bpf_prog_info info{};
    __u32 size = sizeof info;
    bpf_obj_get_info_by_fd(program, &info, &size);
    return info;
}

// Nothing, and errno, if there is none or it may not be seen.
std::optional<TcxProgram> program_of(__u32 id) {
    UniqueFd fd(bpf_prog_get_fd_by_id(id));
    if (!fd) return std::nullopt;
    std::string name = info_of(fd.get()).name;
    return TcxProgram{std::move(fd), std::move(name)};
}

}  // namespace

std::optional<std::vector<TcxProgram>> tcx_programs(int ifindex, Direction direction) {
    std::array<__u32, kMostPrograms> ids{};
    __u32 count = ids.size();
    std::vector<TcxProgram> programs;
    if (bpf_prog_query(ifindex, type_of(direction), 0, nullptr, ids.data(), &count) != 0) {
        if (errno == ENOENT) return programs;
        return std::nullopt;
    }
    for (std::size_t i = 0; i < count; ++i) {
        auto program = program_of(ids[i]);
        if (program)
            programs.push_back(std::move(*program));
        else if (errno != ENOENT)  // which has just gone
            return std::nullopt;
    }
    return programs;
}

std::optional<SysError> put_tcx(int program, int ifindex, Direction direction, std::string_view name,
                                std::string_view behind) {
    TcxAttach attach{};
    attach.ifindex = static_cast<__u32>(ifindex);
    attach.program = static_cast<__u32>(program);
    attach.type = type_of(direction);
    attach.flags = kBefore;
    // Also where none is there yet: who may not see it couldn't remove it.
    const bool may_see = program_of(info_of(program).id).has_value();
    const auto present = may_see ? tcx_programs(ifindex, direction) : std::nullopt;
    if (!present) return SysError{"see the BPF programs at tcx of", link_object(ifindex), errno};
    for (const TcxProgram& each : *present) {
        if (each.name == name) {
            attach.flags = BPF_F_REPLACE;
            attach.replaced = static_cast<__u32>(each.fd.get());
            attach.relative = 0;
            break;
        }
        if (each.name == behind) {
            attach.flags = kAfter;
            attach.relative = static_cast<__u32>(each.fd.get());
        }
    }
    // EEXIST: the very program stands there.
    if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach) == 0 || errno == EEXIST)
        return std::nullopt;
    return SysError{"attach " + std::string(name) + " to", link_object(ifindex), errno};
}

std::vector<UniqueFd> remove_tcx(int ifindex, Direction direction, std::string_view name) {
    std::vector<UniqueFd> removed;
    auto present = tcx_programs(ifindex, direction);
    if (!present) return removed;
    for (TcxProgram& each : *present)
        if (each.name == name && bpf_prog_detach2(each.fd.get(), ifindex, type_of(direction)) == 0)
            removed.push_back(std::move(each.fd));
    return removed;
}

}  // namespace carpd
