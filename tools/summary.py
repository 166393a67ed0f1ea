#!/usr/bin/env python3
"""Reads the junit.xml files of ctest runs and says how they went: summary.py FILE...

Prints what the failed tests printed, then their names, then the skipped tests with their reasons. The last line is
`N passed, M failed`, with `, K skipped` if there were any. Exit status 0 only if none failed and one ran. A file that is
missing counts as a failure: that run did not end.
"""

import re
import sys
import xml.etree.ElementTree


def read(path):
    """Yields (name, outcome, output) for each test of one run."""
    try:
        suite = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError) as error:
        yield path, "failed", f"this run left no result: {error}"
        return
    for case in suite.iter("testcase"):
        output = case.findtext("system-out", "")
        status = case.get("status")
        if status == "run":
            outcome = "passed"
        elif status in ("notrun", "disabled") and case.find("skipped") is not None:
            outcome = "skipped"
        else:
            outcome = "failed"
        yield case.get("name"), outcome, output


def skip_reason(output):
    """GoogleTest prints `file:line: Skipped` and the reason in the lines after it."""
    found = re.search(r": Skipped\n(.+)", output)
    return found.group(1).strip() if found else "no reason given"


def main(paths):
    results = [result for path in paths for result in read(path)]
    passed = [r for r in results if r[1] == "passed"]
    failed = [r for r in results if r[1] == "failed"]
    skipped = [r for r in results if r[1] == "skipped"]
    for name, _, output in failed:
        print(f"\n--- {name}\n{output.rstrip()}")
    if failed:
        print()
    for name, _, _ in failed:
        print(f"failed: {name}")
    for name, _, output in skipped:
        print(f"skipped: {name}: {skip_reason(output)}")
    print(f"{len(passed)} passed, {len(failed)} failed" + (f", {len(skipped)} skipped" if skipped else ""))
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
