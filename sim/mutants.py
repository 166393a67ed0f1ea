#!/usr/bin/env python3
"""Proves that the simulator's checkers bite: breaks the daemon's core in one place at a time and expects carpsim to notice.

    mutants.py BUILD_DIR [--jobs N] [--only NAME] [--worlds carp|sync]

BUILD_DIR is a finished build (preset release). Each mutant is a copy of one source with one passage replaced, compiled as
the build compiles it and linked into a carpsim of its own; the sources themselves stay as they are. Prints which checker
caught each mutant, at which seed; exit status 1 if one survives, if a passage is gone, or if the core as it is fails.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
STEPS = [10, 40, 150, 800, 2000]  # seeds to try, more and more of them: nearly all mutants are caught by the first ten
TOO_LONG = 60               # seconds that a step may take, five times that with sync; a mutant that hangs counts as caught by progress


@dataclasses.dataclass
class Mutant:
    name: str
    file: str      # below src/
    before: str    # a passage that stands in it exactly once
    after: str
    compile: tuple = ()  # for a header: the sources below src/ that are compiled with it
    worlds: tuple = ()   # which of carpsim's; none: CARP's


VIRTUAL_HOST = "carp/virtual_host.cc"
MUTANTS = [
    Mutant("equal advertisements never yield", "carp/election.cc",
           "case Tie::theirs: return {Verdict::yield, Cause::tie_lost};",
           "case Tie::theirs: return {Verdict::reassert, Cause::tie_won};"),
    Mutant("a MASTER never yields to a better one", "carp/election.cc",
           "return {Verdict::yield, Cause::better_advertisement};",
           "return {Verdict::hold, Cause::better_advertisement};"),
    Mutant("demotion ignored by a MASTER", "carp/election.cc",
           "if (theirs.demote < ours.demote) return {Verdict::yield, Cause::peer_less_demoted};", ""),
    Mutant("demotion ignored by a BACKUP", "carp/election.cc",
           "if (theirs.demote > ours.demote) return {Verdict::take_over, Cause::master_more_demoted};", ""),
    Mutant("bow-out ignored", "carp/election.cc",
           "if (is_bow_out(theirs)) return {Verdict::take_over, Cause::master_bowed_out};",
           "if (is_bow_out(theirs)) return {Verdict::hold, Cause::master_alive};"),
    Mutant("preempt ignored", "carp/election.cc", "if (preempt && !theirs_less_demoted", "if (!preempt && !theirs_less_demoted"),
    Mutant("preempts without being told to", "carp/election.cc", "if (preempt && !theirs_less_demoted", "if (!theirs_less_demoted"),
    Mutant("master-down timer never restarted", VIRTUAL_HOST,
           "if (state_ == State::backup) hear_master(now, family, rival, out);", ""),
    Mutant("silence in one family is taken for the master's death", "carp/virtual_host.h",
           "return last == kNever ? first : last;", "return first;", (VIRTUAL_HOST,)),
    Mutant("one who is heard in one family only is never timed out", "carp/virtual_host.h",
           "return last == kNever ? first : last;", "return last;", (VIRTUAL_HOST,)),
    Mutant("a set whose members don't follow", "carp/together.cc", "member->go_along(now, *first, out);", "continue;"),
    Mutant("a set takes over before a lease may be over", "carp/virtual_host_together.cc",
           "if (now >= gone_at()) return Prospect::open;", "if (now >= gone_at() - std::chrono::seconds(1)) return Prospect::open;"),
    Mutant("a set's members don't hold each other", "carp/together.cc", "if (prospect == Prospect::blocked ||", "if (false ||"),
    Mutant("a set that is split stays so", "carp/together.cc", "if (now >= counts_at) return apart;", "if (now >= counts_at) return nullptr;"),
    Mutant("advbase 0 without rule T5", VIRTUAL_HOST, "wait = std::max(wait, master_down_interval(base, master->standing.advskew));",
           "static_cast<void>(0);"),
    Mutant("sockets drained after the timers", "carp/pump.cc", "    std::size_t heard = 0;\n",
           "    node_.handle_timer(now, actions_);\n    perform(now);\n    std::size_t heard = 0;\n"),
    Mutant("own looped advertisement believed", VIRTUAL_HOST,
           "if (sent_counters_.is_ours(advertisement.counter)) return DropReason::own_advert;", ""),
    Mutant("own counter recognised for one packet only", "carp/sent_counters.h",
           "return distance % kStep == 0 && distance / kStep < progress_.sent;", "return counter == last() && distance % kStep == 0;",
           (VIRTUAL_HOST,)),
    Mutant("digest not checked", VIRTUAL_HOST, "return DropReason::bad_digest;", "return std::nullopt;"),
    Mutant("link-local addresses in our digest", "carp/authenticator.cc",
           "return finish(without_link_local_, counter);",
           "return finish(with_link_local_ ? *with_link_local_ : without_link_local_, counter + 1);"),
    Mutant("lease renewed without a send", VIRTUAL_HOST, "if (!sends_succeeded_) {", "if (!sends_succeeded_ && !owns_) {"),
    Mutant("one sent copy is enough for the lease", VIRTUAL_HOST, "sends_succeeded_ = sends_succeeded_ && sent;",
           "sends_succeeded_ = sent;"),
    Mutant("lease never expires in the core", VIRTUAL_HOST,
           "if (passed(lease_until_, now)) enter(now, State::backup, Cause::lease_lapsed, std::nullopt, out);",
           "if (passed(lease_until_, now)) lease_until_ = now + std::chrono::hours(1);"),
    Mutant("lease twice as long", VIRTUAL_HOST, "sends_began_ + lease_length(", "sends_began_ + 2 * lease_length("),
    Mutant("installs although it can't advertise (F3)", VIRTUAL_HOST,
           "if (lease_until_ == kNever) enter(now, State::backup, Cause::cannot_advertise, std::nullopt, out);\n        return;",
           "if (owns_) return;"),
    Mutant("withdrawal forgotten", VIRTUAL_HOST, "if (owns_) out.emplace_back(WithdrawAddresses{id_, hand_over_until(now, to_another)});",
           "if (owns_ && cause != Cause::better_advertisement) out.emplace_back(WithdrawAddresses{id_});"),
    Mutant("bow-out not sent", VIRTUAL_HOST, "    send_advertisements(now, out, ends_connections ? Saying::sign_off : Saying::bow_out);\n", ""),
    Mutant("announcements forgotten", VIRTUAL_HOST,
           "announcements_left_ = kRepeatedAnnouncements;\n        announce(now, out);\n    } else {", "} else {"),
    Mutant("a change of demotion isn't said", VIRTUAL_HOST, "if (changed && state_ == State::master && name != kSendErrorDemotion) advertise(now, out);", ""),
    Mutant("operator's request sticks", VIRTUAL_HOST, "    enter(now, state, Cause::operator_request, std::nullopt, out, together);\n",
           "    enter(now, state, Cause::operator_request, std::nullopt, out, together);\n"
           "    if (state == State::backup) disarm_all();\n"),
    Mutant("reconfiguration drops MASTER", VIRTUAL_HOST, "    if (state_ != State::master) return;\n    advertise(now, out);\n",
           "    if (state_ != State::master) return;\n"
           "    enter(now, State::backup, Cause::operator_request, std::nullopt, out);\n"
           "    if (state_ != State::master) return;\n    advertise(now, out);\n"),
    Mutant("a BACKUP that can't send never probes", VIRTUAL_HOST,
           "demotion_.amount(kSendErrorDemotion) != 0 ? now + interval() : kNever", "kNever"),
    Mutant("a lost link ignored", VIRTUAL_HOST, "if (!link_->running) return Cause::link_down;", ""),
    Mutant("a withdrawing check ignored", VIRTUAL_HOST,
           "return link == Cause::none && !withdrawn_by_.empty() ? Cause::check_failed : link;", "return link;"),
    Mutant("a withdrawing check forgets the bow-out", VIRTUAL_HOST, "cause == Cause::check_failed ||\n", "\n"),
    Mutant("a passed check leaves its demotion behind", VIRTUAL_HOST,
           "for (const std::string& name : past) on_demotion(now, name, 0, out);", ""),
    Mutant("a group stays withdrawn", VIRTUAL_HOST,
           "if (link_ != nullptr) follow_fault(now, Cause::check_passed, out);", "if (link_ != nullptr && !withdrawn_by_.empty()) follow_fault(now, Cause::check_passed, out);"),
    Mutant("answers before its flows are committed", VIRTUAL_HOST, "} else if (commit_wait == Duration(0)) {",
           "} else if (commit_wait >= Duration(0)) {"),
    Mutant("waits for its flows for ever", VIRTUAL_HOST, "if (passed(commit_until_, now)) {", "if (passed(commit_until_, now) && owns_) {"),
    Mutant("the wait for flows has no timer", VIRTUAL_HOST, "lease_until_,\n                     commit_until_});", "lease_until_});"),
    Mutant("doesn't hear that its flows are committed", VIRTUAL_HOST, "if (waits_for_flows()) install(out);", "static_cast<void>(0);"),
    Mutant("waits for its flows when it is MASTER no more", VIRTUAL_HOST,
           "advertise_at_ = announce_at_ = commit_until_ = kNever;", "advertise_at_ = announce_at_ = kNever;"),
    Mutant("its flows are asked for only once", VIRTUAL_HOST, "        commit_until_ = now + commit_wait;\n        out.emplace_back(CommitFlows{id_});",
           "        commit_until_ = now + commit_wait;\n        if (counters_.transitions_to_master == 1) out.emplace_back(CommitFlows{id_});"),
    Mutant("lacks flows and isn't demoted", "carp/copy_state.cc", "&& !is_the_truth ? kDemotion : 0;", "&& !is_the_truth && master_ ? kDemotion : 0;"),
    Mutant("a MASTER that lacks flows is demoted", "carp/copy_state.cc", "master_ && now >= settled_at_;", "false && now >= settled_at_;"),
    Mutant("a group that is new doesn't lack flows", "carp/node.cc",
           "if (sync_demotion_ != 0) groups_[id]->on_demotion(now, kSyncDemotion, sync_demotion_, out);", ""),
    Mutant("a stand-in's own carpnode is away", "carp/balancer.cc",
           "seats_[other].standing.advskew < seat.standing.advskew", "seats_[other].standing.advskew > seat.standing.advskew"),
    Mutant("a carpnode that comes home stays away", "carp/balancer.cc", "if (next != before) shares_.set_at_home(next);",
           "if (next != before) shares_.set_at_home(next & before);"),
    Mutant("what others are MASTER of isn't heard", "carp/balancer.cc",
           "    seat(now, carpnode,\n         {true, false,", "    if (false) seat(now, carpnode,\n         {true, false,"),
    Mutant("the driver isn't told who is at home", "carp/balancer.cc", "    if (told_ == wanted) return;", "    if (told_) return;"),
    Mutant("who will yield counts as MASTER", "carp/balancer.cc", ".verdict != Verdict::yield) return;", ".verdict == Verdict::yield) return;"),
    Mutant("a host forgets what it is MASTER of", "carp/balancer.cc", "        seat(now, carpnode, {true, true,", "        if (false) seat(now, carpnode, {true, true,"),
    Mutant("connections don't stay with a host that lives", "carp/balancer.cc",
           "if (config_->by_ip()) settling_until_ = now + kSettling;", ""),
    Mutant("a flood probe reaches the election", "carp/node.cc",
           "if (pool_of_[*id] && pool_of_[*id]->has_address(packet->destination))", "if (false)"),
    Mutant("a pool's addresses are announced", VIRTUAL_HOST, "        if (!announces()) return;\n", ""),
]

SYNC_STEPS = [10, 40, 150]
HOST, PEERS, WORK, OUTBOX, INBOX, SESSION = (f"sync/{name}.cc" for name in ("host", "host_peers", "host_work", "outbox", "inbox", "session"))
MUTANTS += [dataclasses.replace(mutant, worlds=("sync",)) for mutant in [
    Mutant("what was lost isn't queued again", OUTBOX, "queue(record & kNone, kRepair);", ""),
    Mutant("a lost END isn't told again", OUTBOX, "if (!entry.on_its_way || entry.last != static_cast<std::uint32_t>(datagram.packet)) continue;",
           "if (!entry.on_its_way || entry.last != static_cast<std::uint32_t>(datagram.packet) || (record >> 28 & 3) == 0) continue;"),
    Mutant("a peer's END ignored", PEERS, "if (!change.gone.empty()) on_dropped(now, change.gone, change.gone_note);", ""),
    Mutant("old records believed", INBOX, "if (heard_.get(slot) > packet) {", "if (heard_.get(slot) > packet + kMaxSlots) {"),
    Mutant("leftovers of a session stay", WORK, "on_dropped(now, leftover->gone, leftover->gone_note);", ""),
    Mutant("leftovers go while nobody is MASTER", WORK, "(master_ || std::ranges::any_of(peers_, [](const auto& other) {",
           "(true || std::ranges::any_of(peers_, [](const auto& other) {"),
    Mutant("an old dump undoes events", HOST, "return slot ? shown_by_.get(*slot) == dump_ : ", "return !slot && "),
    Mutant("an old dump brings back what ended", HOST, "return slot ? shown_by_.get(*slot) == dump_ : ended_meanwhile_.contains(own_.name_hash(identity));",
           "return slot && shown_by_.get(*slot) == dump_;"),
    Mutant("complete is said before all was told", SESSION, "says.complete = has_all(says.complete);", ""),
    Mutant("what a dump doesn't show stays", WORK, "disown(now, unlisted_next_);", ""),
    Mutant("no entry is refreshed", WORK, "write(now, held, FlowChange::Kind::update);\n        ++counters_.refreshed;", "++counters_.refreshed;"),
    Mutant("lost events call for no dump", HOST, "hurry_statuses(now);\n    dump_wanted_ = true;\n    lost_meanwhile_", "hurry_statuses(now);\n    lost_meanwhile_"),
    Mutant("what the kernel refused isn't tried again", HOST,
           "if (held) peers_[held->peer]->session.inbox().set_note(*held->table, held->slot, note);", "(void)held, (void)note;"),
    Mutant("a removed entry isn't put back", HOST, "if (written_until(held) > 0) peers_", "if (written_until(held) == 1) peers_"),
    Mutant("the lower term keeps a flow", PEERS, "return term != term_ ? term > term_ :", "return term != term_ ? term < term_ :"),
    Mutant("a new MASTER takes nothing over", HOST, "if (!said || !said->master) start_sweep(peer, Sweep::take_over);", ""),
    Mutant("what was given up isn't ended", PEERS, "++counters_.given_up;\n        disown(now, ours);", "++counters_.given_up;"),
    Mutant("complete while a peer still tells", HOST, "return SyncIncomplete::receiving;", "continue;"),
    Mutant("partial events replace all", "wire/flow_event.cc", "if (!event.tells_protocol) held.protocol = before.protocol;", ""),
    Mutant("a session keeps what the one before knew", OUTBOX, "        entries_[slot] = {};\n        if (reserved)", "        if (reserved)"),
]]


class Build:
    """What a finished build knows about compiling and linking."""

    def __init__(self, path):
        self.path = pathlib.Path(path).resolve()
        self.commands = {c["file"]: c["command"] for c in json.loads((self.path / "compile_commands.json").read_text())}
        lines = subprocess.run(["ninja", "-C", self.path, "-t", "commands", "carpsim"], check=True, capture_output=True,
                               text=True).stdout.splitlines()
        self.link_command = next(line for line in reversed(lines) if " -o carpsim " in line)

    def compile(self, file, source, overlay, output):
        command = shlex.split(self.commands[str(ROOT / "src" / file)])
        command[command.index("-o") + 1] = str(output)
        command[command.index("-c") + 1] = str(source)
        # Unused after the mutation is no mistake.
        subprocess.run([command[0], f"-I{overlay}", *command[1:], "-O1", "-g0", "-Wno-unused", "-Wno-error"], check=True, cwd=self.path)

    def link(self, objects, output):
        """The objects come before the libraries, so that the libraries' own are left out."""
        command = shlex.split(self.link_command.replace(": && ", "", 1).replace(" && :", ""))
        place = command.index("-o")
        command[place + 1] = str(output)
        command[place:place] = map(str, objects)
        subprocess.run(command, check=True, cwd=self.path)


