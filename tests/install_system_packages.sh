#!/bin/sh
# Installs what the tests need from Debian: Chromium for the browser tests, a CJK font for its screenshots and for
# printed boards, pango that sets those, and PostgreSQL with PostGIS, of which the tests start a throw-away server by
# themselves.
# As root or by sudo; where neither is possible it names the packages and stops.
set -eu

packages=""
command -v chromium >/dev/null 2>&1 || packages="$packages chromium"
[ -e /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc ] || packages="$packages fonts-noto-cjk"
ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1 ||
    packages="$packages postgresql-15 postgresql-15-postgis-3"
ls /usr/lib/*/libpangoft2-1.0.so.0 >/dev/null 2>&1 || packages="$packages libpango-1.0-0 libpangoft2-1.0-0"
ls /usr/lib/*/libharfbuzz-subset.so.0 >/dev/null 2>&1 || packages="$packages libharfbuzz-subset0"
[ -n "$packages" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    run=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    run="sudo"
else
    echo "gridgis: the tests need these Debian packages:$packages" >&2
    echo "gridgis: install them (apt-get install$packages) and run make test again" >&2
    exit 1
fi
echo "gridgis: installing$packages with apt ..."
$run apt-get update -qq
$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >/dev/null
