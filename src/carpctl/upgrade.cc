// `carpctl upgrade`: the carpd that is installed takes over from the one that runs.
#include <fmt/format.h>
#include <sys/timerfd.h>

#include "carpctl/commands.h"
#include "carpctl/parts.h"

namespace carpd {

namespace {

// The new one may take that long to prepare itself, and the running one says when it doesn't.
constexpr int kPatience = 75;

}  // namespace

ExitCode upgrade_command(const Options& options) {
    auto client = Client::connect(options.socket);
    if (!client) return report(client.error());
    const auto begun = ask(*client, to_line(Request{.command = Command::upgrade}));
    if (!begun) return report(begun.error());
    const int alarm = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    const itimerspec at{{}, {kPatience, 0}};
    timerfd_settime(alarm, 0, &at, nullptr);
    auto line = client->next_line(alarm);
    if (!line) return report(line.error());
    if (!*line)
        return report({kFailed, fmt::format("nothing is known of the upgrade after {} s", kPatience)});
    const auto done = understand(std::move(**line));
    if (!done) return report(done.error());

    // Of the new one, which answers as soon as it serves.
    auto successor = Client::connect(options.socket);
    if (!successor) return report(successor.error());
    const auto status =
        ask(*successor, to_line(Request{.command = Command::status, .form = StatusForm::brief}));
    if (!status) return report(status.error());
    if (options.json)
        fmt::print("{}\n", Json({{"schema", 1}, {"pid", status->json.at("pid")}}).dump());
    else
        fmt::print("The installed carpd has taken over; pid {} is its engine.\n",
                   status->json.at("pid").get<int>());
    return kOk;
}

}  // namespace carpd
