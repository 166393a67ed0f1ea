#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "carpctl/commands.h"
#include "carpctl/render.h"

namespace carpd {

namespace {

bool is_pool(const nlohmann::ordered_json& status, const std::string& name) {
    const auto pools = status.find("pools");
    return pools != status.end() && std::any_of(pools->begin(), pools->end(),
                                                [&](const auto& pool) { return pool.at("name") == name; });
}

}  // namespace

ExitCode status_command(const Options& options, const std::string& group) {
    auto client = Client::connect(options.socket);
    if (!client) return report(client.error());
    Request request;
    request.command = Command::status;
    request.group = group;
    const auto answer = ask(*client, to_line(request));
    if (!answer) return report(answer.error());
    const Paint paint(wants_colour());
    if (options.json)
        fmt::print("{}\n", answer->line);
    else if (group.empty() || is_pool(answer->json, group))
        fmt::print("{}", render_overview(answer->json, paint));
    else
        for (const auto& one : answer->json.at("groups")) fmt::print("{}", render_group(one, paint));
    return kOk;
}

}  // namespace carpd