def build_mutant(mutant, build, folder):
    text = (ROOT / "src" / mutant.file).read_text()
    if text.count(mutant.before) != 1:
        raise SystemExit(f"mutants.py: {mutant.file} has not exactly one passage {mutant.before!r}; bring the table up to date")
    overlay = folder / "src"
    (overlay / mutant.file).parent.mkdir(parents=True)
    (overlay / mutant.file).write_text(text.replace(mutant.before, mutant.after))
    objects = []
    for file in mutant.compile or (mutant.file,):
        source = overlay / file
        if not source.exists():
            shutil.copy(ROOT / "src" / file, source)
        objects.append(source.with_suffix(".o"))
        build.compile(file, source, overlay, objects[-1])
    build.link(objects, folder / "carpsim")
    return folder / "carpsim"


def first_failure(program, steps, worlds=()):
    """(checker, seed) of the first seed that breaks a statement, or None."""
    first = 1
    for count in steps:
        try:
            run = subprocess.run([program, *worlds, "--seeds", str(count), "--first", str(first), "--jobs", "1"], text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TOO_LONG * (5 if worlds else 1))
        except subprocess.TimeoutExpired:
            return "progress (hangs)", first
        broken = sorted((int(seed), checker) for seed, checker in re.findall(r"^seed (\d+) broken: ([\w-]+)", run.stdout, re.M))
        if broken:
            return broken[0][1], broken[0][0]
        if run.returncode != 0:
            raise SystemExit(f"mutants.py: {program} failed:\n{run.stdout}")
        first += count
    return None


