#!/usr/bin/env bash
# Puts a built Mainsail into .cache/mainsail, for the tests in a browser.
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Usage: tests/browser/mainsail.sh CACHE
# $MAINSAIL_PATH is a checkout of Mainsail, or a built one (mainsail.zip of a release,
# unpacked). A checkout is copied and built, which needs npm and its package index; what
# was built from the same files is left alone. The checkout itself is not changed.
set -euo pipefail

CACHE=$1
BUILT=$CACHE/mainsail
PART=$CACHE/mainsail.part

say() { printf 'setup: mainsail: %s\n' "$*"; }

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# Write what the build depends on as a tar archive.
archive() {
    tar -C "$MAINSAIL_PATH" --exclude=./.git --exclude=./node_modules --exclude=./dist \
        --sort=name --mtime=@0 --owner=0 --group=0 -cf - .
}

# One of Mainsail's development packages, a plugin of vite 8, is not in the package index
# of npm. Its sources build as well with the plugin that it was made from, and vite 7.
# The types are checked by Mainsail's own tests.
use_public_packages() {
    grep -q '"@pedrolamas/plugin-vue2"' package.json || return 0
    npm pkg delete 'devDependencies[@pedrolamas/plugin-vue2]'
    npm pkg set 'devDependencies[@vitejs/plugin-vue2]=2.3.4' 'devDependencies[vite]=7.3.8'
    sed -i -e 's#@pedrolamas/plugin-vue2#@vitejs/plugin-vue2#' \
        -e '/vite-plugin-checker/d; /^        checker({/,/^        }),/d' vite.config.ts
}

build() {
    cd "$PART"
    use_public_packages
    # Without the scripts of packages: one would download a browser
    npm install --no-audit --no-fund --ignore-scripts --legacy-peer-deps
    npx --no-install vite build
}

[ -n "${MAINSAIL_PATH:-}" ] ||
    fail "MAINSAIL_PATH is not set: set it to a checkout of Mainsail, or to a built one (MAINSAIL_PATH=~/mainsail)."
if [ -e "$MAINSAIL_PATH/index.html" ] && [ -d "$MAINSAIL_PATH/assets" ]; then
    rm -rf "$BUILT" "$CACHE/mainsail.stamp"
    ln -sfn "$(cd "$MAINSAIL_PATH" && pwd)" "$BUILT"
    exit
fi
[ -e "$MAINSAIL_PATH/vite.config.ts" ] ||
    fail "MAINSAIL_PATH is neither a checkout of Mainsail nor a built one: $MAINSAIL_PATH has neither vite.config.ts nor index.html with assets/."
key=$({ cat "$0" && archive; } | sha256sum | cut -c1-16)
[ "$(cat "$CACHE/mainsail.stamp" 2>/dev/null)" != "$key" ] || exit 0
command -v npm >/dev/null ||
    fail "npm is needed to build Mainsail: install it (apt install npm), or set MAINSAIL_PATH to a built Mainsail (mainsail.zip of a release, unpacked)."
say "building a copy of $MAINSAIL_PATH (about two minutes; output in $CACHE/mainsail.log)"
rm -rf "$BUILT" "$CACHE/mainsail.stamp" "$PART"
mkdir "$PART"
archive | tar -C "$PART" -xf -
if ! (build) >"$CACHE/mainsail.log" 2>&1; then
    tail -n 30 "$CACHE/mainsail.log" >&2
    fail "Mainsail could not be built; all of the output is in $CACHE/mainsail.log"
fi
mv "$PART/dist" "$BUILT"
rm -rf "$PART"
printf '%s\n' "$key" >"$CACHE/mainsail.stamp"
