#include "linux/gate_hooks.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "linux/arp_settings.h"
#include "linux/defer_maps.h"
#include "linux/log.h"
#include "linux/tcx.h"

namespace carpd {

namespace {

constexpr Direction kDirections[] = {Direction::ingress, Direction::egress};

// ---- tcx

std::optional<SysError> put_programs(GateProgram& program, int ifindex, const std::string& note) {
    if (auto error = program.put_note(ifindex, note)) return error;
    for (const Direction direction : kDirections)
        if (auto error = put_tcx(program.descriptor(direction), ifindex, direction,
                                 GateProgram::name(direction), DEFER_PROGRAM))
            return error;
    return std::nullopt;
}

bool stands_at_tcx(int ifindex, Direction direction) {
    const auto programs = tcx_programs(ifindex, direction);
    return programs && std::any_of(programs->begin(), programs->end(), [&](const TcxProgram& each) {
               return each.name == GateProgram::name(direction);
           });
}

bool stand_at_tcx(int ifindex) {
    return stands_at_tcx(ifindex, Direction::ingress) && stands_at_tcx(ifindex, Direction::egress);
}

// Returns the note, or nothing if there was nothing.
std::optional<std::string> remove_programs(int ifindex) {
    std::optional<std::string> note;
    for (const Direction direction : kDirections)
        for (const UniqueFd& program : remove_tcx(ifindex, direction, GateProgram::name(direction)))
            note = GateProgram::note_of(program.get(), ifindex);
    return note;
}

// ---- clsact

// How our filters are known among others: CARP's protocol number, and a name that begins so.
constexpr std::uint16_t kPriority = 112;
constexpr std::uint32_t kHandle = 112;
constexpr std::string_view kNamePrefix = "carpd:";

Filter filter_of(int ifindex, Direction direction, std::string name = {}) {
    return {ifindex, direction, kPriority, kHandle, std::move(name)};
}

bool is_ours(const Filter& filter) {
    return filter.priority == kPriority && filter.handle == kHandle && filter.name.starts_with(kNamePrefix);
}

bool stand_at_clsact(Netlink& netlink, int ifindex) {
    const auto filters = netlink.filters(ifindex);
    return !filters || std::count_if(filters->begin(), filters->end(), is_ours) == 2;
}

// Takes our filters away, and the qdisc if it was ours and nobody else uses it.
void remove_filters(Netlink& netlink, int ifindex, bool made_clsact) {
    NetlinkBatch batch;
    for (const Direction direction : kDirections) batch.delete_filter(filter_of(ifindex, direction));
    netlink.run(batch);
    const auto others = netlink.filters(ifindex);
    if (!made_clsact || !others || !others->empty()) return;
    NetlinkBatch qdisc;
    qdisc.delete_clsact(ifindex);
    netlink.run(qdisc);
}

// Returns the note, or nothing if there was nothing.
std::optional<std::string> remove_left_filters(Netlink& netlink, int ifindex) {
    const auto filters = netlink.filters(ifindex);
    if (!filters) return std::nullopt;
    const auto ours = std::find_if(filters->begin(), filters->end(), is_ours);
    if (ours == filters->end()) return std::nullopt;
    remove_filters(netlink, ifindex, read_note(ours->name, "clsact").has_value());
    return ours->name;
}

}  // namespace

std::optional<SysError> GateHooks::open(GateProgram& program, Way best) {
    way_ = best;
    auto error = attach(program, kLoopback, "");
    if (error && way_ == Way::tcx) {
        way_ = Way::clsact;
        error = attach(program, kLoopback, "");
    }
    if (!error) detach(kLoopback);
    return error;
}

std::optional<SysError> GateHooks::take_their_place(GateProgram& program) {
    holds_back_ = false;
    for (auto& [ifindex, hook] : hooks_) {
        const auto standing = find(*netlink_, ifindex);
        hook.made_clsact = standing && read_note(standing->note, "clsact").has_value();
        if (auto error = put(program, ifindex, hook)) return error;
    }
    return std::nullopt;
}

std::optional<GateHooks::Standing> GateHooks::find(Netlink& netlink, int ifindex) {
    if (const auto programs = tcx_programs(ifindex, Direction::ingress))
        for (const TcxProgram& each : *programs)
            if (each.name == GateProgram::name(Direction::ingress))
                return Standing{Way::tcx, GateProgram::note_of(each.fd.get(), ifindex)};
    const auto filters = netlink.filters(ifindex);
    for (const Filter& each : filters ? *filters : std::vector<Filter>())
        if (is_ours(each)) return Standing{Way::clsact, each.name};
    return std::nullopt;
}

std::optional<SysError> GateHooks::attach(GateProgram& program, int ifindex, const std::string& note) {
    Hook& hook = hooks_[ifindex];
    ++hook.users;
    if (hook.users > 1 && hook.note == note) return std::nullopt;
    hook.note = note;
    if (holds_back_) return std::nullopt;
    auto error = put(program, ifindex, hook);
    if (error) detach(ifindex);
    return error;
}

std::optional<SysError> GateHooks::put(GateProgram& program, int ifindex, Hook& hook) {
    return way_ == Way::tcx ? put_programs(program, ifindex, hook.note) : put_filters(program, ifindex, hook);
}

std::optional<SysError> GateHooks::put_filters(const GateProgram& program, int ifindex, Hook& hook) {
    NetlinkBatch qdisc;
    qdisc.add_clsact(ifindex);
    const auto made = netlink_->run(qdisc);
    if (made.error()) return made.error();
    if (!netlink_->has_clsact(ifindex))
        return SysError{"add the qdisc clsact, because there is the qdisc ingress; remove it from",
                        link_object(ifindex), 0};
    hook.made_clsact |= made.changed != 0;
    NetlinkBatch batch;
    const std::string name = std::string(kNamePrefix) + (hook.made_clsact ? " clsact=1" : "") + hook.note;
    for (const Direction direction : kDirections)
        batch.put_program(filter_of(ifindex, direction, name), program.descriptor(direction));
    return netlink_->run(batch).error();
}

void GateHooks::detach(int ifindex) {
    Hook& hook = hooks_[ifindex];
    if (--hook.users > 0) return;
    const bool stands = !holds_back_;  // otherwise another process's do
    if (stands && way_ == Way::tcx) remove_programs(ifindex);
    if (stands && way_ == Way::clsact) remove_filters(*netlink_, ifindex, hook.made_clsact);
    hooks_.erase(ifindex);
}

bool GateHooks::renew(GateProgram& program, int ifindex) {
    const auto place = hooks_.find(ifindex);
    if (place == hooks_.end()) return false;
    if (way_ == Way::tcx ? stand_at_tcx(ifindex) : stand_at_clsact(*netlink_, ifindex)) return false;
    const auto error = put(program, ifindex, place->second);
    if (error && error->error != ENODEV) log(LogLevel::error, error->to_string());
    return !error;
}

bool GateHooks::is_robbed(int ifindex) const {
    return way_ == Way::tcx && hooks_.contains(ifindex) && !stand_at_tcx(ifindex);
}

std::optional<std::string> GateHooks::remove_leftovers(Netlink& netlink, int ifindex) {
    const auto of_filters = remove_left_filters(netlink, ifindex);
    const auto of_programs = remove_programs(ifindex);
    return of_filters ? of_filters : of_programs;
}

}  // namespace carpd
