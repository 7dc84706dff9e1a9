#!/usr/bin/env bash
# Sets up what the tests need and runs them; tests/run.sh --help says how.
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=.cache/venv-dev/bin/python

usage() {
    cat <<'END'
Usage: tests/run.sh [arguments of pytest]
   or: tests/run.sh --fast [arguments of pytest]

The tests are in three layers:
  tests/unit/      mirrors the packages of klippy_extras/router/; needs no Klippy
  tests/system/    the router in real Klippys, and what the documents promise
  tests/install/   install.sh, in bash, dash and BusyBox

Examples:
  tests/run.sh                            everything
  tests/run.sh --fast                     lint and tests/unit, in seconds
  tests/run.sh --fast -k framing          of tests/unit only the tests of framing
  tests/run.sh tests/system/test_lab.py -k restart
  tests/run.sh --kinds kalico -n 0        only on Kalico, one test at a time
  KLIPPER_PATH=~/klipper tests/run.sh     also on that checkout of Klipper
Longer runs, instead of the tests:
  tests/run.sh --chaos [ROUNDS [SEED [HOST_KIND [PEER_KIND]]]]    random failures of four printers during a print
  tests/run.sh --soak MINUTES [HOST_KIND]    memory and open files, with few such failures
  tests/run.sh --print [MINUTES [HOST_KIND [PEER_KIND]]]    a print that waits, while others disturb
  tests/run.sh --hostile [--help] [WAY ...]  what misbehaving peers do to the main printer
  tests/run.sh --browser [options of pytest]    what users see in Mainsail

--browser needs Chromium and a Mainsail, as a checkout or built:
  MAINSAIL_PATH=~/mainsail tests/run.sh --browser --pictures /tmp/pictures

The first run sets up .cache/; that needs python3 (3.9 or later, with venv), gcc and
a Python package index. --fast sets up less, needs no gcc, and no network after that.
Other runs do eight tests at a time (they wait more than they compute), --browser three;
-n changes that. More: tests/README.md, and .cache/venv-dev/bin/python -m pytest --help
END
}

# Programs that are missing, and how to get them: the tests that need them are skipped.
report_what_is_skipped() {
    [ -n "${KLIPPER_PATH:-}" ] ||
        echo "run.sh: KLIPPER_PATH is not set: nothing runs on current Klipper" \
            "(KLIPPER_PATH=~/klipper tests/run.sh)"
    tests/lab/get_program.sh busybox >/dev/null 2>&1 ||
        echo "run.sh: no busybox: its half of the tests of install.sh is skipped (install busybox)"
    { command -v ssh && tests/lab/get_program.sh sshd; } >/dev/null 2>&1 ||
        echo "run.sh: no ssh or sshd: the tests of tunnels are skipped" \
            "(install openssh-client and openssh-server)"
    command -v dash >/dev/null ||
        echo "run.sh: no dash: its half of the tests of install.sh is skipped (install dash)"
    command -v tmux >/dev/null ||
        echo "run.sh: no tmux: the test of examples/run.sh --tmux is skipped (install tmux)"
    [ "$(id -u)" = 0 ] ||
        echo "run.sh: not root: the tests of install.sh that need two users are skipped," \
            "and those of tunnels log in as the same user"
}

case ${1:-} in
    -h | --help)
        usage
        exit
        ;;
    --fast)
        tests/setup.sh dev
        tests/lint.sh
        # testpaths applies only if the arguments name no tests
        exec $python -m pytest -q -o testpaths=tests/unit "${@:2}"
        ;;
esac
if [ "${1:-}" = --browser ]; then
    tests/setup.sh all browser
    exec .cache/venv-browser/bin/python -m pytest -n 3 --dist loadgroup tests/browser "${@:2}"
fi
tests/setup.sh all
case ${1:-} in
    --chaos | --soak)
        exec $python -m "tests.hostile.${1#--}" "${@:2}"
        ;;
    --print)
        exec $python -m tests.hostile.long_print "${@:2}"
        ;;
    --hostile)
        exec $python -m tests.hostile.measure "${@:2}"
        ;;
esac
report_what_is_skipped
# More workers than cores: the tests wait more than they compute
exec $python -m pytest -n 8 --dist loadgroup "$@"
