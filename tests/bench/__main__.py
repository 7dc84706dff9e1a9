"""How fast the router is, compared with the alternatives, on real Klippys of each kind."""

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

REST = 0.02  # seconds: longer ones change nothing
FULL = (latency.Effort(400, 240, REST), load.Effort(15.0, 12, 1.0, 15.0))
QUICK = (latency.Effort(50, 20, REST), load.Effort(5.0, 3, 0.5, 4.0))


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tests/bench.sh",
        description=__doc__,
        epilog="rows: " + ", ".join(rows.ALL) + ". Besides: tests/bench.sh sync",
    )
    parser.add_argument("rows", nargs="*", metavar="ROW", help="rows to measure; default: all")
    parser.add_argument("--quick", action="store_true", help="about a minute per kind, less exact")
    parser.add_argument(
        "--kinds", help=f"kinds of Klipper, separated by commas: {', '.join(ALL_KINDS)}"
    )
    parser.add_argument(
        "--rest",
        type=float,
        default=REST,
        metavar="SECONDS",
        help="before each job; 0: one after another, all caches warm (default: %(default)s)",
    )
    options = parser.parse_args()
    unknown = [row for row in options.rows if row not in rows.ALL]
    if unknown:
        parser.error(f"unknown row {unknown[0]}; there are {', '.join(rows.ALL)}")
    kinds = options.kinds.split(",") if options.kinds else [k for k in KINDS if available(k)]
    wanted = [rows.FLOOR, *(options.rows or rows.ALL)]
    measured: Dict[str, Figures] = {}
    for kind in kinds:
        measured[kind] = _measure(kind, wanted, options.quick, options.rest)
    arguments = " ".join(["", *sys.argv[1:]])
    print("\n" + table.markdown(measured, f"tests/bench.sh{arguments}"))
    return 0


def _measure(kind: str, wanted: List[str], quick: bool, rest: float) -> Figures:
    began = time.monotonic()
    print(f"\n{kind}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    times, loads = QUICK if quick else FULL
    times = times._replace(rest=rest)
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
