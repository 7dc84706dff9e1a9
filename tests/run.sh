#!/usr/bin/env bash
# Sets up the environment and runs all tests.
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'END'
Usage: tests/run.sh [arguments of pytest], such as
  tests/run.sh tests/system/test_lab.py -k restart
  tests/run.sh --kinds kalico -n 0
  KLIPPER_PATH=~/klipper tests/run.sh     also on that checkout of Klipper
or, instead of the tests:
  tests/run.sh --chaos [ROUNDS [SEED [HOST_KIND [PEER_KIND]]]]    accidents during a print
  tests/run.sh --soak MINUTES [HOST_KIND]    memory and open files, with 8 peers
  tests/run.sh --print [MINUTES [HOST_KIND [PEER_KIND]]]    a print that waits, while others disturb
  tests/run.sh --hostile [--help] [WAY ...]  what misbehaving peers do to the host
Needs python3 (3.9 or later, with venv), gcc and a Python package index; sets up
.cache/ first. Four tests run at a time (they wait more than they work); -n says
otherwise. pytest's own help: .cache/venv-dev/bin/python -m pytest --help
END
}

# What is not here, and how to have it: its tests are skipped.
say_what_is_skipped() {
    [ -n "${KLIPPER_PATH:-}" ] ||
        echo "run.sh: KLIPPER_PATH is not set: nothing runs on current Klipper" \
            "(KLIPPER_PATH=~/klipper tests/run.sh)"
    tests/install/get_busybox.sh >/dev/null 2>&1 ||
        echo "run.sh: no busybox: its half of the tests of install.sh is skipped (install busybox)"
    command -v dash >/dev/null ||
        echo "run.sh: no dash: its half of the tests of install.sh is skipped (install dash)"
    command -v tmux >/dev/null ||
        echo "run.sh: no tmux: the test of examples/run.sh --tmux is skipped (install tmux)"
    [ "$(id -u)" = 0 ] ||
        echo "run.sh: not root: the tests of install.sh that need two users are skipped"
}

case ${1:-} in
    -h | --help)
        usage
        exit
        ;;
esac
tests/setup.sh all
python=.cache/venv-dev/bin/python
case ${1:-} in
    --chaos | --soak)
        exec $python -m "tests.hostile.${1#--}" "${@:2}"
        ;;
    --print)
        exec $python -m tests.hostile.long_print "${@:2}"
        ;;
    --hostile)
        exec $python -m tests.hostile.bench "${@:2}"
        ;;
esac
say_what_is_skipped
exec $python -m pytest -n 4 --dist loadgroup "$@"
