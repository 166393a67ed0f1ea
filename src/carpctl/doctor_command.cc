#include <fmt/format.h>
#include <net/if.h>

#include <cstdio>

#include "carpctl/commands.h"
#include "carpctl/doctor.h"
#include "carpctl/doctor_host.h"
#include "carpctl/doctor_parts.h"
#include "carpctl/doctor_probe.h"
#include "carpctl/parts.h"
#include "control/config_answer.h"
#include "control/json.h"

namespace carpd {

namespace {

// Time for answers, and for carpd's counters to move.
constexpr std::chrono::milliseconds kPatience{600};
// Each is two broadcast frames.
constexpr std::size_t kMostQuestions = 256;

Expected<Answer, Failure> ask_status(const Options& options, const std::string& group) {
    auto client = Client::connect(options.socket);
    if (!client) return Unexpected{client.error()};
    Request request;
    request.group = group;
    return ask(*client, to_line(request));
}

std::set<std::string> interfaces_of(const Json& status) {
    std::set<std::string> names;
    for (const Json& group : status.at("groups")) names.insert(group.at("interface").get<std::string>());
    return names;
}

void add_question(const Json& group, const IpAddress& asked, bool by_broadcast,
                  std::vector<LanQuestion>& questions) {
    const Json& source = group.at(asked.family() == Family::ipv4 ? "source_ipv4" : "source_ipv6");
    const auto from = source.is_null() ? std::nullopt : IpAddress::parse(source.get<std::string>());
    if (from) questions.push_back({group.at("interface").get<std::string>(), *from, asked, by_broadcast});
}
void add_question(const Json& group, const std::string& address, std::vector<LanQuestion>& questions) {
    if (const auto asked = address_in(address)) add_question(group, *asked, false, questions);
}

// Who answers for the groups' addresses, and do unicast peers, and hosts whose multicast has stopped.
std::vector<LanQuestion> questions_of(const Json& status) {
    std::vector<LanQuestion> questions;
    for (const Json& group : status.at("groups")) {
        if (!group.at("interface_running").get<bool>()) continue;
        if (group.at("balance").is_null())
            for (const Json& address : group.at("addresses"))
                add_question(group, address.get<std::string>(), questions);
        if (!group.at("peer_routed").get<bool>())
            for (const Json& peer : group.at("peers"))
                add_question(group, peer.get<std::string>(), questions);
        for (const IpAddress& host : hosts_that_stopped(group)) add_question(group, host, true, questions);
    }
    return questions;
}

// Hosts that are no group's address, each once: masters that were heard, peers, and who sends beacons.
std::vector<LanQuestion> hosts_of(const Json& status) {
    std::vector<LanQuestion> questions;
    for (const Json& group : status.at("groups")) {
        if (group.at("mac") != "virtual" || !group.at("interface_running").get<bool>()) continue;
        if (const Json& heard = group.at("last_heard"); !heard.is_null())
            add_question(group, heard.at("source").get<std::string>(), questions);
        for (const Json& peer : group.at("peers")) add_question(group, peer.get<std::string>(), questions);
        for (const Json& host : group.value("hosts", Json()))
            for (const Json& address : host.at("addresses"))
                add_question(group, address.get<std::string>(), questions);
    }
    std::set<std::pair<std::string, std::string>> asked;
    std::erase_if(questions, [&](const LanQuestion& question) {
        return !asked.emplace(question.interface, question.address.to_string()).second;
    });
    return questions;
}

void ask_the_lan(const Json& status, bool with_foreign_macs, Case& known) {
    auto questions = questions_of(status);
    if (questions.size() > kMostQuestions) {
        known.untested.push_back(
            fmt::format("who answers for more than {} addresses; name a group", kMostQuestions));
        questions.resize(kMostQuestions, questions.front());
    }
    if (auto answers = ask_lan(questions, kPatience))
        known.answers = std::move(*answers);
    else
        known.untested.push_back("who answers on " + answers.error());
    if (!with_foreign_macs) return;
    const auto hosts = hosts_of(status);
    if (hosts.empty())
        known.untested.push_back(
            "foreign MACs: no other host is known that could answer; try it on a BACKUP");
    else if (auto tests = test_foreign_macs(hosts, kPatience))
        known.mac_tests = std::move(*tests);
    else
        known.untested.push_back("foreign MACs on " + tests.error());
}

// As carpd says it; an older one doesn't.
std::string config_file(const Options& options) {
    auto client = Client::connect(options.socket);
    const auto answer = client ? ask(*client, to_line(Request{.command = Command::config}))
                               : Expected<Answer, Failure>(Unexpected{client.error()});
    return answer ? answer->json.at("file").get<std::string>() : std::string(kDefaultConfigFile);
}

}  // namespace

ExitCode doctor_command(const Options& options, const DoctorOrder& order) {
    auto before = ask_status(options, order.group);
    if (!before) return report(before.error());
    const std::string file = order.config.empty() ? config_file(options) : order.config;
    const bool is_ucarp = file == kUcarpCommandLine;  // then no file says anything else, or is wrong
    Case known{
        .before = std::move(before->json),
        .config = is_ucarp ? KnownConfig{.file = file, .problem = "there is none"} : look_at_config(file)};
    if (!is_ucarp && !known.config.has() && !known.config.is_invalid)
        known.untested.push_back(
            fmt::format("the configuration ({}); name it with --config", known.config.problem));
    ask_the_lan(known.before, order.foreign_macs, known);
    known.host = look_at_host(interfaces_of(known.before), known.untested);
    auto now = ask_status(options, order.group);
    if (!now) return report(now.error());
    known.now = std::move(now->json);
    const Troubles findings = diagnose(known);
    fmt::print("{}", options.json ? dump(findings_json(findings, known)) + "\n"
                                  : render_findings(findings, known, Paint(wants_colour())));
    return findings.empty() ? kOk : kFailed;
}

}  // namespace carpd
