#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "carpctl/commands.h"
#include "carpctl/long_status.h"
#include "carpctl/render.h"
#include "carpctl/render_peers.h"

namespace carpd {

namespace {

bool is_pool(const nlohmann::ordered_json& status, const std::string& name) {
    const auto pools = status.find("pools");
    return pools != status.end() && std::any_of(pools->begin(), pools->end(),
                                                [&](const auto& pool) { return pool.at("name") == name; });
}

// Megabytes of thousands of groups need not be understood to be passed on.
Expected<std::string, Failure> ask_for_line(Client& client, const Request& request) {
    auto line = client.ask(to_line(request));
    if (!line || line->starts_with("{\"ok\":true,")) return line;
    const auto answer = understand(std::move(*line));
    return Unexpected{answer ? Failure{kFailed, "carpd's answer makes no sense"} : answer.error()};
}

ExitCode print_as_it_is(const Expected<std::string, Failure>& line) {
    if (!line) return report(line.error());
    std::fwrite(line->data(), 1, line->size(), stdout);
    std::fputc('\n', stdout);
    return kOk;
}

// Of a carpd that doesn't know that question, everything.
Expected<std::string, Failure> ask_for_peers(Client& client, const std::string& group) {
    auto line = ask_for_line(client, {.group = group, .form = StatusForm::peers});
    if (line || line.error().code != kFailed) return line;
    return ask_for_line(client, {.group = group});
}

}  // namespace

ExitCode status_command(const Options& options, const std::string& group) {
    auto client = Client::connect(options.socket);
    if (!client) return report(client.error());
    Request request;
    request.group = group;
    if (options.json) return print_as_it_is(ask_for_line(*client, request));
    const auto answer = group.empty() ? ask_for_overview(*client) : ask(*client, to_line(request));
    if (!answer) return report(answer.error());
    const Paint paint(wants_colour());
    std::string text;
    if (group.empty() || is_pool(answer->json, group))
        text = render_overview(answer->json, paint);
    else
        for (const auto& one : answer->json.at("groups")) text += render_group(one, paint);
    print_paged(options, text);
    return kOk;
}

ExitCode peers_command(const Options& options, const std::string& group) {
    auto client = Client::connect(options.socket);
    if (!client) return report(client.error());
    auto line = ask_for_peers(*client, group);
    if (options.json || !line) return print_as_it_is(line);
    const LongStatus status(std::move(*line));
    if (!status.rest().contains("host"))
        return report({kFailed, "this carpd doesn't know of other hosts yet; it is older than carpctl"});
    print_paged(options, render_peers(status, Paint(wants_colour())));
    return kOk;
}

}  // namespace carpd
