#!/bin/sh
# Downloads OpenSSH's server to .cache/sshd for the tests and the example of tunnels, unless it is
# installed
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Needs Debian's apt, and root if apt has no package lists yet. On other systems
# install openssh-server with their package manager: the tests use the one that
# is installed. Nothing is installed or started here.
set -eu
cd "$(dirname -- "$0")/../.."
PATH=$PATH:/usr/sbin
cache=$PWD/.cache/sshd
if command -v sshd || [ -x "$cache/sshd" ]; then exit; fi
command -v apt-get >/dev/null || {
    echo "get_sshd.sh: no apt-get: install openssh-server with your package manager" >&2
    exit 1
}
rm -rf "$cache.part"
mkdir -p "$cache.part/all"
cd "$cache.part"
# libwrap: the one library that OpenSSH's client does not need, too
get() { apt-get -q download openssh-server libwrap0; }
get || { apt-get -q update && get; }
for package in *.deb; do dpkg-deb -x "$package" all; done
find all -name sshd -path '*/sbin/*' -exec mv {} . \;
find all -name 'libwrap.so.*' -exec mv {} . \;
rm -r all ./*.deb
LD_LIBRARY_PATH=$PWD "$PWD/sshd" -? 2>&1 | grep -q OpenSSH || {
    echo "get_sshd.sh: the sshd of apt does not run here: install openssh-server" >&2
    exit 1
}
rm -rf "$cache"
mv "$cache.part" "$cache"
echo "$cache/sshd"
