# Any number of deadlines on one timer of the reactor
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import heapq
from typing import Any, Callable, List, Optional, Tuple

from .guard import guarded
from .protocols import Reactor, ReactorTimer

# Callbacks that are due at once run for this long in one go (seconds), then everything else has
# its turn
MAX_TIMERS_TIME = 0.0005


class Timers:
    """Any number of deadlines on one reactor timer: each of those costs every turn of its loop.

    A callback may not pause. Its exceptions are logged and go no further.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._heap: List[Tuple[float, int, List[Any]]] = []
        self._count = 0
        self._timer: Optional[ReactorTimer] = reactor.register_timer(self._run)

    def at(self, when: float, callback: Callable[[float], None]) -> List[Any]:
        """Call back at this reactor time. Returns what cancel() takes."""
        self._count += 1
        handle: List[Any] = [callback]
        heapq.heappush(self._heap, (when, self._count, handle))
        if self._timer is not None and self._heap[0][2] is handle:
            # Ignored by the reactor while our timer runs; _run() returns the next time anyway
            self._reactor.update_timer(self._timer, when)
        return handle

    def after(self, delay: float, callback: Callable[[], None]) -> List[Any]:
        """Call back after so many seconds. Returns what cancel() takes."""
        return self.at(self._reactor.monotonic() + delay, lambda eventtime: callback())

    def soon(self, callback: Callable[[float], None]) -> List[Any]:
        """Call back in this turn or the next of the reactor's loop, outside of any fd callback."""
        return self.at(self._reactor.NOW, callback)

    @staticmethod
    def cancel(handle: Optional[List[Any]]) -> None:
        """Forget a deadline; harmless when it is over."""
        if handle is not None:
            handle[0] = None

    def close(self) -> None:
        """Nothing is called any more."""
        if self._timer is not None:
            self._reactor.unregister_timer(self._timer)
            self._timer = None
        self._heap.clear()

    def _run(self, eventtime: float) -> float:
        due: List[Tuple[float, int, List[Any]]] = []
        while self._heap and self._heap[0][0] <= eventtime:
            due.append(heapq.heappop(self._heap))
        stop_at = self._reactor.monotonic() + MAX_TIMERS_TIME
        for i, (_when, _count, handle) in enumerate(due, 1):
            callback, handle[0] = handle[0], None
            if callback is not None:
                guarded(callback, eventtime)
                if self._reactor.monotonic() >= stop_at:
                    for entry in due[i:]:
                        heapq.heappush(self._heap, entry)
                    break
        return self._heap[0][0] if self._heap else self._reactor.NEVER
