"""How fast the router is, beside what a user could pick instead, on real Klippys of each kind."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import argparse
import os
import sys
import time
from typing import Dict, List

from tests.lab.klippers import ALL_KINDS, KINDS, available

from . import latency, load, rows, table
from .figures import Figures
from .goals import goals

FULL = (latency.Effort(rounds=100, changes=120), load.Effort(15.0, 6, 1.0, 10.0))
QUICK = (latency.Effort(rounds=25, changes=20), load.Effort(5.0, 3, 0.5, 4.0))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tests/bench.sh",
        description=__doc__,
        epilog="rows: " + ", ".join(rows.ALL) + ". Besides: tests/bench.sh sync",
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows to measure; default: all")
    parser.add_argument("--quick", action="store_true", help="a minute a kind, less exact")
    parser.add_argument("--kinds", help=f"kinds of Klipper, by commas: {', '.join(ALL_KINDS)}")
    options = parser.parse_args()
    unknown = [row for row in options.rows if row not in rows.ALL]
    if unknown:
        parser.error(f"unknown row {unknown[0]}; there are {', '.join(rows.ALL)}")
    kinds = options.kinds.split(",") if options.kinds else [k for k in KINDS if available(k)]
    wanted = [rows.FLOOR, *(options.rows or rows.ALL)]
    measured: Dict[str, Figures] = {}
    for kind in kinds:
        measured[kind] = _measure(kind, wanted, options.quick)
    arguments = " ".join(["", *sys.argv[1:]])
    print("\n" + table.markdown(measured, f"tests/bench.sh{arguments}"))
    return 0


def _measure(kind: str, wanted: List[str], quick: bool) -> Figures:
    began = time.monotonic()
    print(f"\n{kind}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    times, loads = QUICK if quick else FULL
    missing: Dict[str, str] = {}
    figures = latency.measure(kind, wanted, times, missing)
    if any(row in wanted for row in rows.LOAD):
        figures.update(load.measure(kind, wanted, loads))
    print(table.console(figures, missing))
    print("\n" + "\n".join(goal.line(figures) for goal in goals()))
    print(f"({kind}: {time.monotonic() - began:.0f} s)", flush=True)
    return figures


if __name__ == "__main__":
    sys.exit(main())
