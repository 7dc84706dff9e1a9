# The print time of a peer's toolhead, as a function of the time of this machine
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Optional

from ..errors import RouterError
from .printer import Failure, Objects, Printer

# Seconds after which a reading is renewed, if somebody wants to know the time
READING_INTERVAL = 2.0
# Seconds for which a reading is used: clocks differ by up to 0.1 ms per second
MAX_READING_AGE = 10.0
# Readings of which the rate is computed are at least so many seconds apart
MIN_RATE_INTERVAL = 1.0
# A micro-controller's clock does not differ by more than this from the machine's
MAX_RATE_ERROR = 0.001

_OBJECTS: Objects = {"toolhead": ["estimated_print_time"], "print_stats": ["state"]}


class _Reading:
    """The print time at a time of this machine, in seconds each."""

    def __init__(self, eventtime: float, print_time: float) -> None:
        self.eventtime, self.print_time = eventtime, print_time


class PeerClock:
    """Reads the clock of a peer on this machine now and then, while somebody wants to know it.

    Klippy's eventtime is the monotonic clock of its machine (klippy/reactor.py, monotonic). A peer
    whose eventtime is not between request and answer runs on another machine: its clock is unknown.
    So is that of a peer that prints a file: what is sent ahead would act among its moves, too soon.
    """

    def __init__(self, peer: Printer, now: Callable[[], float]) -> None:
        self._peer, self._now = peer, now
        self._reading: Optional[_Reading] = None
        self._rate = 1.0
        self._asked_at: Optional[float] = None  # until it is answered
        self._next_at = 0.0  # when it is read again at the earliest
        self._on_foreign: Optional[Callable[[], None]] = None

    def read(self, on_foreign: Optional[Callable[[], None]] = None) -> None:
        """Read it, unless that was done just now.

        on_foreign: called if this finds that it is not the clock of this machine.
        """
        self._on_foreign = on_foreign or self._on_foreign
        now = self._now()
        if self._asked_at is not None or now < self._next_at:
            return
        self._asked_at = now
        try:
            self._peer.query_objects(_OBJECTS, self._answered)
        except RouterError:
            self._asked_at = None  # not connected, or busy: what is sent to it says so

    def forget(self) -> None:
        """Its clock is not known any more, such as after a disconnect."""
        self._reading, self._rate, self._next_at = None, 1.0, 0.0

    def print_time(self, eventtime: float) -> Optional[float]:
        """The peer's print time at this time; None while unknown."""
        reading = self._reading
        if reading is None or self._now() - reading.eventtime > MAX_READING_AGE:
            return None
        return reading.print_time + (eventtime - reading.eventtime) * self._rate

    def _answered(self, result: Any, error: Failure) -> None:
        asked_at, self._asked_at = self._asked_at, None
        if error is not None or asked_at is None:
            return
        eventtime = result.get("eventtime")
        print_time = result["status"].get("toolhead", {}).get("estimated_print_time")
        if not _is_number(eventtime) or not _is_number(print_time):
            return
        prints = result["status"].get("print_stats", {}).get("state") == "printing"
        is_foreign = not asked_at <= eventtime <= self._now()
        if is_foreign or prints:
            self.forget()
        else:
            self._take(_Reading(eventtime, print_time))
        self._next_at = asked_at + READING_INTERVAL
        if is_foreign and self._on_foreign is not None:
            self._on_foreign()

    def _take(self, reading: _Reading) -> None:
        last, self._reading = self._reading, reading
        if last is None or reading.eventtime - last.eventtime < MIN_RATE_INTERVAL:
            return
        rate = (reading.print_time - last.print_time) / (reading.eventtime - last.eventtime)
        if abs(rate - 1.0) <= MAX_RATE_ERROR:
            self._rate = rate


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
