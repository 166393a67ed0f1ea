#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "carpctl/commands.h"
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
ExitCode print_as_it_is(Client& client, const Request& request) {
    auto line = client.ask(to_line(request));
    if (!line) return report(line.error());
    if (!line->starts_with("{\"ok\":true,")) {
        const auto answer = understand(std::move(*line));
        return answer ? kFailed : report(answer.error());
    }
    std::fwrite(line->data(), 1, line->size(), stdout);
    std::fputc('\n', stdout);
    return kOk;
}

}  // namespace

ExitCode status_command(const Options& options, const std::string& group) {
    auto client = Client::connect(options.socket);
    if (!client) return report(client.error());
    Request request;
    request.group = group;
    if (options.json) return print_as_it_is(*client, request);
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
    Request request;
    request.group = group;
    const auto answer = ask(*client, to_line(request));
    if (!answer) return report(answer.error());
    if (!answer->json.contains("host"))
        return report({kFailed, "this carpd doesn't know of other hosts yet; it is older than carpctl"});
    if (options.json)
        fmt::print("{}\n", peers_json(answer->json).dump());
    else
        print_paged(options, render_peers(answer->json, Paint(wants_colour())));
    return kOk;
}

}  // namespace carpd
