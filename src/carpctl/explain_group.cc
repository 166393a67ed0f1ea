// Why a group is in its state, and what would change it.
#include <fmt/format.h>

#include <algorithm>

#include "carpctl/explain_parts.h"
#include "control/refusal.h"

namespace carpd {

namespace {

// A refusal that is older explains nothing of what is now.
constexpr double kRecent_ms = 60'000;

// ---- standings

Standing standing(int advbase, int advskew, int demotion) {
    const auto byte = [](int value) { return static_cast<std::uint8_t>(std::clamp(value, 0, 255)); };
    return {AdvBase{byte(advbase)}, AdvSkew{byte(advskew)}, byte(demotion)};
}

Standing theirs_of(const Json& heard) {
    return standing(number(heard, "advbase"), number(heard, "advskew"), number(heard, "demotion"));
}

Standing ours_of(const Json& group) {
    return standing(number(group, "advbase"), number(group, "effective_advskew"), number(group, "demotion"));
}

bool is_bow_out(const Standing& s) {
    return s.advbase.seconds == 255 && s.advskew.value == 255;
}

// "1.391 s", "39.1 ms": so exact that an advskew's step shows.
std::string exact(Duration d) {
    const double ms = std::chrono::duration<double, std::milli>(d).count();
    return ms < 1000 ? fmt::format("{:.1f} ms", ms) : fmt::format("{:.3f} s", ms / 1000);
}

std::string time_of(const Standing& s) {
    return exact(advertisement_interval(s.advbase, s.advskew));
}

std::string numbers(const Standing& s) {
    return fmt::format("advertisement time {} (advbase {}, advskew {}), demotion {}", time_of(s),
                       s.advbase.seconds, s.advskew.value, s.demote);
}

// As it would be heard; a demoted one says another advskew than it has (rule M2).
std::string own_numbers(const Json& group) {
    const Standing ours = ours_of(group);
    const int configured = number(group, "advskew");
    if (configured == ours.advskew.value) return numbers(ours);
    return fmt::format(
        "advertisement time {} (advbase {}, advskew {} instead of {} because it is demoted), demotion {}",
        time_of(ours), ours.advbase.seconds, ours.advskew.value, configured, ours.demote);
}

// ---- any state

std::string_view explain_cause(std::string_view cause) {
    constexpr std::pair<std::string_view, std::string_view> kCauses[] = {
        {"operator_request",
         "An operator asked for this state (`carpctl state`), once; the election goes on from there."},
        {"lease_lapsed",
         "It was MASTER and came too late to advertise, so it gave up: this host hung or is overloaded; "
         "see carpd's log."},
        {"cannot_advertise",
         "It tried to become MASTER, and its advertisements could not be sent; see carpd's log."},
        {"addresses_refused",
         "It tried to become MASTER, and the kernel refused its addresses; see carpd's log."}};
    for (const auto& [word, sentence] : kCauses)
        if (word == cause) return sentence;
    return {};
}

void explain_state(const Json& group, Reasons& out) {
    const std::string state = text(group, "state");
    const std::string_view in = state == "init" ? "In " : "";
    out.push_back({state, fmt::format("{}{} for {}; the cause: {}.", in, upper(state),
                                      duration(group.at("since_ms")), text(group, "reason"))});
    const std::string cause = text(group, "cause");
    if (const auto sentence = explain_cause(cause); !sentence.empty())
        out.push_back({"cause_" + cause, std::string(sentence)});
}

std::string_view advice_on(std::string_view reason) {
    if (reason == "bad_digest")
        return " Hosts that refuse each other all become MASTER: give them the same password and addresses. "
               "`carpctl capture --seconds 5 | carpctl decode -` finds what differs.";
    if (reason == "unknown_peer") return " Name it among the group's peers, if it is one.";
    return {};
}

void explain_refusals(const Json& group, const Facts& facts, Reasons& out) {
    const Json& last = group.at("last_refused");
    for (const auto& [reason, count] : group.at("counters").at("dropped").items()) {
        if (is_zero(count) || reason == "not_running") continue;  // INIT hears nobody, and says so itself
        const bool is_last = !last.is_null() && text(last, "reason") == reason;
        const bool is_recent = is_last && last.at("age_ms").get<double>() < kRecent_ms;
        const std::string_view why = explain_refusal(reason);
        out.push_back(
            {"refused_" + reason,
             fmt::format(
                 "Advertisements with vhid {} are refused as {}, {} in the {} since carpd started: {}.{}{}",
                 number(group, "vhid"), printable(reason), integer<std::uint64_t>(count),
                 duration(facts.status.at("running_ms")),
                 why.empty() ? "carpctl is too old to know why" : why,
                 is_last ? fmt::format(" The last came from {}, {} ago.", text(last, "source"),
                                       duration(last.at("age_ms")))
                         : "",
                 advice_on(reason)),
             !is_recent});
    }
}

// ---- INIT

void explain_init(const Json& group, const Facts& facts, Reasons& out) {
    const std::string interface = text(group, "interface");
    if (!group.at("interface_present").get<bool>())
        out.push_back(
            {"interface_missing",
             fmt::format("This host has no interface {}; the group goes on when there is one.", interface)});
    else if (!group.at("interface_up").get<bool>())
        out.push_back({"interface_down",
                       fmt::format("{} is down; `ip link set {} up` ends that.", interface, interface)});
    else if (!group.at("interface_running").get<bool>())
        out.push_back({"link_down", fmt::format("{} is up, but has no carrier: look at the cable, the "
                                                "switch's port, and what is at its other end.",
                                                interface)});
    for (const Json& check : group.at("withdrawn_by"))
        out.push_back({"withdrawn", fmt::format("It is withdrawn because {}; that ends when it passes.",
                                                track_trouble(check.get<std::string>(), facts.status))});
    out.push_back({"no_election",
                   "Until then it takes no part in the election, whatever its advskew; another host serves, "
                   "if there is one."});
}

// ---- MASTER

void explain_others(const Json& group, Reasons& out) {
    const Json& heard = group.at("last_heard");
    if (group.at("hears_rival").get<bool>() && !heard.is_null()) {
        const Standing ours = ours_of(group), theirs = theirs_of(heard);
        const bool wins = judge(State::master, ours, theirs, false, Tie::theirs).verdict == Verdict::reassert;
        out.push_back(
            {"two_masters",
             fmt::format("{} advertises as MASTER, too, and was heard {} ago: {}. {} As long as it goes on "
                         "it does not hear this host, or refuses what it hears; ask `carpctl explain {}` "
                         "there.",
                         text(heard, "source"), duration(heard.at("age_ms")), numbers(theirs),
                         wins ? "This host is the better one, so the other has to give up."
                              : "Neither is the better one, so that with the higher address has to give up.",
                         text(group, "name"))});
        return;
    }
    std::string last;
    if (!heard.is_null())
        last =
            fmt::format(" The last other one, {}, was heard {} ago{}.", text(heard, "source"),
                        duration(heard.at("age_ms")), is_bow_out(theirs_of(heard)) ? ", when it left" : "");
    out.push_back({"alone", fmt::format("No other MASTER is heard. Backups are silent, so from here nobody "
                                        "can tell whether there is one.{}",
                                        last)});
}

void explain_master(const Json& group, const Facts& facts, Reasons& out) {
    if (group.at("waits_for_flows").get<bool>())
        out.push_back(
            {"waits_for_flows",
             fmt::format("Its addresses do not answer yet: until the flows of the peers are in the kernel, "
                         "but at most {} more, it waits.",
                         duration(group.at("commit_wait_remaining_ms")))});
    out.push_back({"own_numbers", fmt::format("This host: {}.", own_numbers(group)), true});
    explain_demotions(group, facts, out);
    explain_others(group, out);
    const Standing ours = ours_of(group);
    if (ours.demote > 0)
        out.push_back(
            {"would_yield",
             fmt::format("Any backup that is demoted by less than {} takes over at the next advertisement; "
                         "while none does, there is none that hears this host.",
                         ours.demote)});
    else
        out.push_back({"would_yield",
                       fmt::format("It would become BACKUP if a host that is not demoted advertised more "
                                   "often than every {}; a backup does that only if it preempts.",
                                   time_of(ours)),
                       true});
    if (const Json& lease = group.at("lease_remaining_ms"); !lease.is_null())
        out.push_back(
            {"lease",
             fmt::format("Should carpd stop advertising, its addresses answer for {} more (its lease).",
                         duration(lease)),
             true});
}

// ---- BACKUP

// What the host would be to `theirs`, were it demoted by no more than that one.
Standing relieved(const Json& group, const Standing& theirs) {
    const char* skew = theirs.demote > 0 ? "effective_advskew" : "advskew";
    return standing(number(group, "advbase"), number(group, skew), theirs.demote);
}

std::string preempting(const Json& group, const Standing& theirs) {
    const std::string better = fmt::format("an advertisement time below {}", time_of(theirs));
    if (group.at("preempt").get<bool>()) return fmt::format("With {} it would preempt.", better);
    return fmt::format("With {} and preempt it would take over; now preempt is off.", better);
}

std::string after_demotion(const Json& group, const Standing& theirs) {
    const std::string then = theirs.demote == 0
                                 ? "Without this host's demotion,"
                                 : fmt::format("Were this host demoted by {}, too,", theirs.demote);
    switch (obstacle(relieved(group, theirs), theirs, group.at("preempt").get<bool>(), true)) {
        case Obstacle::none: return then + " it would take over.";
        case Obstacle::faster:
            return fmt::format("{} the master would still be the better one: it advertises more often.",
                               then);
        case Obstacle::equal: return then + " neither would be the better one, and the master would stay.";
        default:
            return then +
                   " it would be the better one, but stay BACKUP as long as the master lives: preempt is "
                   "off.";
    }
}

std::string held(const Json& group) {
    const Json& by = group.at("held_by");
    return fmt::format(
        "It would take over, but {} of the set {} hears a better master, or has heard none yet, and they "
        "move together{}.",
        by.is_null() ? "another group" : printable(by.get<std::string>()),
        group.at("together").is_null() ? "it is in" : text(group, "together"),
        by.is_null() ? "" : fmt::format("; see `carpctl explain {}`", printable(by.get<std::string>())));
}

std::string obstacle_sentence(const std::string& obstacle, const Json& group, const Standing& theirs) {
    if (obstacle == "less_demoted")
        return fmt::format("The master is demoted by less ({} against {}), so it is the better one. {}",
                           theirs.demote, number(group, "demotion"), after_demotion(group, theirs));
    if (obstacle == "faster")
        return "The master advertises more often, so it is the better one. " + preempting(group, theirs);
    if (obstacle == "equal" && theirs.demote > 0)
        return fmt::format("Both are demoted by {}, so neither is the better one, and the master stays it.",
                           theirs.demote);
    if (obstacle == "equal")
        return "Neither is the better one, so the master stays it; only between two MASTERs does the lower "
               "address decide. " +
               preempting(group, theirs);
    if (obstacle == "no_preempt")
        return fmt::format(
            "This host is the better one, but stays BACKUP as long as the master lives: preempt is off. "
            "`carpctl state {} master` takes over once, `preempt = true` always.",
            text(group, "name"));
    if (obstacle == "preempt_delay")
        return fmt::format("This host is the better one, and preempts when preempt-delay is over, in {}.",
                           duration(group.at("preempt_delay_remaining_ms")));
    if (obstacle == "just_failed")
        return "It tried to become MASTER just now, and does again after an interval at the earliest.";
    if (obstacle == "no_addresses")
        return "The kernel refused its addresses the last time, so it takes over only when no master is "
               "heard or the master leaves.";
    if (obstacle == "held") return held(group);
    const auto decision =
        judge(State::backup, ours_of(group), theirs, group.at("preempt").get<bool>(), Tie::theirs);
    return fmt::format("It takes over when it hears the master the next time: {}.",
                       to_string(decision.cause));
}

void explain_backup(const Json& group, const Facts& facts, Reasons& out) {
    const Json& heard = group.at("last_heard");
    const std::string obstacle = text(group, "obstacle");
    const bool hears = !heard.is_null() && obstacle != "no_master_heard" &&
                       heard.at("age_ms").get<double>() <= group.at("since_ms").get<double>();
    const Standing theirs = hears ? theirs_of(heard) : Standing{};
    if (!hears) {
        out.push_back({"no_master_heard", "No master has been heard since."});
    } else if (is_bow_out(theirs)) {
        out.push_back({"master_left", fmt::format("{} was heard leaving {} ago.", text(heard, "source"),
                                                  duration(heard.at("age_ms")))});
    } else {
        out.push_back({"master", fmt::format("The master is {}, heard {} ago: {}.", text(heard, "source"),
                                             duration(heard.at("age_ms")), numbers(theirs))});
    }
    if (const Json& unheard = group.at("unheard_family"); !unheard.is_null())
        out.push_back({"family_unheard", fmt::format("It is heard in {} only; `carpctl doctor` says more.",
                                                     unheard == "ipv6" ? "IPv4" : "IPv6")});
    out.push_back({"own_numbers", fmt::format("This host: {}.", own_numbers(group))});
    explain_demotions(group, facts, out);
    if (obstacle != "no_master_heard")
        out.push_back(
            {obstacle == "none" ? "takes_over" : obstacle, obstacle_sentence(obstacle, group, theirs)});
    const Json& left = group.at("master_down_remaining_ms");
    if (left.is_null() || obstacle == "held") return;
    out.push_back({"would_take_over",
                   hears ? fmt::format("It takes over when the master is silent for {} more.", duration(left))
                         : fmt::format("It takes over in {} if none is heard.", duration(left))});
}

}  // namespace

Reasons explain_group(const Json& group, const Facts& facts) {
    Reasons reasons;
    explain_state(group, reasons);
    explain_pool(group, reasons);
    const std::string state = text(group, "state");
    if (state == "master")
        explain_master(group, facts, reasons);
    else if (state == "backup")
        explain_backup(group, facts, reasons);
    else
        explain_init(group, facts, reasons);
    explain_refusals(group, facts, reasons);
    return reasons;
}

}  // namespace carpd
