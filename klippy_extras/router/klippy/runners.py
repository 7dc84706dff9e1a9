# A limited number of greenlets, for jobs that may pause
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from collections import deque
from typing import Callable, Deque

from .guard import guarded
from .protocols import Reactor

# Seconds. Scripts and calls of endpoints run for MAX_RUN_TIME, then the reactor gets RUN_PAUSE for
# everything else: a long queue of short ones must not block it
MAX_RUN_TIME = 0.0005
RUN_PAUSE = 0.002


class Runners:
    """Runs jobs in the order they were added.

    They share one greenlet. While a job pauses, the next ones run in another greenlet; there are
    at most `most` of them.
    """

    def __init__(self, reactor: Reactor, most: int) -> None:
        self._reactor, self._most = reactor, most
        self._jobs: Deque[Callable[[], None]] = deque()
        self._running = 0  # greenlets
        self._free = 0  # those that are not running a job

    @property
    def length(self) -> int:
        """The number of waiting jobs."""
        return len(self._jobs)

    def add(self, job: Callable[[], None]) -> None:
        """Run this job soon."""
        self._jobs.append(job)
        if not self._free and self._running < self._most:
            self._running += 1
            self._free += 1
            self._reactor.register_callback(self._run)

    def _run(self, eventtime: float) -> None:
        try:
            pause_at = self._reactor.monotonic() + MAX_RUN_TIME
            while self._jobs:
                job = self._jobs.popleft()
                self._free -= 1
                try:
                    guarded(job)
                finally:
                    self._free += 1
                if self._reactor.monotonic() >= pause_at:
                    now = self._reactor.pause(self._reactor.monotonic() + RUN_PAUSE)
                    pause_at = now + MAX_RUN_TIME
        finally:
            self._running -= 1
            self._free -= 1
