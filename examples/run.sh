#!/usr/bin/env bash
# Runs an example: real Klippys on emulated micro-controllers; without arguments, lists them.
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Needs python3 (3.9 or later, with pip and venv) and gcc. PYTHON=... chooses
# another interpreter.
set -euo pipefail

PYTHON=${PYTHON:-python3}
if ! command -v "$PYTHON" >/dev/null; then
    echo "run.sh: $PYTHON was not found: install python3." >&2
    exit 1
fi
# No dirname: a Ctrl-C while that runs would be lost
HERE=${BASH_SOURCE[0]%/*}
[ "$HERE" != "${BASH_SOURCE[0]}" ] || HERE=.
exec "$PYTHON" "$HERE/../tests/lab/example.py" "$@"
