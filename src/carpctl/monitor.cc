#include <fmt/format.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "carpctl/commands.h"
#include "carpctl/render.h"

namespace carpd {

int interrupts() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return ::signalfd(-1, &set, SFD_CLOEXEC);
}

ExitCode monitor_command(const Options& options) {
    const int interrupt = interrupts();
    auto client = Client::connect(options.socket);
    if (!client) return report(client.error());
    Request request;
    request.command = Command::monitor;
    if (const auto answer = ask(*client, to_line(request)); !answer) return report(answer.error());
    const Paint paint(wants_colour());
    for (;;) {
        const auto line = client->next_line(interrupt);
        if (!line) return report(line.error());
        if (!line->has_value()) return kOk;
        if (options.json)
            fmt::print("{}\n", **line);
        else
            fmt::print("{}\n", render_change(nlohmann::ordered_json::parse(**line), paint));
        // Whoever reads us through a pipe wants each change at once; who has gone away wants no more.
        if (std::fflush(stdout) != 0) return kFailed;
    }
}

ExitCode history_command(const Options& options, const std::string& group) {
    auto client = Client::connect(options.socket);
    if (!client) return report(client.error());
    const auto answer = ask(*client, to_line(Request{.command = Command::history}));
    if (!answer) return report(answer.error());
    const Paint paint(wants_colour());
    for (const auto& change : answer->json.at("changes")) {
        if (!group.empty() && change.at("group") != group) continue;
        if (options.json)
            fmt::print("{}\n", change.dump());
        else
            fmt::print("{}\n", render_change(change, paint));
    }
    return kOk;
}

}  // namespace carpd
