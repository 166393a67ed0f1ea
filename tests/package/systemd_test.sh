#!/bin/bash
# systemd_test.sh BUILD: installs the Debian package in a container (an overlay over this root) whose first process is a real
# systemd, and lives through what it does with carpd. Exit status 77: that can't be done here.
set -euo pipefail
source="$(cd "$(dirname "$0")/../.." && pwd)"
build="$(cd "$1" && pwd)"
fail() { echo "systemd_test: $*" >&2; inside journalctl -u 'carpd*' --no-pager -n 60 >&2 || true; exit 1; }
skip() { printf '%s: Skipped\n%s\n' "$0" "$*"; exit 77; }  # as GoogleTest says it, for tools/summary.py

if [ "${2:-}" != inside ]; then
    [ "$(id -u)" -eq 0 ] || skip "it needs root"
    command -v systemd-nspawn >/dev/null || skip "it needs systemd-nspawn"
    exec unshare --mount "$0" "$build" inside
fi

inside() { nsenter --all --target "$leader" env -u NOTIFY_SOCKET "$@"; }
state() { inside systemctl show --property "$1" --value "${2:-carpd}"; }
# await SECONDS COMMAND...: it comes to be true, or the test fails.
await() {
    local limit=$((SECONDS + $1))
    shift
    while ! "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$limit" ] || fail "waited in vain: $*"
        sleep 0.1
    done
}
is() { [[ "$("${@:2}")" == $1 ]]; }

# ---- a root with a systemd of its own
place="$(mktemp -d)"
name="carpd-$$"
machine="" leader=""
clean_up() {
    [ -z "$machine" ] || { kill -TERM "$machine" && timeout 20 tail --pid="$machine" -f /dev/null || kill -KILL "$machine"; } 2>/dev/null
    umount -R -l "$place" 2>/dev/null
    rmdir "$place"
}
trap clean_up EXIT
mount -t tmpfs none "$place"
mkdir "$place/upper" "$place/work" "$place/system" "$place/deb"
mount -t overlay none -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$place/system" ||
    skip "an overlay over this root can't be mounted"
"$source/packaging/make_deb.sh" "$build" "$place/deb" >"$place/log" 2>&1 || { tail -n 30 "$place/log" >&2; fail "no package"; }
cp "$place"/deb/carpd_*.deb "$place/system/srv/carpd.deb"
rm -rf "$place/system/etc/carpd" "$place/system/etc/systemd/system/multi-user.target.wants" \
    "$place/system/etc/network/interfaces.d" "$place/system/var/lib/carpd"
mkdir -p "$place/system/etc/systemd/system/carpd.service.d"
printf '[Service]\nWatchdogSec=5\n' >"$place/system/etc/systemd/system/carpd.service.d/test.conf"
printf '[Match]\nName=lan0\n[Network]\nAddress=192.0.2.1/24\n' >"$place/system/etc/systemd/network/20-lan.network"
systemd-nspawn --directory "$place/system" --machine "$name" --register=no --keep-unit --private-network --boot --quiet \
    --console=read-only --capability=all --system-call-filter="bpf @memlock @keyring" >"$place/console" 2>&1 </dev/null &
machine=$!
for _ in $(seq 100); do
    kill -0 "$machine" 2>/dev/null || { cat "$place/console"; skip "systemd doesn't run in a container here"; }
    leader="$(pgrep -P "$machine" || true)"
    [ -z "$leader" ] || ! inside systemctl is-active --quiet multi-user.target 2>/dev/null || break
    sleep 0.3
done
[ -n "$leader" ] && inside systemctl is-active --quiet multi-user.target || { tail -n 30 "$place/console"; skip "systemd doesn't come up in a container here"; }
inside ip link add lan0 type veth peer name lan1
inside ip link set lan1 up
inside systemctl start systemd-networkd
await 20 inside ip -4 -o address show dev lan0 to 192.0.2.1

# ---- install: without a configuration nothing runs, and nothing is in the way of what runs
inside dpkg -i /srv/carpd.deb >"$place/log" 2>&1 || { cat "$place/log" >&2; fail "it can't be installed"; }
is inactive state ActiveState || fail "carpd is $(state ActiveState) without a configuration"
[ -z "$(inside systemctl list-units --failed --plain --no-legend 'carp*')" ] || fail "a unit has failed without a configuration"

# ---- start: ready when it is, and what it is
write() { inside sh -ec "umask 077; sed 's/\"eth0\"/\"lan0\"/; s/^advskew = 0/advskew = $1/' \
    /usr/share/doc/carpd/examples/carpd.toml >/etc/carpd/carpd.toml"; }
