#include <fmt/format.h>

#include <cstdio>

#include "carpctl/commands.h"
#include "carpctl/render_sync.h"

namespace carpd {

namespace {

ExitCode show_status(Client& client, const Options& options) {
    const auto answer = ask(client, to_line(SyncRequest{}));
    if (!answer) return report(answer.error());
    fmt::print("{}",
               options.json ? answer->line + "\n" : render_sync_status(answer->json, Paint(wants_colour())));
    return kOk;
}

// How many there were stands on standard error, as conntrack(8) has it.
ExitCode show_flows(Client& client, const Options& options, const SyncRequest& request) {
    const Paint paint(wants_colour());
    const auto count = ask_for_flows(client, request, [&](const Answer& flow) {
        fmt::print("{}\n", options.json ? flow.line : render_sync_flow(flow.json, paint));
    });
    if (!count) return report(count.error());
    if (std::fflush(stdout) != 0) return kFailed;
    if (!options.json) fmt::print(stderr, "{} flows\n", *count);
    return kOk;
}

}  // namespace

ExitCode sync_command(const Options& options, const SyncRequest& request) {
    auto client = connect_to_sync(options.socket);
    if (!client) return report(client.error());
    switch (request.command) {
        case SyncCommand::status: return show_status(*client, options);
        case SyncCommand::flows: return show_flows(*client, options, request);
        default: return give_order(std::move(client), to_line(request), options.json);
    }
}

}  // namespace carpd
