#include "linux/gate_program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "linux/gate_maps.h"
#include "linux/unique_fd.h"

// What clang made of bpf/gate.bpf.c.
asm(".pushsection .rodata\n"
    ".balign 8\n"
    ".global carpd_gate_object, carpd_gate_object_end\n"
    "carpd_gate_object:\n"
    ".incbin \"" CARPD_GATE_OBJECT
    "\"\n"
    "carpd_gate_object_end:\n"
    ".popsection\n");
extern "C" {
extern const char carpd_gate_object[], carpd_gate_object_end[];
}

namespace carpd {

namespace {

constexpr std::size_t kLeasesSize = GATE_MAX_GROUPS * sizeof(gate_lease);

gate_address address_key(int ifindex, const IpAddress& address) {
    gate_address key{static_cast<__u32>(ifindex), {}};
    const Bytes bytes = address.bytes();
    if (bytes.size() == 4) key.address[10] = key.address[11] = 0xff;
    std::copy(bytes.begin(), bytes.end(), std::end(key.address) - bytes.size());
    return key;
}

gate_mac mac_key(int ifindex, const MacAddress& mac) {
    const bool is_multicast = mac.bytes[0] & 1;
    return {static_cast<__u32>(ifindex), mac.bytes[5] | (is_multicast ? std::uint32_t{GATE_MULTICAST} : 0)};
}

std::optional<SysError> put(int map, const void* key, GateOwner owner, const char* what, std::string object) {
    if (bpf_map_update_elem(map, key, &owner, BPF_ANY) == 0) return std::nullopt;
    if (errno != E2BIG) return SysError{std::string("tell the BPF gate ") + what, std::move(object), errno};
    return SysError{"guard more than " + std::to_string(GATE_MAX_ADDRESSES) + " addresses by the BPF gate",
                    std::move(object), 0};
}

void remove(int map, const void* key, GateOwner owner) {
    GateOwner present;
    if (bpf_map_lookup_elem(map, key, &present) == 0 && present == owner) bpf_map_delete_elem(map, key);
}

bool is_at(const gate_nearby& place, const gate_address& key) {
    return std::memcmp(&place.key, &key, sizeof key) == 0;
}

// Where the place is free, or this address's.
void put_nearby(int map, const gate_address& key, GateOwner owner) {
    const __u32 number = GATE_PLACE(&key);
    gate_nearby place{};
    if (bpf_map_lookup_elem(map, &number, &place) != 0 || (place.key.ifindex != 0 && !is_at(place, key)))
        return;
    place = {key, owner};
    bpf_map_update_elem(map, &number, &place, BPF_ANY);
}

void remove_nearby(int map, const gate_address& key, GateOwner owner) {
    const __u32 number = GATE_PLACE(&key);
    gate_nearby place{};
    if (bpf_map_lookup_elem(map, &number, &place) != 0 || !is_at(place, key) || place.owner != owner) return;
    place.key.ifindex = 0;  // the rest stays for a packet that is just looking at it
    bpf_map_update_elem(map, &number, &place, BPF_ANY);
}

std::size_t possible_cpus() {
    return static_cast<std::size_t>(std::max(libbpf_num_possible_cpus(), 1));
}

// It would print what load() returns.
int print_nothing(libbpf_print_level, const char*, va_list) {
    return 0;
}

}  // namespace

void GateProgram::Close::operator()(bpf_object* object) const {
    bpf_object__close(object);
}

void GateProgram::Unmap::operator()(gate_lease* leases) const {
    munmap(leases, kLeasesSize);
}

int GateProgram::map(const char* name) const {
    return bpf_object__find_map_fd_by_name(object_.get(), name);
}

Expected<GateProgram, SysError> GateProgram::load() {
    libbpf_set_print(print_nothing);
    GateProgram gate;
    const auto size = static_cast<std::size_t>(carpd_gate_object_end - carpd_gate_object);
    bpf_object_open_opts options{};
    options.sz = sizeof options;
    options.object_name = "carpd_gate";
    gate.object_.reset(bpf_object__open_mem(carpd_gate_object, size, &options));
    if (gate.object_ == nullptr || bpf_object__load(gate.object_.get()) != 0)
        return Unexpected{SysError{errno == EPERM ? "load the BPF gate into the kernel without CAP_BPF"
                                                  : "load the BPF gate into the kernel",
                                   "", errno}};
    gate.notes_ = gate.map("notes");
    for (const Direction direction : {Direction::ingress, Direction::egress}) {
        const bpf_program* program = bpf_object__find_program_by_name(gate.object_.get(), name(direction));
        CARPD_ASSERT(program != nullptr);
        const int descriptor = bpf_program__fd(program);
        gate.programs_[static_cast<std::size_t>(direction)] = descriptor;
        // The notes stay as long as the program. Kernels before 5.10 can't do that, nor need it.
        bpf_prog_bind_map(descriptor, gate.notes_, nullptr);
    }
    gate.addresses_ = gate.map("addresses");
    gate.nearby_ = gate.map("nearby");
    gate.macs_ = gate.map("macs");
    gate.pools_ = gate.map("pools");
    gate.slots_ = gate.map("slots");
    gate.traffic_ = gate.map("traffic");
    void* leases = mmap(nullptr, kLeasesSize, PROT_READ | PROT_WRITE, MAP_SHARED, gate.map("leases"), 0);
    if (leases == MAP_FAILED) return Unexpected{SysError{"map the BPF gate's leases", "", errno}};
    gate.leases_.reset(static_cast<gate_lease*>(leases));
    return gate;
}

int GateProgram::descriptor(Direction direction) const {
    return programs_[static_cast<std::size_t>(direction)];
}

const char* GateProgram::name(Direction direction) {
    return direction == Direction::ingress ? "carpd_gate_in" : "carpd_gate_out";
}

std::optional<SysError> GateProgram::put_note(int ifindex, const std::string& note) {
    gate_note value{};
    CARPD_ASSERT(note.size() < sizeof value.text);
    note.copy(value.text, note.size());
    if (bpf_map_update_elem(notes_, &ifindex, &value, BPF_ANY) == 0) return std::nullopt;
    return SysError{"leave a note to the next run about", link_object(ifindex), errno};
}

std::string GateProgram::note_of(int program, int ifindex) {
    std::array<__u32, GATE_MAX_MAPS> maps{};
    bpf_prog_info info{};
    info.nr_map_ids = maps.size();
    info.map_ids = reinterpret_cast<std::uintptr_t>(maps.data());
    __u32 size = sizeof info;
    if (bpf_obj_get_info_by_fd(program, &info, &size) != 0) return {};
    for (std::size_t i = 0; i < std::min<std::size_t>(info.nr_map_ids, maps.size()); ++i) {
        const UniqueFd map(bpf_map_get_fd_by_id(maps[i]));
        bpf_map_info about{};
        gate_note note{};
        size = sizeof about;
        if (bpf_obj_get_info_by_fd(map.get(), &about, &size) == 0 &&
            std::string_view(about.name) == "notes" && about.value_size == sizeof note &&
            bpf_map_lookup_elem(map.get(), &ifindex, &note) == 0)
            return {note.text, strnlen(note.text, sizeof note.text)};
    }
    return {};
}

std::optional<SysError> GateProgram::put_address(int ifindex, const IpAddress& address, GateOwner owner) {
    const gate_address key = address_key(ifindex, address);
    if (auto error = put(addresses_, &key, owner, "the address", address.to_string())) return error;
    put_nearby(nearby_, key, owner);
    return std::nullopt;
}

std::optional<SysError> GateProgram::put_mac(int ifindex, const MacAddress& mac, GateOwner owner) {
    const gate_mac key = mac_key(ifindex, mac);
    return put(macs_, &key, owner, "the virtual MAC", mac.to_string());
}

void GateProgram::remove_address(int ifindex, const IpAddress& address, GateOwner owner) {
    const gate_address key = address_key(ifindex, address);
    remove_nearby(nearby_, key, owner);
    remove(addresses_, &key, owner);
}

void GateProgram::remove_mac(int ifindex, const MacAddress& mac, GateOwner owner) {
    const gate_mac key = mac_key(ifindex, mac);
    remove(macs_, &key, owner);
}

std::optional<SysError> GateProgram::put_pool(GateOwner pool, const gate_pool& value,
                                              const gate_slots* slots) {
    const __u32 number = GATE_POOL_NUMBER(pool);
    if (bpf_map_update_elem(pools_, &number, &value, BPF_ANY) == 0 &&
        (slots == nullptr || bpf_map_update_elem(slots_, &number, slots, BPF_ANY) == 0))
        return std::nullopt;
    return SysError{"tell the BPF gate who serves whom", "", errno};
}

void GateProgram::remove_pool(GateOwner pool) {
    const __u32 number = GATE_POOL_NUMBER(pool);
    const gate_pool none{};
    bpf_map_update_elem(pools_, &number, &none, BPF_ANY);
    bpf_map_delete_elem(slots_, &number);
}

void GateProgram::set_traffic(GateOwner pool, const PoolTraffic& traffic) {
    const __u32 number = GATE_POOL_NUMBER(pool);
    std::vector<gate_traffic> by_cpu(possible_cpus());
    by_cpu.front() = {traffic.packets, traffic.bytes, traffic.of_others};
    bpf_map_update_elem(traffic_, &number, by_cpu.data(), BPF_ANY);
}

PoolTraffic GateProgram::traffic_of(GateOwner pool) const {
    const __u32 number = GATE_POOL_NUMBER(pool);
    std::vector<gate_traffic> by_cpu(possible_cpus());
    PoolTraffic sum;
    if (bpf_map_lookup_elem(traffic_, &number, by_cpu.data()) != 0) return sum;
    for (const gate_traffic& each : by_cpu) {
        sum.packets += each.packets;
        sum.bytes += each.bytes;
        sum.of_others += each.of_others;
    }
    return sum;
}

void GateProgram::set_identity(GroupId group, const MacAddress& mac, bool is_virtual, bool router) {
    CARPD_ASSERT(has_room_for(group));
    gate_lease& lease = leases_[group];
    std::copy(mac.bytes.begin(), mac.bytes.end(), lease.mac);
    lease.flags = static_cast<__u8>((is_virtual ? GATE_VIRTUAL_MAC : 0) | (router ? GATE_ROUTER : 0));
}

void GateProgram::set_lease(GroupId group, Instant until) {
    CARPD_ASSERT(has_room_for(group));
    const auto ns = static_cast<__u64>(until.time_since_epoch().count());
    std::atomic_ref<__u64>(leases_[group].until).store(ns, std::memory_order_release);
}

bool GateProgram::has_room_for(GroupId group) {
    return group < GATE_MAX_GROUPS;
}

}  // namespace carpd
