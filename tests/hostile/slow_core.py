"""Holds a process to a fraction of a core's speed: `python -m tests.hostile.slow_core CPU FREE`.

As such a process it takes the core, with a real-time priority (SCHED_FIFO, which needs root), for
all but FREE seconds of every millisecond. Whatever else runs on that core gets this rest, about 0.1
ms for a tenth of the speed: so it progresses ten times slower, and is stopped for 0.9 ms at a time,
far less than the 25 ms that Klipper has at least. Switching takes some of the rest, too: how much
is free is adjusted until a probe, which counts, is as slow as it shall be. (A quota of the
kernel's, cpu.max, gives it 1 ms at least and then stops it for 9; a signal takes as long as these
stops.) What this does not slow down: the clock, the kernel's work for it on other cores, and the
cache and memory, which are those of a fast machine.
"""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import subprocess
import sys
import time
from typing import List, NamedTuple

from tests.lab import processes
from tests.lab.closing import Closing
from tests.lab.klippers import ROOT

PERIOD = 0.001  # seconds
MAX_ADJUSTMENTS = 5
# Counts in steps of about 0.01 ms; prints how many a second, and the longest time of one, in ms
_PROBE = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
begin = last = time.monotonic()
count = longest = 0
while last < begin + 2.0:
    for _ in range(500):
        pass
    now = time.monotonic()
    count, longest, last = count + 1, max(longest, now - last), now
print(count / (last - begin), longest * 1000)
"""


class Speed(NamedTuple):
    """steps: a second, in any unit; longest: milliseconds for one, which takes about 0.01."""

    steps: float
    longest: float


class SlowCore(Closing):
    """The last core of this machine; a context manager. Everything else stays on the other ones."""

    def __init__(self, factor: float) -> None:
        *others, self.cpu = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, others)  # and all that is started from now on
        self._full = self._probe()
        free = PERIOD / factor
        for _ in range(MAX_ADJUSTMENTS):
            self._burn(free)
            ratio = self._full.steps / self._held.steps
            if abs(ratio / factor - 1.0) < 0.05:
                break
            processes.end(self._burner)
            free = max(PERIOD / 50.0, free + PERIOD * (1.0 / factor - 1.0 / ratio))
        else:
            self._burn(free)

    def _burn(self, free: float) -> None:
        module = [sys.executable, "-m", "tests.hostile.slow_core", str(self.cpu), str(free)]
        self._burner = processes.spawn(module, cwd=str(ROOT))
        time.sleep(0.5)
        self._held = self._probe()

    def close(self) -> None:
        processes.end(self._burner)

    def hold(self, pid: int) -> None:
        """Let this process, with all its threads, run there and nowhere else."""
        for thread in os.listdir(f"/proc/{pid}/task"):
            os.sched_setaffinity(int(thread), {self.cpu})

    def describe(self) -> str:
        ratio = self._full.steps / self._held.steps
        return (
            f"held to 1/{ratio:.1f} of a core; longest stop of a busy loop"
            f" {self._held.longest:.1f} ms (otherwise {self._full.longest:.1f})"
        )

    def _probe(self) -> Speed:
        command: List[str] = [sys.executable, "-c", _PROBE, str(self.cpu)]
        words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return Speed(*map(float, words))


def burn(cpu: int, free: float) -> None:
    """Take this core for all but so many seconds of every period, for ever."""
    os.sched_setaffinity(0, {cpu})
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
    until = time.monotonic()
    while True:
        until += PERIOD
        while time.monotonic() < until - free:
            pass
        time.sleep(max(0.0, until - time.monotonic()))
        until = max(until, time.monotonic())


if __name__ == "__main__":
    burn(int(sys.argv[1]), float(sys.argv[2]))
