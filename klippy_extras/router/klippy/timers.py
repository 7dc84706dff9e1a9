# Any number of timers on a single timer of the reactor
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import heapq
from typing import Callable, List, Optional, Tuple

from .guard import guarded
from .protocols import Reactor, ReactorTimer

# Seconds for which callbacks that are due together run, before the reactor does other work
MAX_TIMERS_TIME = 0.00015


class Timer:
    """A callback that is due once."""

    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Optional[Callable[[], None]] = callback

    def cancel(self) -> None:
        """Do not call back. Harmless after it has been called."""
        self.callback = None


class Timers:
    """Any number of timers on one reactor timer: each of those slows every turn of its loop.

    now(): the reactor's time in seconds. A callback must not pause. Its exceptions are logged.
    """

    def __init__(self, reactor: Reactor) -> None:
        self.now = reactor.monotonic
        self._reactor = reactor
        self._stop_at: Optional[float] = None  # while callbacks run
        self._heap: List[Tuple[float, int, Timer]] = []
        self._count = 0
        self._timer: Optional[ReactorTimer] = reactor.register_timer(self._run)

    def after(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Call back after this delay, in seconds."""
        return self._add(self.now() + delay, callback)

    def soon(self, callback: Callable[[], None]) -> Timer:
        """Call back in this turn or the next of the reactor's loop, outside of any fd callback."""
        timer = self._add(self.now(), callback)
        if self._timer is not None:
            self._reactor.update_timer(self._timer, self._reactor.NOW)
        return timer

    def at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back at this time of the reactor, outside of any fd callback.

        With the eventtime of an fd callback: in the next turn of the reactor's loop, without delay.
        """
        return self._add(when, callback)

    def stop_at(self) -> float:
        """When to end work that can be continued later: what is due at one time shares its time."""
        return self.now() + MAX_TIMERS_TIME if self._stop_at is None else self._stop_at

    def close(self) -> None:
        """Drop all timers."""
        if self._timer is not None:
            self._reactor.unregister_timer(self._timer)
            self._timer = None
        self._heap.clear()

    def _add(self, when: float, callback: Callable[[], None]) -> Timer:
        self._count += 1
        timer = Timer(callback)
        heapq.heappush(self._heap, (when, self._count, timer))
        if self._timer is not None and self._heap[0][2] is timer:
            # The reactor ignores it while our timer runs, but _run() returns the next time anyway
            self._reactor.update_timer(self._timer, when)
        return timer

    def _run(self, eventtime: float) -> float:
        begin, last = self.now(), self._count  # not those that are added meanwhile
        self._stop_at = begin + MAX_TIMERS_TIME
        while self._heap and self._heap[0][0] <= begin and self._heap[0][1] <= last:
            timer = heapq.heappop(self._heap)[2]
            callback, timer.callback = timer.callback, None
            if callback is not None:
                guarded(callback)
                if self.now() >= self._stop_at:
                    break
        self._stop_at = None
        if not self._heap:
            return self._reactor.NEVER
        # NOW, because an idle reactor sleeps a millisecond before any other time
        return self._reactor.NOW if self._heap[0][0] <= self.now() else self._heap[0][0]
