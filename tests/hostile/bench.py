"""Benchmark: what every kind of misbehaving peer does to the host's reactor, in milliseconds.

`python -m tests.hostile.bench [HOST_KIND [SECONDS [WAY ...]]]`. Columns: lateness of a 1 kHz timer
at p99.9 by the clock (with what other processes took of this machine); of it, what the host itself
was busy for (CPU time); what that is more than undisturbed; its maximum; the longest callback of
the router (CPU time); the router's share of one core; lines about the peer in the host's log.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import sys

from tests.hostile.fake_peers import WAYS
from tests.hostile.trial import HEADER, Trial, show


def main(kind: str = "kalico", seconds: str = "5", *ways: str) -> None:
    with Trial(kind, "kalico") as trial:
        print(f"host {kind}, {seconds} s each\n{HEADER}", flush=True)
        undisturbed = trial.way(None, float(seconds))
        print(show(undisturbed, None), flush=True)
        for way in ways or WAYS:
            print(show(trial.way(way, float(seconds)), undisturbed), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
