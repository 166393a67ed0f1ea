// What carpctl asks of `carpd: sync`.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "carpd/sync_process.h"
#include "control/request.h"
#include "control/sync_flow.h"

namespace carpd {

namespace {

// So many slots are looked at while others wait, and so much may wait for a client to read it.
constexpr std::size_t kSlotsAtOnce = 2048, kMuchUnsent = 256 * 1024;

SyncInjectionFigures injection_figures(const ConntrackTable::Counters& counters) {
    return {counters.written,  counters.removed,     counters.gone,           counters.recreated,
            counters.replaced, counters.evicted,     counters.without_master, counters.without_helper,
            counters.full,     counters.unsupported, counters.invalid,        counters.clashes,
            counters.other};
}

}  // namespace

void SyncProcess::handle_line(LineServer::ClientId client, std::string_view line) {
    LineServer& control = kernel_.control;
    const auto request = parse_sync_request(line);
    if (!request) return control.send(client, error_line(request.error()));
    if (control.is_reader(client) && request->command != SyncCommand::status)
        return control.send(client, error_line(fmt::format("who only reads may not ask for {}",
                                                           to_string(request->command))));
    switch (request->command) {
        case SyncCommand::status: return control.send(client, status());
        case SyncCommand::flows: return begin_flows(client, request->owner);
        case SyncCommand::resync: host_.resync(now_); return control.send(client, ok_line());
        case SyncCommand::flush:
            return control.send(client, host_.flush(now_)
                                            ? ok_line()
                                            : error_line("this host is MASTER of a group: the flows of its "
                                                         "peers are in use here, or about to be"));
    }
}

std::string SyncProcess::status() const {
    SyncProcessFigures figures{.config = config_, .pid = getpid(), .started = started_};
    figures.socket_trouble = socket_trouble_;
    figures.kernel_events = kernel_.kernel.events();
    figures.dumps = kernel_.kernel.dumps();
    const auto refused = kernel_.kernel.refused();
    for (std::size_t i = 0; i < refused.size(); ++i)
        figures.messages_refused.push_back({to_string(static_cast<ConntrackRefusal>(i)), refused[i]});
    figures.datagrams_refused = {
        {"stranger", strangers_}, {"routed", refused_.routed}, {"too_long", refused_.too_long}};
    if (limits_) figures.table = {limits_->entries, limits_->max, limits_->buckets};
    figures.injection = injection_figures(kernel_.kernel.table());
    figures.takeovers = takeovers_;
    figures.last_commit = last_commit_;
    figures.bound_exceeded = bound_exceeded_;
    if (kernel_.deferral) figures.deferral = kernel_.deferral->figures();
    if (finder_) {
        figures.finding = finding_;
        figures.finding->finder = &*finder_;
    }
    for (const Peer& peer : peers_) figures.peers.push_back(peer.figures);
    return sync_status(host_, figures, now_);
}

void SyncProcess::begin_flows(LineServer::ClientId client, const std::string& owner) {
    std::vector<std::string> known{std::string(config_.name.view())};
    for (std::size_t i = 0; i < peers_.size(); ++i) known.push_back(name_of(i));
    if (owner.empty() || std::ranges::find(known, owner) != known.end())
        answers_[client] = {owner, {}, 0};
    else
        kernel_.control.send(client, error_line(unknown_group("host", owner, known)));
}

// A million flows take longer to tell than a datagram may wait.
bool SyncProcess::can_continue_answers() const {
    return std::ranges::any_of(
        answers_, [this](const auto& entry) { return kernel_.control.unsent(entry.first) < kMuchUnsent; });
}

void SyncProcess::continue_answers() {
    for (auto at = answers_.begin(); at != answers_.end();) {
        auto& [client, answer] = *at;
        const bool is_over =
            !kernel_.control.is_open(client) ||
            (kernel_.control.unsent(client) < kMuchUnsent && continue_answer(client, answer));
        at = is_over ? answers_.erase(at) : std::next(at);
    }
}

// Whether that was all.
bool SyncProcess::continue_answer(LineServer::ClientId client, FlowsAnswer& answer) {
    const bool more = host_.walk(answer.cursor, kSlotsAtOnce, [&](const Flow& flow, auto peer) {
        const std::string owner = peer ? name_of(*peer) : std::string(config_.name.view());
        if (!answer.owner.empty() && owner != answer.owner) return;
        ++answer.told;
        kernel_.control.send(client, sync_flow_line(flow, owner));
    });
    if (!more) kernel_.control.send(client, sync_flows_end(answer.told));
    return !more;
}

}  // namespace carpd
