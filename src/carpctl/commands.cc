#include "carpctl/commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace carpd {

namespace {

Unexpected<Failure> not_understood() {
    return Unexpected{
        Failure{kFailed, "carpd's answer makes no sense; are carpd and carpctl of one version?"}};
}

}  // namespace

Expected<Answer, Failure> ask(Client& client, const Request& request) {
    const auto line = client.ask(to_line(request));
    if (!line) return Unexpected{line.error()};
    auto json = nlohmann::ordered_json::parse(*line, nullptr, false);
    if (!json.is_object()) return not_understood();
    const auto ok = json.find("ok");
    if (ok == json.end() || !ok->is_boolean()) return not_understood();
    if (*ok) return Answer{*line, std::move(json)};
    const auto error = json.find("error");
    if (error == json.end() || !error->is_string()) return not_understood();
    return Unexpected{Failure{kFailed, error->get<std::string>()}};
}

ExitCode order_command(const Options& options, const Request& order) {
    auto client = Client::connect(options.socket);
    if (!client) return report(client.error());
    const auto answer = ask(*client, order);
    if (!answer) return report(answer.error());
    if (options.json) fmt::print("{}\n", answer->line);
    return kOk;
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
