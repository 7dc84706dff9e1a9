# Calls that need not be made at once, in order and for a limited time in each callback
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from collections import deque
from typing import Callable, Deque, Iterable

from .guard import guarded
from .timers import Timers


class CallQueue:
    """Makes calls in the order they were added: at once, as far as there is time, or soon."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._calls: Deque[Callable[[], None]] = deque()
        self._is_due = False  # whether making the next ones is scheduled

    def add(self, calls: Iterable[Callable[[], None]]) -> None:
        """Make these calls, after those that were added before."""
        self._calls.extend(calls)
        if self._calls and not self._is_due:
            self._is_due = True
            if self._timers.now() < self._timers.stop_at():
                self._run()
            else:
                self._timers.soon(self._run)

    def _run(self) -> None:
        stop_at = self._timers.stop_at()
        while self._calls:
            guarded(self._calls.popleft())
            if self._calls and self._timers.now() >= stop_at:
                self._timers.soon(self._run)
                return
        self._is_due = False
