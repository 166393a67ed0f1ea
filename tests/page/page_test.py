#!/usr/bin/env python3
"""page_test.py [SCREENSHOT]: the status page in headless Chromium, with a status.json of its own: what it shows is what
that says, and text from elsewhere stays text. With a name it leaves a picture there. Exit status 77: there is no Chromium."""

import html
import http.server
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

FOLDER = pathlib.Path(__file__).parents[2] / "src/web/page"
EVIL = "<img src=x onerror=document.title='EVIL'>"


def group(name, state, since_ms, **more):
    return {"name": name, "state": state, "since_ms": since_ms, "reason": "master timed out", "interface": "eth0",
            "vhid": 7, "addresses": ["192.0.2.100/24", "2001:db8::100/64"], "last_heard": None, "demotion": 0,
            "demotion_reasons": {}, **more}


def host(name, since_ms, beacon_age_ms, trouble, hears_us):
    return {"name": name, "id": "0a", "addresses": ["192.0.2.2"], "left": False, "state": "backup", "since_ms": since_ms,
            "beacon_age_ms": beacon_age_ms, "hears_us": hears_us, "trouble": trouble}


HOSTS = [host("fw2", 900_000, 1_000, ["deaf"], False), host(EVIL, 900_000, 360_000, ["silent"], None)]


def change(time, name, before, after, cause="master_timed_out"):
    return {"time": f"2026-11-27T{time}.000+00:00", "event": "transition", "group": name, "from": before, "to": after,
            "cause": cause, "text": f"{name}: {before.upper()} -> {after.upper()} ({cause})"}


STATUS = {
    "ok": True, "running_ms": 7_200_000, "restarts": 1,
    "groups": [group("lan", "master", 1_200_000, hosts=HOSTS), group("wan", "init", 90_000, reason="interface has no link"),
               group(EVIL, "backup", 2_400_000, demotion=10, demotion_reasons={"track:uplink": 10},
                     last_heard={"source": "192.0.2.2", "age_ms": 250})],
    "pools": [{"name": "web", "hosts": [{"host": "self", "share": 0.25, "carpnodes": [1]},
                                        {"host": "192.0.2.2", "share": 0.75, "carpnodes": [2, 3, 4]}]}],
    "tracks": [{"name": "uplink", "known": True, "passed": False, "since_ms": 30_000, "why": EVIL}],
    "sync": {"peers": 2, "peers_up": 1, "incomplete": "starting"}}
CHANGES = [change("11:00:00", "lan", "init", "backup", "started"), change("11:20:00", "lan", "backup", "master"),
           change("11:30:00", "lan", "master", "backup", "yielded"), change("11:40:00", "lan", "backup", "master"),
           change("11:58:30", "wan", "backup", "init"),
           {"time": "2026-11-27T11:59:00.000+00:00", "event": "demotion", "group": "lan", "text": EVIL}]


class Server(http.server.SimpleHTTPRequestHandler):
    answer = None

    def __init__(self, *arguments):
        super().__init__(*arguments, directory=str(FOLDER))

    def do_GET(self):
        if self.path != "/status.json":
            return super().do_GET()
        body = json.dumps(self.answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self):
        self.send_header("Content-Security-Policy",
                         "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:")
        super().end_headers()

    def log_message(self, *_):
        pass


def open_page(chromium, answer, *options):
    Server.answer = answer
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server, tempfile.TemporaryDirectory() as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run(
            [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
             f"--user-data-dir={profile}", "--window-size=1100,1000", "--virtual-time-budget=1500", *options,
             f"http://127.0.0.1:{server.server_port}/"], capture_output=True, text=True, timeout=100, check=True)
        server.shutdown()
    return done.stdout


def expect(holds, what, page):
    if not holds:
        print(page)
        sys.exit(f"page_test: {what}")


def text_of(page, identity):
    found = re.search(rf'<(\w+)[^>]* id="{identity}"[^>]*>(.*?)</\1>', page, re.S)
    expect(found, f"there is no {identity}", page)
    return html.unescape(re.sub(r"<[^>]*>", " ", found.group(2)))


def lanes(page):
    """The states of each lane with their widths in thousandths."""
    return [[(state, float(width)) for width, state in
             re.findall(r'<rect x="[\d.]+" width="([\d.]+)" height="20" class="(\w+)"', svg)]
            for svg in re.findall(r"<svg.*?</svg>", page, re.S)]


def main():
    chromium = shutil.which("chromium")
    if not chromium:
        print(f"{sys.argv[0]}: Skipped\nthere is no chromium")
        sys.exit(77)
    answer = {"time": "2026-11-27T12:00:00.000+00:00", "error": None, "status": STATUS, "changes": CHANGES}
    page = open_page(chromium, answer, "--dump-dom")
    expect("<title>1/3 MASTER – carpd</title>" in page, "title", page)
    expect("<img" not in page, "text became HTML", page)
    groups = " ".join(text_of(page, "groups").split())
    for part in ("lan MASTER 20 min master timed out 192.0.2.100/24 2001:db8::100/64 eth0, vhid 7 never 0",
                 "wan INIT 90 s interface has no link",
                 EVIL + " BACKUP 40 min", "192.0.2.2, 0.3 s ago 10 (track:uplink 10)"):
        expect(part in groups, f"groups: {part}", groups)
    expect("restarted once" in text_of(page, "summary"), "summary", page)
    hosts = " ".join(text_of(page, "hosts").split())
    for part in ("lan fw2 BACKUP 15 min 192.0.2.2 NO doesn't hear this host",
                 f"lan {EVIL} silent 6 min 192.0.2.2 not known yet isn't heard any more"):
        expect(part in hosts, f"hosts: {part}", hosts)
    expect("192.0.2.2 75.0 % 2, 3, 4" in " ".join(text_of(page, "pools").split()), "pools", page)
    expect("uplink fails 30 s" in " ".join(text_of(page, "tracks").split()), "checks", page)
    expect(text_of(page, "sync") == "1 of 2 peers are up; this host lacks flows of its peers (starting).", "sync", page)
    expect(EVIL in text_of(page, "changes"), "changes", page)
    expect(re.search(r'<p id="trouble"[^>]*hidden', page), "there is no trouble", page)
    shown = lanes(page)
    expect(shown[0] == [("backup", 333.33), ("master", 166.67), ("backup", 166.67), ("master", 333.33)], "lan's lane", shown)
    expect(shown[1] == [("unknown", 750.0), ("backup", 250.0)], "the lane of another host", shown)
    expect({state for state, _ in shown[2]} == {"unknown"}, "the lane of one that is silent", shown)
    expect(shown[3] == [("backup", 975.0), ("init", 25.0)], "wan's lane", shown)
    expect(shown[4] == [("unknown", 333.33), ("backup", 666.67)], "the lane of one without changes", shown)

    page = open_page(chromium, {**answer, "error": "cannot connect", "status": None}, "--dump-dom")
    expect("carpd does not answer: cannot connect." in text_of(page, "trouble"), "trouble", page)
    if len(sys.argv) > 1:
        open_page(chromium, answer, f"--screenshot={pathlib.Path(sys.argv[1]).absolute()}")


main()
