#!/bin/sh
# Downloads a program that some tests need with Debian's apt, unless it is installed
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Usage: tests/lab/get_program.sh busybox|sshd
# Puts it into .cache/busybox or .cache/sshd; nothing is installed or started.
# Needs root if apt has no package lists yet. On other systems install it with
# their package manager: the tests use the one that is installed.
set -eu
cd "$(dirname -- "$0")/../.."
program=${1:-}
case $program in
    busybox) package=busybox needed=busybox-static ;;
    # libwrap: the one library that OpenSSH's client does not need, too
    sshd) package=openssh-server needed="openssh-server libwrap0" ;;
    *)
        echo "Usage: tests/lab/get_program.sh busybox|sshd" >&2
        exit 2
        ;;
esac
fail() {
    echo "get_program.sh: $1: install $package with your package manager" >&2
    exit 1
}
PATH=$PATH:/usr/sbin
cache=$PWD/.cache/$program
if command -v "$program" || [ -x "$cache/$program" ]; then exit; fi
command -v apt-get >/dev/null || fail "no apt-get"
rm -rf "$cache.part"
mkdir -p "$cache.part/all"
cd "$cache.part"
# shellcheck disable=SC2086  # several packages
get() { apt-get -q download $needed; }
get || { apt-get -q update && get; }
for file in *.deb; do dpkg-deb -x "$file" all; done
find all \( -path "*bin/$program" -o -name 'lib*.so.*' \) -exec mv {} . \;
rm -r all ./*.deb
LD_LIBRARY_PATH=$PWD "./$program" --help 2>&1 | grep -qi "usage: $program" ||
    fail "the $program of apt does not run here"
rm -rf "$cache"
mv "$cache.part" "$cache"
echo "$cache/$program"
