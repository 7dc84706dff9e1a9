#!/usr/bin/env bash
# Checks the code without running it: ruff, mypy, vermin and shellcheck.
#
# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Usage: tests/setup.sh dev && tests/lint.sh
# Runs every check, and fails if one of them does. To fix most of what ruff finds:
#   .cache/venv-dev/bin/ruff check --fix . ; .cache/venv-dev/bin/ruff format .
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

bin=.cache/venv-dev/bin
failed=()

check() {
    local name=$1
    shift
    echo "lint: $name"
    "$@" || failed+=("$name")
}

# Every shell script, those included that are not in git yet.
check_shell_scripts() {
    git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run | xargs $bin/shellcheck
}

check "ruff check" $bin/ruff check --quiet .
check "ruff format" $bin/ruff format --quiet --check .
check "mypy" $bin/mypy --no-error-summary
# Klippy runs on Python 3.8 and later
check "vermin" $bin/vermin --quiet --no-tips -t=3.8- --violations klippy_extras
check "shellcheck" check_shell_scripts

if [ ${#failed[@]} -gt 0 ]; then
    printf 'lint: FAILED: %s\n' "${failed[@]}" >&2
    exit 1
fi
