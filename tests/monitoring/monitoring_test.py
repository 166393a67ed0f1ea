#!/usr/bin/env python3
"""What ships for Prometheus and Grafana, judged by Prometheus' own tool: the alert rules, when each of them fires
(rules_test.yml), and every expression of the dashboard. Exit status 77: there is no promtool, which is in Debian's package
prometheus; that is large and starts a daemon, so `./dev test` doesn't install it. $PROMTOOL may say where one is."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FOLDER = pathlib.Path(__file__).parent
SHIPPED = FOLDER.parents[1] / "packaging/monitoring"


def run(promtool, folder, *arguments):
    done = subprocess.run([promtool, *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"promtool {' '.join(arguments)}:\n{done.stdout}{done.stderr}")


def expressions(dashboard):
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$group", ".*")


def as_rules(dashboard):
    """Recording rules of the panels' expressions: promtool has no other way to read one. JSON is YAML, too."""
    rules = [{"record": f"panel:{number}", "expr": expr, "labels": {"title": title}}
             for number, (title, expr) in enumerate(expressions(dashboard))]
    return json.dumps({"groups": [{"name": "dashboard", "rules": rules}]})


def main():
    promtool = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if not promtool:
        print("skipped: there is no promtool")
        sys.exit(77)
    tests = (FOLDER / "rules_test.yml").read_text()
    for alert in re.findall(r"- alert: (\w+)", (SHIPPED / "carpd.rules.yml").read_text()):
        if f'alertname="{alert}"' not in tests:
            sys.exit(f"rules_test.yml doesn't say when {alert} fires")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for file in [SHIPPED / "carpd.rules.yml", FOLDER / "rules_test.yml"]:
            shutil.copy(file, folder)
        dashboard = json.loads((SHIPPED / "carpd-dashboard.json").read_text())
        (folder / "dashboard.yml").write_text(as_rules(dashboard))
        run(promtool, folder, "check", "rules", "carpd.rules.yml", "dashboard.yml")
        run(promtool, folder, "test", "rules", "rules_test.yml")


if __name__ == "__main__":
    main()
