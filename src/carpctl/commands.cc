#include "carpctl/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "config/config.h"

namespace carpd {

namespace {

Unexpected<Failure> not_understood() {
    return Unexpected{
        Failure{kFailed, "carpd's answer makes no sense; are carpd and carpctl of one version?"}};
}

}  // namespace

Expected<Answer, Failure> understand(std::string line) {
    auto json = nlohmann::ordered_json::parse(line, nullptr, false);
    if (!json.is_object()) return not_understood();
    const auto ok = json.find("ok");
    if (ok == json.end() || !ok->is_boolean()) return not_understood();
    if (*ok) return Answer{std::move(line), std::move(json)};
    const auto error = json.find("error");
    if (error == json.end() || !error->is_string()) return not_understood();
    return Unexpected{Failure{kFailed, error->get<std::string>()}};
}

Expected<Answer, Failure> ask(Client& client, const std::string& request) {
    auto line = client.ask(request);
    if (!line) return Unexpected{line.error()};
    return understand(std::move(*line));
}

Expected<Answer, Failure> ask_for_overview(Client& client) {
    Request request;
    request.form = StatusForm::brief;
    auto answer = ask(client, to_line(request));
    if (answer || answer.error().code != kFailed) return answer;
    return ask(client, to_line(Request{}));
}

ExitCode give_order(Expected<Client, Failure> client, const std::string& order, bool json) {
    if (!client) return report(client.error());
    const auto answer = ask(*client, order);
    if (!answer) return report(answer.error());
    if (json) fmt::print("{}\n", answer->line);
    return kOk;
}

ExitCode order_command(const Options& options, const Request& order) {
    return give_order(Client::connect(options.socket), to_line(order), options.json);
}

Expected<Client, Failure> connect_to_sync(const std::string& control) {
    const std::string socket = sync_socket(control);
    auto client = Client::connect(socket);
    if (client || client.error().code != kNotRunning) return client;
    return Unexpected{Failure{
        kNotRunning, fmt::format("carpd on this host doesn't synchronise state: there is no [sync] in "
                                 "its configuration, or it doesn't run ({})",
                                 socket)}};
}

Expected<std::uint64_t, Failure> ask_for_flows(Client& client, const SyncRequest& request,
                                               const ShowFlow& show) {
    auto line = client.ask(to_line(request));
    for (std::uint64_t count = 0; line; ++count, line = client.next_line()) {
        auto json = nlohmann::ordered_json::parse(*line, nullptr, false);
        if (json.is_object() && !json.contains("ok")) {
            show({std::move(*line), std::move(json)});
            continue;
        }
        const auto end = understand(std::move(*line));
        if (!end) return Unexpected{end.error()};
        if (end->json.value("flows", nlohmann::ordered_json()) != count) return not_understood();
        return count;
    }
    return Unexpected{line.error()};
}

ExitCode report(const Failure& failure) {
    fmt::print(stderr, "carpctl: {}\n", failure.message);
    return failure.code;
}

bool wants_colour() {
    const char* no_color = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    const bool refused = no_color != nullptr && *no_color != '\0';
    return !refused && term != nullptr && std::string_view(term) != "dumb" && ::isatty(STDOUT_FILENO) == 1;
}

}  // namespace carpd
