// How faults begin, strike and end in a world.
#include <fmt/format.h>

#include "sim/host.h"
#include "sim/world.h"

namespace carpd::sim {

namespace {

// Nothing that changes a state may come of these: forgeries are refused, and copies say nothing new.
bool is_harmless(FaultKind kind) {
    return kind == FaultKind::forgery || kind == FaultKind::echo || kind == FaultKind::duplication;
}

// What can change states at any time while it lasts. The others do so only when they begin and end.
bool never_rests(FaultKind kind) {
    switch (kind) {
        case FaultKind::loss:
        case FaultKind::one_way_loss:
        case FaultKind::delay:
        case FaultKind::reordering:
        case FaultKind::corruption:
        case FaultKind::family_loss:
        case FaultKind::multicast_loss:
        case FaultKind::late_wake_ups:
        case FaultKind::send_failures:
        case FaultKind::install_failures:
        case FaultKind::flapping:
        case FaultKind::replay:
        case FaultKind::state_request:
        case FaultKind::key_change:
        case FaultKind::address_change: return true;
        default: return false;
    }
}

// Hosts may not hear what another sent, or hear what nobody did.
bool is_of_the_network(FaultKind kind) {
    switch (kind) {
        case FaultKind::loss:
        case FaultKind::one_way_loss:
        case FaultKind::delay:
        case FaultKind::reordering:
        case FaultKind::corruption:
        case FaultKind::partition:
        case FaultKind::family_loss:
        case FaultKind::multicast_loss:
        case FaultKind::suspend:
        case FaultKind::link_loss:
        case FaultKind::flapping:
        case FaultKind::interface_loss:
        case FaultKind::replay:
        case FaultKind::key_change:
        case FaultKind::address_change: return true;
        default: return false;
    }
}

}  // namespace

void World::disturb(const Fault& fault) {
    if (!is_harmless(fault.kind)) disturbed_at_ = now_;
    if (is_of_the_network(fault.kind)) network_faulty_at_ = now_;
}

void World::begin_fault(std::uint32_t place) {
    const Fault& fault = plan_.faults[place];
    for (const auto& checker : checkers_) checker->before_disturbance();
    if (witnessed()) tell(-1, -1, "begins: " + describe(plan_, fault));
    active_.insert(std::upper_bound(active_.begin(), active_.end(), place), place);
    disturb(fault);
    restless_ += never_rests(fault.kind);
    network_faults_ += is_of_the_network(fault.kind);
    apply(fault, true);
}

void World::end_fault(std::uint32_t place) {
    const Fault& fault = plan_.faults[place];
    for (const auto& checker : checkers_) checker->before_disturbance();
    if (witnessed()) tell(-1, -1, "ends:   " + describe(plan_, fault));
    active_.erase(std::lower_bound(active_.begin(), active_.end(), place));
    restless_ -= never_rests(fault.kind);
    network_faults_ -= is_of_the_network(fault.kind);
    disturb(fault);
    apply(fault, false);
}

void World::apply(const Fault& fault, bool begins) {
    const auto place = static_cast<std::uint32_t>(fault.id - 1);
    Station& station = *stations_[static_cast<std::size_t>(fault.host)];
    Host* host = plan_.hosts[static_cast<std::size_t>(fault.host)].kind == Kind::carpd
                     ? static_cast<Host*>(&station)
                     : nullptr;
    const int by = begins ? 1 : -1;
    switch (fault.kind) {
        case FaultKind::crash: return ail(station, station.ailments.crashed, by);
        case FaultKind::stop:
            if (begins && host) host->stop();
            [[fallthrough]];
        case FaultKind::kill: return ail(station, station.ailments.killed, by);
        case FaultKind::pause: return ail(station, station.ailments.frozen, by);
        case FaultKind::suspend: return ail(station, station.ailments.suspended, by);
        case FaultKind::link_loss:
            station.ailments.unplugged[fault.interface] += by;
            return station.link_changed(fault.interface);
        case FaultKind::interface_loss:
            station.ailments.vanished[fault.interface] += by;
            return station.link_changed(fault.interface);
        case FaultKind::flapping:
            strikes_[place] = begins ? 2 * fault.amount : strikes_[place];
            if (begins) return strike(place);
            if (strikes_[place] % 2 == 0) return;  // it is plugged in
            strikes_[place] = 0;
            --station.ailments.unplugged[fault.interface];
            return station.link_changed(fault.interface);
        case FaultKind::forgery:
        case FaultKind::replay:
        case FaultKind::state_request:
            strikes_[place] = begins ? (fault.kind == FaultKind::state_request ? fault.amount : 1'000) : 0;
            if (begins) strike(place);
            return;
        case FaultKind::demotion: return station.demote(fault.group, begins ? fault.amount : 0);
        case FaultKind::reload:
        case FaultKind::key_change:
        case FaultKind::address_change:
        case FaultKind::removal:
            if (host) host->configuration_changed();
            return;
        case FaultKind::demoting_check:
        case FaultKind::withdrawing_check:
            if (host) host->checks_changed();
            return;
        case FaultKind::lacks_flows:
            if (host) host->copy_changed();
            return;
        default: return;  // the network, or the host, asks whether it is active
    }
}

void World::ail(Station& station, int& ailment, int by) {
    ailment += by;
    station.condition_changed();
}

void World::strike(std::uint32_t place) {
    const Fault& fault = plan_.faults[place];
    if (strikes_[place] == 0) return;
    Station& station = *stations_[static_cast<std::size_t>(fault.host)];
    --strikes_[place];
    for (const auto& checker : checkers_) checker->before_disturbance();
    disturb(fault);
    switch (fault.kind) {
        case FaultKind::flapping:
            station.ailments.unplugged[fault.interface] += strikes_[place] % 2 == 1 ? 1 : -1;
            station.link_changed(fault.interface);
            break;
        case FaultKind::forgery: inject_forgery(fault_dice_[place]); break;
        case FaultKind::replay: inject_replay(fault_dice_[place]); break;
        case FaultKind::state_request:
            static_cast<Host&>(station).request_state(
                fault.group, fault_dice_[place].one_in(2) ? State::master : State::backup);
            break;
        default: break;
    }
    if (strikes_[place] > 0) schedule(now_ + fault.span, EventKind::strike, 0, place);
}

}  // namespace carpd::sim
