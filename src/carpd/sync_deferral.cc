#include "carpd/sync_deferral.h"

#include <fmt/format.h>

#include <utility>

#include "linux/log.h"
#include "linux/process.h"

namespace carpd {

namespace {

constexpr Duration kTryAgain = std::chrono::seconds(1);

}  // namespace

SyncDeferral::SyncDeferral(const SyncConfig& config)
    : deferral_({random_seed(), random_seed()}, config.defer_wait) {
    for (const std::string& name : config.defer) places_.push_back({name});
    auto frames = DeferredFrames::open(places_.size());
    if (frames)
        frames_.emplace(std::move(*frames));
    else
        trouble_ = frames.error().to_string();
    if (!frames_) log(LogLevel::warning, fmt::format("[sync] defer: no packet waits: {}", trouble_));
}

// ---- interfaces

void SyncDeferral::follow(Instant now, const LinkMonitor& links) {
    follow_at_ = kNever;
    for (std::size_t i = 0; frames_ && i < places_.size(); ++i) {
        const std::string trouble = follow(i, links);
        if (!trouble.empty()) follow_at_ = now + kTryAgain;
        if (std::exchange(places_[i].trouble, trouble) != trouble && !trouble.empty())
            log(LogLevel::warning, fmt::format("[sync] defer: {}", trouble));
    }
}

std::string SyncDeferral::follow(std::size_t number, const LinkMonitor& links) {
    Place& place = places_[number];
    const Interface* const interface = links.find(place.name);
    const DeferredFrames::Tap& tap = frames_->tap(number);
    const Interface* const device = links.find(tap.ifindex);
    const int ifindex = interface && device && device->up() ? interface->ifindex() : 0;
    if (ifindex != 0 && ifindex == place.ifindex) return "";
    if (place.ifindex != 0) frames_->detach(number);
    place.ifindex = 0;
    if (!interface) return fmt::format("there is no interface {}", place.name);
    if (!interface->link.ethernet) return fmt::format("{} isn't an Ethernet interface", place.name);
    const auto no_device = [&](const char* what, const char* remedy) {
        return fmt::format("{} is {}, so no packet that leaves {} waits; {}", tap.name, what, place.name,
                           remedy);
    };
    if (!device) return no_device("gone", "restart carpd");
    if (!device->up()) return no_device("down", "set it up");
    if (const auto error = frames_->attach(number, ifindex, place.name)) return error->to_string();
    place.ifindex = ifindex;
    log(LogLevel::info,
        fmt::format("[sync] defer: the first packets that leave {} wait for peers", place.name));
    return "";
}

void SyncDeferral::set_active(bool active) {
    if (frames_ && std::exchange(active_, active) != active) frames_->set_active(active);
}

// ---- frames

void SyncDeferral::read(Instant now) {
    frames_->read([&](std::size_t place, Bytes frame) {
        if (!deferral_.hold(now, place, frame)) frames_->send(place, frame);
    });
}

void SyncDeferral::release(Instant now, bool heard_all, const SyncHost& host) {
    if (frames_) frames_->give_up_lost();
    if (deferral_.is_empty()) return;
    deferral_.release(
        now, heard_all, [&](const FlowIdentity& flow) { return host.told(flow); },
        [&](std::size_t place, Bytes frame) { frames_->send(place, frame); });
}

void SyncDeferral::stop(Instant now) {
    if (!frames_) return;
    const auto send = [&](std::size_t place, Bytes frame) { frames_->send(place, frame); };
    set_active(false);
    deferral_.release(
        now, true, [](const FlowIdentity&) { return SyncTold::no; }, send);
    frames_->read(send);
}

SyncDeferralFigures SyncDeferral::figures() const {
    SyncDeferralFigures figures{
        .trouble = trouble_, .active = active_, .held = deferral_.size(), .counters = deferral_.counters()};
    for (const Place& place : places_) figures.interfaces.push_back({place.name, place.trouble});
    if (!frames_) return figures;
    figures.passed = frames_->passed();
    figures.lost = frames_->lost();
    figures.send_errors = frames_->send_errors();
    return figures;
}

}  // namespace carpd