def try_mutant(mutant, build):
    with tempfile.TemporaryDirectory(dir=build.path, prefix="mutant-") as folder:
        return mutant, first_failure(build_mutant(mutant, build, pathlib.Path(folder)),
                                     SYNC_STEPS if mutant.worlds else STEPS, mutant.worlds)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only")
    parser.add_argument("--worlds", choices=["carp", "sync"])
    arguments = parser.parse_args()
    build = Build(arguments.build)
    mutants = [m for m in MUTANTS if arguments.only in (None, m.name) and arguments.worlds in (None, *(m.worlds or ("carp",)))]
    survivors = 0
    print(f"{'mutant':<46}{'caught by':<20}{'seed':>5}")
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for mutant, failure in pool.map(lambda m: try_mutant(m, build), mutants):
            checker, seed = failure or ("SURVIVES", "")
            survivors += failure is None
            print(f"{mutant.name:<46}{checker:<20}{seed:>5}", flush=True)
    failure = first_failure(build.path / "carpsim", STEPS) or first_failure(build.path / "carpsim", SYNC_STEPS, ("sync",))
    if failure:
        print(f"the core as it is breaks {failure[0]} at seed {failure[1]}")
    print(f"{len(mutants) - survivors} of {len(mutants)} mutants caught; the core as it is "
          f"{'fails' if failure else f'holds for {sum(STEPS)} and {sum(SYNC_STEPS)} seeds'}")
    return 1 if survivors or failure else 0


if __name__ == "__main__":
    sys.exit(main())
