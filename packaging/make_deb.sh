#!/bin/sh
# make_deb.sh BUILD OUTPUT: packs what was built in BUILD (preset release) into OUTPUT/carpd_VERSION_ARCH.deb.
# The version is the project's; the changelog, which Debian wants, says no more.
set -eu
source="$(cd "$(dirname "$0")/.." && pwd)"
build="$(cd "$1" && pwd)"
output="$(cd "$2" && pwd)"
version="$(sed -n 's/^project(carpd VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")"
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT
mkdir "$place/carpd"
cp -r "$source/packaging" "$place/carpd/"
cp -r "$source/packaging/debian" "$place/carpd/"
cp "$source/packaging/systemd/carpd.sysusers" "$place/carpd/debian/"
printf 'carpd (%s) unstable; urgency=medium\n\n  * See the documentation.\n\n -- %s  %s\n' "$version" \
    "$(sed -n 's/^Maintainer: //p' "$source/packaging/debian/control")" "$(date -R -r "$source/CMakeLists.txt")" \
    >"$place/carpd/debian/changelog"
(cd "$place/carpd" && CARPD_BUILD="$build" dpkg-buildpackage -b -us -uc)
mv "$place"/carpd_*.deb "$output/"
