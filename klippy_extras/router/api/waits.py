# Waiting, from a macro, for scripts on other printers and for events
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# A wait pauses the greenlet of the macro that waits, and nothing else. It is a completion with a
# deadline, never a poll; it also ends when this printer shuts down, or the printer waited for is
# lost.
from abc import ABC, abstractmethod
from typing import Any, Callable, List, Sequence

from ..errors import LinkLost, RouterError, TimedOut
from ..events.events import Events
from ..klippy.klippy import Klippy
from ..printers.printer import Failure, Follower, Printer, PrinterListener
from ..printers.receiver import Event, Receiver
from ..sanitize import counted
from ..status.subscriptions import Subscriptions


class Wait(Receiver, ABC):
    """One wait, for Waits.run(). Subclasses say what it begins with and what ends it."""

    targets: Sequence[Printer] = ()  # the wait ends with an error when one of them is lost
    closed = False  # whether it is over

    def __init__(self, klippy: Klippy) -> None:
        self.completion = klippy.reactor.completion()
        self._is_done = False

    @abstractmethod
    def start(self) -> None:
        """Begin. Raises RouterError for what cannot be waited for."""

    @abstractmethod
    def late(self, timeout: str) -> str:
        """What has not happened after that time, in one sentence."""

    def done(self, result: Any, error: Failure) -> None:
        """What was waited for has happened, or cannot happen; only the first call counts."""
        if not self._is_done:
            self._is_done = True
            self.completion.complete((result, error))


class Waits(PrinterListener):
    """All waits of this printer's macros."""

    def __init__(self, klippy: Klippy, subscriptions: Subscriptions, events: Events) -> None:
        self._klippy, self._subscriptions, self._events = klippy, subscriptions, events
        self._waits: List[Wait] = []

    def run(self, wait: Wait, timeout: float) -> Any:
        """Wait for so many seconds at most; the result. Raises RouterError, TimedOut."""
        now = self._klippy.timers.now
        deadline = now() + timeout
        self._waits.append(wait)
        try:
            wait.start()
            # A script of this printer runs in place: nothing can end it before its time
            is_late = now() >= deadline
            answer = wait.completion.wait(deadline)
        finally:
            wait.closed = True
            self._waits.remove(wait)
            self._events.prune()
            self._subscriptions.prune()
        result, error = answer or (None, None)
        if error is not None:
            raise error
        if answer is None or is_late:
            raise TimedOut(wait.late(counted(timeout, "second")))
        return result

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        if printer.ready or printer.state == "ready":
            return
        if printer.connected:
            error: RouterError = printer.not_ready()
        else:
            error = LinkLost("%s: connection lost, outcome unknown" % (printer.name,))
        for wait in list(self._waits):
            if printer.is_local or printer in wait.targets:
                wait.done(None, error)


class _ScriptFollower(Follower):
    """Shows on this printer's console what the script prints, and knows how far it is."""

    # How far it is -> what is said when the time is over then
    QUEUED = "%s: the script has not begun after %s, and will not be sent"
    SENT = (
        "%s: the script has not begun after %s. It still runs there when its turn comes: Klipper"
        " cannot take it back"
    )
    BEGUN = "%s: the script has not finished after %s. It goes on there"
    ENDED = "%s: the script took longer than %s"

    def __init__(self, wait: Wait, printer: Printer, show: Callable[[str], None]) -> None:
        self._wait, self._name, self._show = wait, printer.name, show
        self.stage = self.QUEUED
        self._failure = ""

    @property
    def given_up(self) -> bool:
        return self._wait.closed

    def sent(self) -> None:
        self.stage = self.SENT

    def began(self) -> None:
        self.stage = self.BEGUN

    def printed(self, line: str) -> None:
        if not self._wait.closed:
            self._show("%s: %s" % (self._name, line))

    def ended(self) -> None:
        self.stage = self.ENDED

    def failed(self, error: RouterError) -> None:
        self._failure = str(error)

    @property
    def has_succeeded(self) -> bool:
        """Whether it is over, and no failure is known."""
        return self.stage == self.ENDED and not self._failure

    def late(self, timeout: str) -> str:
        """How far it is after that time."""
        return self._failure or self.stage % (self._name, timeout)


class ScriptWait(Wait):
    """Ends when the scripts have finished, or else when the event is triggered.

    request: asks for them, once; its answer goes to answered(), its followers come from follow().
    event: "" for none.
    """

    def __init__(
        self, klippy: Klippy, events: Events, event: str, request: Callable[["ScriptWait"], None]
    ) -> None:
        super().__init__(klippy)
        self._show, self._events, self._name, self._request = klippy.show, events, event, request
        self._followers: List[_ScriptFollower] = []

    def start(self) -> None:
        if self._name:
            # From before the script is sent: it may be what triggers the event
            self._events.subscribe(self._name, self)
        self._request(self)

    def follow(self, printer: Printer) -> Follower:
        """Who follows the script on this printer."""
        follower = _ScriptFollower(self, printer, self._show)
        self._followers.append(follower)
        if self._name:
            # Without an event the script itself fails when its printer is lost
            self.targets = [*self.targets, printer]
        return follower

    def answered(self, result: Any, error: Failure) -> None:
        """The scripts have finished, or failed."""
        failed = result.get("failed") if error is None else None
        if failed:
            error = RouterError("; ".join(failed.values()))
        if error is not None or not self._name:
            self.done(result, error)

    def event(self, event: Event) -> None:
        self.done(event.context, None)

    def late(self, timeout: str) -> str:
        unfinished = [f for f in self._followers if not f.has_succeeded]
        what = [f.late(timeout) for f in unfinished]
        if self._name:
            what.insert(0, "event '%s' was not triggered after %s" % (self._name, timeout))
        return "; ".join(what or [f.late(timeout) for f in self._followers])


class EventWait(Wait):
    """Ends when the event is triggered; the result is its context."""

    def __init__(self, klippy: Klippy, events: Events, event: str) -> None:
        super().__init__(klippy)
        self._events, self._name = events, event

    def start(self) -> None:
        self._events.subscribe(self._name, self)

    def event(self, event: Event) -> None:
        self.done(event.context, None)

    def late(self, timeout: str) -> str:
        return "event '%s' was not triggered after %s" % (self._name, timeout)
