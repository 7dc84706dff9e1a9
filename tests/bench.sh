#!/usr/bin/env bash
# Sets up the environment and measures how fast the router is, on real Klippys.
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Usage: tests/bench.sh [--quick] [--kinds KIND,...] [ROW ...]
#   without a ROW: the whole table, about 6 minutes per kind of Klipper (--quick: one)
#   KLIPPER_PATH=~/klipper tests/bench.sh     also on that checkout of Klipper
#   tests/bench.sh --help                     the names of the rows
# or tests/bench.sh sync: how far a pin set with SYNC=1 is from one of the main printer itself.
# The rows through MQTT need mosquitto (apt install mosquitto).
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
module=tests.bench
if [ "${1:-}" = sync ]; then
    module=tests.bench.sync
    shift
fi
tests/setup.sh all
exec .cache/venv-dev/bin/python -m "$module" "$@"
