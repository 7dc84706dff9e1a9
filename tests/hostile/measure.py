"""Benchmark: what every kind of misbehaving peer does to the host's reactor, in milliseconds.

`tests/run.sh --hostile [--kind KIND] [--seconds S] [--rounds R] [WAY ...]`. Before and after each
peer is a time without one: what is added is compared with these two. Columns, each the median of
the rounds: lateness of a 1 kHz timer at p99.9 by the clock (with what other processes took of this
machine); of it, what the host itself was busy for (CPU time); what each of the two is more than
undisturbed; the longest callback of the router (CPU time, without garbage collection and Klippy's
part) and its worst round; the same by the clock, with both; the longest part of Klippy in one of
them, which encodes and sends what the router has for an API client; Python's longest garbage
collection, whoever caused it (CPU time); the router's share of one core; lines about the peer in
the host's log.

--slow 10 holds the host's Klippy to a tenth of a core's speed, from when it is ready; see
slow_core.py. CPU times are then about what they are otherwise; those by the clock are ten times as
long.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import argparse
from contextlib import ExitStack
from statistics import median
from typing import Callable, Dict, List, NamedTuple

from tests.hostile.slow_core import SlowCore
from tests.hostile.trial import Figures, Trial
from tests.hostile.ways import WAYS
from tests.lab.klippers import ALL_KINDS

HEADER = (
    f"{'peer':20} {'p99.9':>8} {'own':>8} {'added':>8} {'own add.':>8} {'callback':>8}"
    f" {'worst':>8} {'by clock':>8} {'Klippy':>8} {'gc':>8} {'share %':>8} {'log':>5}"
)


class Round(NamedTuple):
    """One peer between two times without one."""

    before: Figures
    disturbed: Figures
    after: Figures


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="tests/run.sh --hostile", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("ways", nargs="*", metavar="WAY", help=f"default: {', '.join(WAYS)}")
    parser.add_argument("--kind", choices=ALL_KINDS, default="kalico", help="of the host")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each peer; default 5")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    parser.add_argument("--slow", type=float, metavar="FACTOR", help="hold the host; needs root")
    options = parser.parse_args()
    unknown = [way for way in options.ways if way not in WAYS]
    if unknown:
        parser.error(f"unknown way {unknown[0]}; there are {', '.join(WAYS)}")
    rounds: Dict[str, List[Round]] = {way: [] for way in options.ways or WAYS}
    undisturbed: List[Figures] = []
    with ExitStack() as stack:
        core = stack.enter_context(SlowCore(options.slow)) if options.slow else None
        trial = stack.enter_context(Trial(options.kind, "kalico"))
        if core is not None:
            core.hold(trial.host_pid)
            print(core.describe())
        print(f"host {options.kind}, {options.rounds} x {options.seconds:g} s each", flush=True)
        for _ in range(options.rounds):
            before = trial.way(None, options.seconds)
            undisturbed.append(before)
            for way, measured in rounds.items():
                disturbed = trial.way(way, options.seconds)
                after = trial.way(None, options.seconds)
                measured.append(Round(before, disturbed, after))
                undisturbed.append(after)
                before = after
    print(HEADER)
    print(_line("nobody", [Round(figures, figures, figures) for figures in undisturbed]))
    # The noise of "added": the difference between two times without a peer
    neighbours = [Round(*three) for three in zip(undisturbed, undisturbed[1:], undisturbed[2:])]
    if neighbours:
        print(_line("nobody, as a peer", neighbours))
    for way, measured in rounds.items():
        print(_line(way, measured))


def _line(name: str, rounds: List[Round]) -> str:
    def of(field: Callable[[Figures], float]) -> float:
        return median(field(r.disturbed) for r in rounds)

    def added(field: Callable[[Figures], float]) -> float:
        return median(field(r.disturbed) - (field(r.before) + field(r.after)) / 2.0 for r in rounds)

    worst = max((r.disturbed for r in rounds), key=lambda figures: figures.longest)
    milliseconds = [
        of(lambda f: f.p999),
        of(lambda f: f.own_p999),
        added(lambda f: f.p999),
        added(lambda f: f.own_p999),
        of(lambda f: f.longest),
        worst.longest,
        of(lambda f: f.longest_wall),
        of(lambda f: f.klippy),
        of(lambda f: f.gc),
    ]
    return (
        f"{name:20} "
        + " ".join(f"{seconds * 1000:8.2f}" for seconds in milliseconds)
        + f" {of(lambda f: f.share) * 100:8.1f} {of(lambda f: f.log_lines):5.0f}"
        + f"  {worst.longest_name}"
    )


if __name__ == "__main__":
    main()
