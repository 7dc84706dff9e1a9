#!/bin/sh
# Puts a busybox for the tests of install.sh into .cache/busybox, if there is none
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Needs Debian's apt; root only where apt knows no packages yet. Elsewhere
# install busybox as the system does it: the tests take the one on the PATH.
set -eu
cd "$(dirname -- "$0")/../.."
cache=$PWD/.cache/busybox
if command -v busybox || [ -x "$cache/bin/busybox" ]; then exit; fi
command -v apt-get >/dev/null || { echo "get_busybox.sh: install busybox, there is no apt-get here" >&2 && exit 1; }
mkdir -p "$cache"
cd "$cache"
apt-get -q download busybox-static || { apt-get -q update && apt-get -q download busybox-static; }
dpkg-deb --fsys-tarfile busybox-static_*.deb | tar -x --wildcards '*bin/busybox'
rm busybox-static_*.deb
if [ ! -x bin/busybox ]; then mkdir -p bin && mv usr/bin/busybox bin/; fi
echo "$cache/bin/busybox"
