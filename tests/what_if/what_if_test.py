#!/usr/bin/env python3
"""carpsim --config as an administrator uses it: what_if_test.py CARPSIM. Example files, and what must come of them."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
CARPSIM = sys.argv.pop()
SCENARIOS = ["crash", "reboot", "link-loss", "partition", "drain"]
UNITS = {"s": 1, "ms": 0.001}


def carpsim(*arguments):
    return subprocess.run([CARPSIM, "--config", *map(str, arguments)], capture_output=True, text=True)


def sections(output):
    """The text of each scenario of a run with one group, by its name."""
    parts = re.split(rf"^({'|'.join(SCENARIOS)}): ", output, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def distribution(section, label):
    """(min, median, 95 %, max) in seconds."""
    if re.search(rf"^  {label} +never$", section, re.M):
        return 0, 0, 0, 0
    line = re.search(rf"^  {label} +min (.*)$", section, re.M).group(1)
    return [float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+) (ms|s)\b", line)]


class TwoHosts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        run = carpsim(HERE / "fw1.toml", HERE / "fw2.toml")
        assert run.returncode == 0, run.stderr
        cls.output = run.stdout
        cls.sections = sections(run.stdout)

    def test_every_scenario_is_played_without_a_warning(self):
        self.assertEqual(list(self.sections), SCENARIOS)
        self.assertNotIn("warning", self.output)

    def test_a_crash_costs_the_backups_master_down_time_less_part_of_an_interval(self):
        least, median, _, most = distribution(self.sections["crash"], "without an owner")
        self.assertGreater(least, 3.390 - 1.0 - 0.01)
        self.assertLess(most, 3.391 + 0.01)
        self.assertTrue(2.6 < median < 3.2, median)
        self.assertEqual(distribution(self.sections["crash"], "with two owners")[3], 0)
        self.assertIn("ends with fw2 as MASTER (master timed out): 200 of 200 runs", self.sections["crash"])

    def test_after_a_reboot_the_preempting_host_is_master_again(self):
        self.assertIn("ends with fw1 as MASTER (preempting a slower master): 200 of 200 runs", self.sections["reboot"])
        self.assertLess(distribution(self.sections["reboot"], "with two owners")[3], 0.001)

    def test_a_drain_costs_the_flight_of_a_packet(self):
        self.assertLess(distribution(self.sections["drain"], "without an owner")[3], 0.001)
        self.assertIn("master bowed out", self.sections["drain"])

    def test_a_partition_has_two_owners_for_as_long_as_it_lasts(self):
        least, _, _, most = distribution(self.sections["partition"], "with two owners")
        self.assertTrue(30 - 3.391 - 0.1 < least < most < 30 - 2.391 + 1.0, (least, most))

    def test_the_timeline_begins_with_the_fault(self):
        self.assertRegex(self.sections["crash"], r"seconds +fw1 +fw2 +event\n +0\.000000 +M\* +B +fw1 +loses power\n")


class OtherFiles(unittest.TestCase):
    def with_second(self, edit, *arguments):
        with tempfile.TemporaryDirectory() as folder:
            second = pathlib.Path(folder) / "fw2.toml"
            second.write_text(edit((HERE / "fw2.toml").read_text()))
            second.chmod(0o600)
            return carpsim(HERE / "fw1.toml", second, *arguments)

    def test_one_scenario_alone(self):
        run = carpsim(HERE / "fw1.toml", HERE / "fw2.toml", "--scenario", "drain", "--runs", "5")
        self.assertEqual(list(sections(run.stdout)), ["drain"])
        self.assertIn("5 of 5 runs", run.stdout)

    def test_different_passwords_are_warned_of_and_both_own(self):
        run = self.with_second(lambda t: t.replace("s3cret", "other"), "--scenario", "drain", "--runs", "5")
        self.assertEqual(run.returncode, 0)
        self.assertIn("warning: group lan: fw1 and fw2 have different passwords", run.stdout)
        self.assertGreater(distribution(sections(run.stdout)["drain"], "with two owners")[0], 1)

    def test_a_password_that_both_accept_is_no_difference(self):
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for name, ours, theirs in (("fw1", "s3cret", "other"), ("fw2", "other", "s3cret")):
                files.append(pathlib.Path(folder) / f"{name}.toml")
                text = (HERE / f"{name}.toml").read_text().replace("s3cret", ours)
                files[-1].write_text(text + f'accept-password = "{theirs}"\n')
                files[-1].chmod(0o600)
            run = carpsim(*files, "--scenario", "drain", "--runs", "5")
            self.assertNotIn("warning", run.stdout)
            self.assertLess(distribution(sections(run.stdout)["drain"], "with two owners")[3], 0.001)
            files[1].write_text(files[1].read_text().replace("accept-", "# accept-"))
            run = carpsim(*files, "--scenario", "drain", "--runs", "5")
            self.assertIn("only one accepts what the other signs", run.stdout)

    def test_other_differences_are_warned_of(self):
        run = self.with_second(lambda t: t.replace("advbase = 1", "advbase = 2"), "--scenario", "crash", "--runs", "1")
        self.assertIn("have advbase 1 and 2", run.stdout)
        run = self.with_second(lambda t: t.replace("advskew = 100", "advskew = 0"), "--scenario", "crash", "--runs", "1")
        self.assertIn("both have advskew 0", run.stdout)
        more = '["192.0.2.100/24", "192.0.2.101/24"]'
        run = self.with_second(lambda t: t.replace('["192.0.2.100/24"]', more), "--scenario", "crash", "--runs", "1")
        self.assertIn("list different addresses", run.stdout)

    def test_files_without_a_common_group_are_an_error(self):
        run = self.with_second(lambda t: t.replace("vhid = 1", "vhid = 2"))
        self.assertEqual(run.returncode, 6)
        self.assertIn("no two of the files share a group", run.stderr)

    def test_errors_are_those_of_carpd(self):
        run = self.with_second(lambda t: t.replace("vhid = 1", "vhid = 300"))
        self.assertEqual(run.returncode, 6)
        self.assertRegex(run.stderr, r"fw2\.toml:\d+:\d+: vhid")


class Sets(unittest.TestCase):
    """lan and wan of two firewalls, on two interfaces each."""

    def play(self, *arguments, together=True, more=""):
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for name in ("fw1", "fw2"):
                lan = (HERE / f"{name}.toml").read_text()
                wan = lan.replace('"lan"', '"wan"').replace("eth0", "eth1").replace("ens3", "ens4")
                wan = wan.replace("vhid = 1", "vhid = 2").replace("192.0.2.100", "198.51.100.1")
                files.append(pathlib.Path(folder) / f"{name}.toml")
                edge = '\n[[together]]\nname = "edge"\ngroups = ["lan", "wan"]\n' if together else ""
                files[-1].write_text(lan + "\n" + wan + edge + (more if name == "fw1" else ""))
                files[-1].chmod(0o600)
            return carpsim(*files, "--runs", "20", *arguments)

    def test_a_lost_link_of_one_moves_both(self):
        run = self.play("--scenario", "link-loss")
        self.assertEqual(run.returncode, 0, run.stderr)
        groups = run.stdout.split("=== group ")[1:]
        self.assertEqual([group.split()[0] for group in groups], ["lan", "wan"])
        for group in groups:
            self.assertIn("and all of set edge together", group)
            self.assertIn("ends with the whole set on one host: 20 of 20 runs", group)
            # What has its link is handed over: it is out for no longer than a packet flies.
            self.assertLess(distribution(group, "others of its set")[3], 0.001)
            self.assertGreater(distribution(group, "without an owner")[0], 2)

    def test_without_the_set_the_other_stays(self):
        run = self.play("--scenario", "link-loss", together=False)
        self.assertNotIn("set ", run.stdout)
        self.assertEqual(run.stdout.count("=== group"), 2)

    def test_a_crash_moves_both(self):
        run = self.play("--scenario", "crash")
        self.assertEqual(run.stdout.count("ends with the whole set on one host: 20 of 20 runs"), 2)

    def test_checks_are_said_to_pass(self):
        track = '\n[[track]]\nname = "disk"\nfile = "/etc/passwd"\ndemote = 50\n'
        run = self.play("--scenario", "drain", more=track)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("note: all checks of fw1 are assumed to pass: disk\n", run.stdout)


unittest.main()
