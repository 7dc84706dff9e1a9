#!/bin/sh
# Downloads BusyBox to .cache/busybox for the tests of install.sh, unless it is installed
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Needs Debian's apt, and root if apt has no package lists yet. On other systems
# install BusyBox with their package manager: the tests use the one on the PATH.
set -eu
cd "$(dirname -- "$0")/../.."
cache=$PWD/.cache/busybox
if command -v busybox || [ -x "$cache/bin/busybox" ]; then exit; fi
command -v apt-get >/dev/null || {
    echo "get_busybox.sh: no apt-get: install busybox with your package manager" >&2
    exit 1
}
mkdir -p "$cache"
cd "$cache"
apt-get -q download busybox-static || { apt-get -q update && apt-get -q download busybox-static; }
dpkg-deb --fsys-tarfile busybox-static_*.deb | tar -x --wildcards '*bin/busybox'
rm busybox-static_*.deb
if [ ! -x bin/busybox ]; then mkdir -p bin && mv usr/bin/busybox bin/; fi
echo "$cache/bin/busybox"
