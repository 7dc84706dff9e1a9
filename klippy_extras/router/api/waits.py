# Waits of this printer's macros: the base class, running them, and the wait for an event
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# A wait pauses the greenlet of the waiting macro, and nothing else. It is a completion with a
# deadline, never a poll. It also ends when this printer shuts down, or when the other printer
# disconnects or is no longer ready.
from abc import ABC, abstractmethod
from typing import Any, List, Sequence

from ..errors import TimedOut
from ..events.events import Events
from ..klippy.klippy import Klippy
from ..printers.printer import Failure, Printer, PrinterListener
from ..printers.receiver import Event, Receiver
from ..sanitize import counted
from ..status.subscriptions import Subscriptions


class Wait(Receiver, ABC):
    """One wait, for Waits.run(). Subclasses define how it begins and what ends it."""

    targets: Sequence[Printer] = ()  # the wait ends with an error when one of them is lost
    closed = False  # whether it is over
    completion: Any = None  # of the reactor; made by Waits.run()
    _is_done = False

    @abstractmethod
    def start(self, waits: "Waits") -> None:
        """Begin. Raises RouterError if the wait is impossible."""

    @abstractmethod
    def late(self, timeout: str) -> str:
        """One sentence about what has not happened within this time."""

    def done(self, result: Any, error: Failure) -> None:
        """What was waited for has happened, or cannot happen; only the first call counts."""
        if not self._is_done:
            self._is_done = True
            self.completion.complete((result, error))


class Waits(PrinterListener):
    """All waits of this printer's macros. Its attributes are what a wait needs to begin."""

    def __init__(self, klippy: Klippy, subscriptions: Subscriptions, events: Events) -> None:
        self.klippy, self.subscriptions, self.events = klippy, subscriptions, events
        self._waits: List[Wait] = []

    def run(self, wait: Wait, timeout: float) -> Any:
        """Wait for at most timeout seconds; returns the result. Raises RouterError."""
        now = self.klippy.timers.now
        deadline = now() + timeout
        wait.completion = self.klippy.reactor.completion()
        self._waits.append(wait)
        try:
            wait.start(self)
            # A script of this printer runs in place: nothing can stop it at the deadline
            is_late = now() >= deadline
            answer = wait.completion.wait(deadline)
        finally:
            wait.closed = True
            self._waits.remove(wait)
            self.events.prune()
            self.subscriptions.prune()
        result, error = answer or (None, None)
        if error is not None:
            raise error
        if answer is None or is_late:
            raise TimedOut(wait.late(counted(timeout, "second")))
        return result

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        if printer.ready or printer.state == "ready":
            return
        error = printer.interrupted()
        for wait in list(self._waits):
            if printer.is_local or printer in wait.targets:
                wait.done(None, error)


class EventWait(Wait):
    """Ends when the event is triggered; the result is its context."""

    def __init__(self, event: str) -> None:
        self._event = event

    def start(self, waits: Waits) -> None:
        waits.events.subscribe(self._event, self)

    def event(self, event: Event) -> None:
        self.done(event.context, None)

    def late(self, timeout: str) -> str:
        return not_triggered(self._event, timeout)


def not_triggered(event: str, timeout: str) -> str:
    """The error of a wait for an event."""
    return "event '%s' was not triggered within %s" % (event, timeout)
