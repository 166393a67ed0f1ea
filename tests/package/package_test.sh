#!/bin/bash
# package_test.sh BUILD: makes the Debian package of a finished build, and installs, upgrades and purges it in a root of its
# own, an overlay over this one that is gone afterwards. Exit status 77: that can't be done here.
set -euo pipefail
source="$(cd "$(dirname "$0")/../.." && pwd)"
build="$(cd "$1" && pwd)"
fail() { echo "package_test: $*" >&2; exit 1; }
skip() { printf '%s: Skipped\n%s\n' "$0" "$*"; exit 77; }  # as GoogleTest says it, for tools/summary.py

if [ "${2:-}" != inside ]; then
    [ "$(id -u)" -eq 0 ] || skip "it needs root"
    exec unshare --mount --net "$0" "$build" inside
fi

# ---- completion knows what there is
for shell in bash zsh fish; do
    file="$source/packaging/completion/carpctl.$shell"
    "$shell" -n "$file" || fail "$file is no $shell"
    "$build/carpctl" --help | sed -n '/^Subcommands:/,$ s/^  \([a-z]*\) .*/\1/p' | while read -r command; do
        grep -qw -- "$command" "$file" || fail "$file does not know \`$command\`"
    done
done
completed="$(bash -c 'source "$1"; COMP_WORDS=(carpctl dr); COMP_CWORD=1; _carpctl; echo "${COMPREPLY[*]}"' - \
    "$source/packaging/completion/carpctl.bash")"
[ "$completed" = drain ] || fail "bash completes dr to '$completed'"

# Of a status with a group, a pool's group and a check, the names of the first two and of the pool.
fake_carpctl='carpctl() { echo "$STATUS"; }'
export STATUS='{"ok":true,"groups":[{"name":"lan","interface":"eth0"},{"name":"web.1","interface":"eth0","balance":{"pool":"web"}}],"tracks":[{"name":"uplink","kind":"tcp"}]}'
for shell in bash zsh fish; do
    file="$source/packaging/completion/carpctl.$shell"
    case "$shell" in
        bash) offered="$(bash -c "$fake_carpctl"'; source "$1"; _carpctl_groups' - "$file")" ;;
        zsh) offered="$(zsh -fc "$fake_carpctl"'; compadd() { print -l ${(P)2}; }
            eval "$(sed -n "/^_carpctl_groups/,/^}/p" "$1")"; _carpctl_groups' - "$file")" ;;
        fish) offered="$(fish --no-config -c 'function carpctl; echo $STATUS; end; function commandline; end; source $argv[1]; __carpctl_groups' "$file")" ;;
    esac
    [ "$(echo $offered)" = "lan web web.1" ] || fail "$shell offers as groups: $offered"
done

# They are asked at the socket that was typed.
fake_carpctl='carpctl() { [ "$1 $2" = "-s /x.sock" ] && echo "$STATUS"; }'
for shell in bash zsh fish; do
    file="$source/packaging/completion/carpctl.$shell"
    case "$shell" in
        bash) offered="$(bash -c "$fake_carpctl"'; source "$1"; COMP_WORDS=(carpctl -s /x.sock status ""); COMP_CWORD=4
            _carpctl; echo "${COMPREPLY[@]:2}"' - "$file")" ;;
        zsh) offered="$(zsh -fc "$fake_carpctl"'; compadd() { print -l ${(P)2}; }
            _arguments() { _carpctl_groups; }; words=(carpctl -s /x.sock status ""); CURRENT=5; service=carpctl
            run() { eval "$(<"$1")"; }; run "$1"' - "$file")" ;;
        fish) offered="$(fish --no-config -c 'function carpctl; test "$argv[1] $argv[2]" = "-s /x.sock"; and echo $STATUS; end
            function commandline; printf "%s\n" carpctl -s /x.sock status; end
            source $argv[1]; __carpctl_groups' "$file")" ;;
    esac
    [ "$(echo $offered)" = "lan web web.1" ] || fail "$shell offers as groups of another socket: $offered"
done

# ---- a root of its own
place="$(mktemp -d)"
running=""
trap '[ -z "$running" ] || kill -9 "$running" 2>/dev/null; umount -R -l "$place" 2>/dev/null; rmdir "$place"' EXIT
mount -t tmpfs none "$place"
mkdir "$place/upper" "$place/work" "$place/system" "$place/deb"
mount -t overlay none -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$place/system" ||
    skip "an overlay over this root can't be mounted"
mount -t proc none "$place/system/proc"
mount -t tmpfs none "$place/system/run"
mount --rbind /dev "$place/system/dev"
inside() { chroot "$place/system" env -u NOTIFY_SOCKET "$@"; }

"$source/packaging/make_deb.sh" "$build" "$place/deb" >"$place/log" 2>&1 || { tail -n 30 "$place/log" >&2; fail "no package"; }
deb="$(echo "$place"/deb/carpd_*.deb)"
found="$(lintian --allow-root --fail-on error,warning "$deb" 2>&1)" || fail "lintian: $found"
cp "$deb" "$place/system/tmp/carpd.deb"

