#!/usr/bin/env bash
# Sets up the environment and runs all tests.
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Usage: tests/run.sh [arguments of pytest], such as
#   tests/run.sh tests/test_lab.py -k restart
#   tests/run.sh --kinds kalico -n 0
#   KLIPPER_PATH=~/klipper tests/run.sh     also on that checkout of Klipper
# or, instead of the tests:
#   tests/run.sh --chaos [ROUNDS [SEED [HOST_KIND [PEER_KIND]]]]    accidents during a print
#   tests/run.sh --soak MINUTES [HOST_KIND]    memory and open files, with 8 peers
#   tests/run.sh --hostile [--help] [WAY ...]  what misbehaving peers do to the host
# Four tests run at a time (they wait more than they work); -n says otherwise.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tests/setup.sh all
python=.cache/venv-dev/bin/python
case ${1:-} in
    --chaos | --soak)
        exec $python -m "tests.hostile.${1#--}" "${@:2}"
        ;;
    --hostile)
        exec $python -m tests.hostile.bench "${@:2}"
        ;;
esac
tests/install/get_busybox.sh >/dev/null ||
    echo "run.sh: no busybox here: its half of the tests of install.sh is skipped"
exec $python -m pytest -n 4 --dist loadgroup "$@"
