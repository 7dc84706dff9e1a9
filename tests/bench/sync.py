"""How far a peer's pin, set with SYNC=1, is from the main printer's own pin, in milliseconds.

All pins are set behind the same moves: one of the main printer's [mcu], one of a second [mcu] of it
and one of a peer. Each MCU is an emulated one. The times are those at which the pins change, by the
clock in the commands that Klipper sends.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import argparse
import os
import statistics
import sys
import time
from typing import List, Tuple

from tests.lab.klippers import ALL_KINDS, KINDS, available
from tests.lab.lab import Lab

from . import clocks, pin_marks
from .figures import percentile
from .pin_marks import SCENARIOS

HEAD = (
    "| main printer, peer | scenario | marks | lost | peer: median | p99 | worst"
    " | second [mcu]: median | p99 | worst |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def cells(values: List[float]) -> List[str]:
    """Median, p99, worst. Of the median the sign counts; the others are distances."""
    if not values:
        return ["-"] * 3
    distances = [abs(value) for value in values]
    figures = (statistics.median(values), percentile(distances, 99), max(distances))
    return [f"{figure:.2f}" for figure in figures]


def run(host: str, peer: str, names: List[str], marks: int) -> List[str]:
    """Measure one pair; print and return its rows of the table."""
    rows = []
    with Lab(host, peer) as lab:
        bench = pin_marks.start(lab)
        print(f"\n{host}, {peer}: {clocks.settle(bench.main, bench.peer).line()}", flush=True)
        for name in names:
            scenario = SCENARIOS[name]
            offsets = pin_marks.measure(bench, scenario, marks or scenario.marks)
            row = [f"{host}, {peer}", scenario.label, str(len(offsets.second)), str(offsets.lost)]
            row += cells(offsets.peer) + cells(offsets.second)
            rows.append(f"| {' | '.join(row)} |")
            print(f"{rows[-1]} load {os.getloadavg()[0]:.1f}", flush=True)
    return rows


def pairs_of(text: str, kinds: List[str]) -> List[Tuple[str, str]]:
    """`all`, or HOST:PEER,...; raises ValueError for an unknown kind."""
    if text == "all":
        return [(host, peer) for host in kinds for peer in kinds]
    pairs = [tuple(pair.split(":")) for pair in text.split(",")]
    for pair in pairs:
        if len(pair) != 2 or not all(available(kind) for kind in pair):
            raise ValueError(f"not a pair of kinds of Klipper that can run here: {':'.join(pair)}")
    return [(pair[0], pair[1]) for pair in pairs]


def main() -> int:
    kinds = [kind for kind in KINDS if available(kind)]
    parser = argparse.ArgumentParser(
        prog="tests/bench.sh sync",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; default: all"
    )
    parser.add_argument(
        "--pairs",
        default=f"{kinds[0]}:{kinds[0]}",
        help=f"all, or HOST:PEER,... of {', '.join(ALL_KINDS)}; default: %(default)s",
    )
    parser.add_argument("--marks", type=int, default=0, help="marks per scenario, up to 255")
    options = parser.parse_args()
    unknown = [name for name in options.scenarios if name not in SCENARIOS]
    if unknown:
        parser.error(f"unknown scenario {unknown[0]}; there are {', '.join(SCENARIOS)}")
    if not 0 <= options.marks <= pin_marks.MAX_MARKS:
        parser.error(f"--marks is at most {pin_marks.MAX_MARKS}")
    try:
        pairs = pairs_of(options.pairs, kinds)
    except ValueError as error:
        parser.error(str(error))
    print(
        f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores. Milliseconds after the pin of the"
        " main printer's [mcu];\np99 and worst without sign. Lost: never seen at the peer's pin"
    )
    rows: List[str] = []
    for host, peer in pairs:
        rows += run(host, peer, options.scenarios or list(SCENARIOS), options.marks)
    print("\n".join(["", HEAD, *rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
