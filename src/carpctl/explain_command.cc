#include <fmt/format.h>

#include <cstdio>

#include "carpctl/commands.h"
#include "carpctl/explain.h"
#include "carpctl/explain_past.h"
#include "control/json.h"

namespace carpd {

namespace {

// Null if it can't be had: what the engine knows of it stands in the status.
Json ask_sync(const Options& options) {
    auto client = connect_to_sync(options.socket);
    if (!client) return nullptr;
    auto answer = ask(*client, to_line(SyncRequest{}));
    return answer ? std::move(answer->json) : Json(nullptr);
}

}  // namespace

ExitCode explain_command(const Options& options, const std::string& group) {
    auto client = Client::connect(options.socket);
    if (!client) return report(client.error());
    Request request;
    request.group = group;
    const auto answer = ask(*client, to_line(request));
    if (!answer) return report(answer.error());
    const Json sync = answer->json.at("sync").is_null() ? Json(nullptr) : ask_sync(options);
    const Facts facts{answer->json, sync};
    if (options.json)
        fmt::print("{}\n", dump(explanation(facts)));
    else
        print_paged(options, render_explanation(facts, !group.empty(), Paint(wants_colour())));
    return kOk;
}

ExitCode past_command(const Options& options, const std::string& group, std::time_t at) {
    auto client = Client::connect(options.socket);
    if (!client) return report(client.error());
    Request request;
    request.group = group;
    const auto status = ask(*client, to_line(request));
    if (!status) return report(status.error());
    const auto history = ask(*client, to_line(Request{.command = Command::history}));
    if (!history) return report(history.error());
    const Past past{status->json, history->json, std::time(nullptr)};
    fmt::print(
        "{}", options.json ? dump(past_json(past, at)) + "\n" : render_past(past, at, Paint(wants_colour())));
    return kOk;
}

}  // namespace carpd