inside mkdir -p /etc/carpd
write 0
inside systemctl start carpd || fail "it doesn't start"
await 20 is "1 group, MASTER of 1" state StatusText
await 20 is '*lan:\ BACKUP\ ->\ MASTER*' inside journalctl -u carpd --no-pager CARP_GROUP=lan CARP_TO=master
is '*/etc/systemd/system/carpd.service.d/test.conf*' state DropInPaths || fail "the test's drop-in is not there"

# ---- networkd starts again and reads its files again: our addresses are none of its business
holds() { [ "$(inside ip -o address show to 192.0.2.100 | wc -l) $(inside ip -o address show to 2001:db8::100 | wc -l)" = "1 1" ]; }
transitions() { inside carpctl -j status | python3 -c "
import json, sys
counters = json.load(sys.stdin)['groups'][0]['counters']
print(counters['transitions_to_master'], counters['transitions_to_backup'])"; }
holds || fail "MASTER has no addresses"
before="$(transitions)"
inside systemctl restart systemd-networkd
await 20 is '*routable*' inside networkctl --no-pager status lan0
inside networkctl reload
inside networkctl reconfigure lan0
await 20 inside ip -4 -o address show dev lan0 to 192.0.2.1
holds || fail "networkd has taken our addresses: $(inside ip -br address)"
[ "$(transitions)" = "$before" ] || fail "networkd has made a transition: $before, now $(transitions)"

# ---- reload: also when the file is wrong
main="$(state MainPID)"
write 7
inside systemctl reload carpd || fail "it can't be reloaded"
[[ "$(inside carpctl -j status)" == *'"advskew":7,'* ]] || fail "a reload changes nothing"
write 700
inside systemctl reload carpd >"$place/log" 2>&1 && fail "a wrong file is taken"
[[ "$(inside journalctl -u carpd --no-pager -n 10)" == *"advskew 700 is out of range"* ]] || fail "what is wrong isn't said"
is active state ActiveState && [ "$(state MainPID)" = "$main" ] || fail "a wrong file ends it"
write 0
inside systemctl reload carpd

# ---- upgrade: the same process, the same state, and the new engine's watchdog
before="$(transitions)"
said="$(inside dpkg -i /srv/carpd.deb 2>&1)"
[[ "$said" == *"carpd: the new version has taken over, without a failover"* ]] || fail "an upgrade says: $said"
pushed="$(state WatchdogTimestampMonotonic)"
is_pushed() { [ "$(state WatchdogTimestampMonotonic)" != "$pushed" ]; }
await 20 is_pushed
[ "$(state MainPID) $(state NRestarts) $(transitions)" = "$main 0 $before" ] || fail "an upgrade makes a failover"

# ---- a supervisor that is killed, and a service that hangs as a whole
inside systemctl kill --signal KILL --kill-who main carpd
await 20 is 1 state NRestarts
await 20 is "1 group, MASTER of 1" state StatusText
holds || fail "after the supervisor's death: $(inside ip -br address)"
inside systemctl kill --signal STOP --kill-who all carpd
await 40 is 2 state NRestarts
await 20 is "1 group, MASTER of 1" state StatusText
[[ "$(inside journalctl -u carpd --no-pager)" == *"Failed with result 'watchdog'"* ]] || fail "it wasn't the watchdog"

# ---- a namespace of its own, beside it
inside ip netns add inner
inside ip link add wan0 netns inner type veth peer name wan1 netns inner
inside ip -n inner link set wan1 up
inside ip -n inner link set wan0 up
inside sh -ec 'umask 077
    (echo "control = \"/run/carpd-inner/control.sock\""; sed "s/\"lan0\"/\"wan0\"/" /etc/carpd/carpd.toml) >/etc/carpd/inner.toml'
inside systemctl start carpd@inner || fail "carpd@ doesn't start"
await 20 is "1 group, MASTER of 1" state StatusText carpd@inner
[ -n "$(inside ip -n inner -o address show to 192.0.2.100)" ] || fail "carpd@inner serves nothing"

# ---- stop: nothing is left; a wrong file is not tried again and again
inside systemctl stop carpd carpd@inner
[ -z "$(inside ip -o address show to 192.0.2.100)$(inside ip -n inner -o address show to 192.0.2.100)" ] || fail "an address is left"
[ "$(state Result) $(state Result carpd@inner)" = "success success" ] || fail "it doesn't stop in order"
write 700
inside systemctl start carpd >"$place/log" 2>&1 && fail "it starts with a wrong file"
[ "$(state ActiveState) $(state NRestarts)" = "failed 0" ] || fail "a wrong file: $(state ActiveState), $(state NRestarts) restarts"
inside dpkg --purge carpd >"$place/log" 2>&1 || { cat "$place/log" >&2; fail "it can't be purged"; }
echo "systemd_test: $(inside systemctl --version | head -n 1) runs, watches, upgrades and stops carpd"
