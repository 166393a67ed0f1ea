#include <fmt/format.h>

#include <cstdio>

#include "carpctl/commands.h"
#include "carpctl/render.h"

namespace carpd {

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
    else if (group.empty())
        fmt::print("{}", render_overview(answer->json, paint));
    else
        for (const auto& one : answer->json.at("groups")) fmt::print("{}", render_group(one, paint));
    return kOk;
}

}  // namespace carpd