# ---- install
inside dpkg -i /tmp/carpd.deb >"$place/log" 2>&1 || { cat "$place/log" >&2; fail "it can't be installed"; }
[[ "$(inside carpd -V)" == "carpd "[0-9]* ]] || fail "carpd -V says nothing"
[[ "$(inside /usr/libexec/carpd/carpd-web 2>&1)" == "carpd-web is started by carpd"* ]] || fail "carpd-web can't be run"
for file in carpd.rules.yml carpd-dashboard.json; do
    [ -f "$place/system/usr/share/doc/carpd/monitoring/$file" ] || fail "there is no $file as it is read"
done
inside carpctl status >/dev/null 2>&1 && fail "a carpd runs"
inside id carpd >/dev/null || fail "there is no user carpd"
for unit in carpd.service carpd@lan.service; do
    found="$(inside systemd-analyze verify "/lib/systemd/system/${unit/lan/}" 2>&1 | grep -i carp || true)"
    [ -z "$found" ] || fail "$unit: $found"
done
for page in carpd.8 carpctl.8 carpd.toml.5; do
    [ -f "$place/system/usr/share/man/man${page##*.}/$page.gz" ] || fail "there is no $page"
done
example="$place/system/usr/share/doc/carpd/examples/carpd.toml"
mkdir -p "$place/system/etc/carpd"
(umask 077 && sed 's/"eth0"/"lo"/' "$example" >"$place/system/etc/carpd/carpd.toml")
[[ "$(inside carpd -n)" == *"is valid: 1 group" ]] || fail "the example isn't valid"

# ---- in the place of ucarp, and back, as docs/ucarp.md has it
inside test -x /usr/sbin/ucarp || inside cp /bin/true /usr/sbin/ucarp
real="$(inside sha256sum /usr/sbin/ucarp)"
commands="$(sed -n 's/^    //p' "$source/docs/ucarp.md")"
[ "$(echo "$commands" | wc -l)" -eq 4 ] || fail "docs/ucarp.md has other commands than two and two"
inside sh -ec "$(echo "$commands" | head -n 2)" >"$place/log" || fail "it can't be put in the place of ucarp"
[[ "$(inside ucarp --help)" == "usage: ucarp "* ]] || fail "ucarp isn't carpd"
inside sh -ec "$(echo "$commands" | tail -n 2)" >"$place/log" || fail "ucarp can't be put back"
[ "$(inside sha256sum /usr/sbin/ucarp)" = "$real" ] || fail "ucarp isn't what it was"

# ---- upgrade: the new carpd takes over from the running one, in the same process and with its groups as they are
ip link add carp0 type veth peer name carp1
ip link set carp1 up && ip link set carp0 up
(umask 077 && sed 's/"eth0"/"carp0"/' "$example" >"$place/system/etc/carpd/carpd.toml")
chroot "$place/system" env -u NOTIFY_SOCKET carpd >"$place/running" 2>&1 &
running=$!
group() { inside carpctl -j status 2>/dev/null | python3 -c "
import json, sys
status = json.load(sys.stdin)
print(status['pid'], status['groups'][0]['state'], status['groups'][0]['counters']['transitions_to_master'])" 2>/dev/null; }
for _ in $(seq 300); do [[ "$(group || true)" == *" master 1" ]] && break; sleep 0.1; done
before="$(group)"
[[ "$before" == *" master 1" ]] || { cat "$place/running" >&2; fail "carpd doesn't become MASTER: $before"; }
said="$(inside dpkg -i /tmp/carpd.deb 2>&1)"
[[ "$said" == *"carpd: the new version has taken over, without a failover"* ]] || fail "an upgrade says: $said"
after="$(group)"
[[ "$after" == *" master 1" && "${after%% *}" != "${before%% *}" ]] || fail "after an upgrade: $after, before: $before"
kill "$running" && wait "$running" || { cat "$place/running" >&2; fail "the upgraded carpd doesn't stop in order"; }
running=""

# ---- where that can't be done, the running one goes on, and it is said how to change to the new one
for folder in carpd carpd-lan; do
    mkdir -p "$place/system/run/$folder"
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$place/system/run/$folder/control.sock"
done
said="$(inside dpkg -i /tmp/carpd.deb 2>&1)"
[[ "$said" == *"carpctl drain && systemctl restart carpd"* ]] || fail "an upgrade says only: $said"
[[ "$said" == *"carpctl -s /run/carpd-lan/control.sock drain && systemctl restart carpd@lan"* ]] ||
    fail "an upgrade says of carpd@lan only: $said"
grep -v echo "$place/system/var/lib/dpkg/info/carpd.postinst" | grep -E 'restart|invoke +start' && fail "an upgrade starts carpd"

# ---- purge leaves the administrator's file, and nothing else of ours
inside dpkg --purge carpd >"$place/log" 2>&1 || { cat "$place/log" >&2; fail "it can't be purged"; }
left="$(cd "$place/upper" && find etc usr lib -path '*carp*' ! -type d ! -type c 2>/dev/null | grep -vE '^(etc/carpd/carpd.toml|usr/sbin/ucarp)$' || true)"
[ -z "$left" ] || fail "left behind: $left"
[ -f "$place/system/etc/carpd/carpd.toml" ] || fail "the configuration is gone"
echo "package_test: $(basename "$deb") installs, upgrades and is purged"
