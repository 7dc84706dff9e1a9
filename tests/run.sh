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
# Four tests run at a time (they wait more than they work); -n says otherwise.
set -euo pipefail

for argument in "$@"; do
    case $argument in
        --chaos* | --soak*)
            echo "run.sh: $argument is reserved and not there yet" >&2
            exit 2
            ;;
    esac
done

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tests/setup.sh all
exec .cache/venv-dev/bin/python -m pytest -n 4 --dist loadgroup "$@"
