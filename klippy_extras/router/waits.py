# Waiting, from a macro: for a script on another printer, an event, a status
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# A wait pauses the greenlet of the macro that waits, and nothing else. It is a completion with a
# deadline, never a poll; it also ends when this printer shuts down, or the printer waited for is
# gone.
import re
from typing import Any, Callable, Dict, List, Mapping, Optional

from .errors import LinkLost, PeerError, RouterError, TimedOut
from .events import Context, Events
from .gcode_params import parameter_text
from .host import Host
from .plain import counted, printable
from .printer import Console, Failure, Printer, PrinterListener, Status
from .subscriptions import Subscriptions

# What Klipper prints, and then reports success (klippy/gcode.py, cmd_default)
_UNKNOWN_COMMAND = re.compile(r'^// (Unknown command:".*")')
# What Klippy prints when it shuts down; a script that caused it may be reported as a success
_SHUTDOWN = "// Klipper state: Shutdown"
_MARKS = re.compile(r"^(// |!! |echo: )")


class _Wait:
    """One wait in progress. target: the printer waited for, if it is one."""

    def __init__(self, completion: Any, target: Optional[Printer]) -> None:
        self._completion, self.target = completion, target
        self._is_done = False
        self.over = False
        self.subscribed = False  # to events or status, until it is over

    def done(self, result: Any, error: Optional[RouterError]) -> None:
        """It is over; only the first call counts."""
        if not self._is_done:
            self._is_done = True
            self._completion.complete((result, error))


class _Follower(Console):
    """Shows the console of a peer while its script runs, and notices unknown commands."""

    def __init__(self, name: str, show: Callable[[str], None]) -> None:
        self._name, self._show = name, show
        self.unknown = ""
        self.has_shut_down = False

    def output(self, text: str) -> None:
        for line in text.split("\n"):
            self.has_shut_down = self.has_shut_down or line == _SHUTDOWN
            found = _UNKNOWN_COMMAND.match(line)
            if found is not None:
                self.unknown = found.group(1)
            self._show("%s: %s" % (self._name, printable(_MARKS.sub("", line))))


class _Waiter:
    """A client of events or subscriptions for as long as a wait lasts."""

    def __init__(self, wait: _Wait) -> None:
        self._wait = wait
        wait.subscribed = True

    @property
    def closed(self) -> bool:
        return self._wait.over


class _EventWaiter(_Waiter):
    def event(self, event: str, context: Context, source: str) -> None:
        self._wait.done(context, None)


class _StatusWaiter(_Waiter):
    """Ends a wait when a field of an object fulfils the condition."""

    def __init__(self, wait: _Wait, name: str, field: str, condition: "Condition") -> None:
        super().__init__(wait)
        self._name, self._field, self._condition = name, field, condition
        self.value: Any = None

    def update(self, eventtime: float, status: Status) -> None:
        values = status.get(self._name, {})
        if self._field in values:
            self.value = values[self._field]
            if self._condition(self.value):
                self._wait.done(self.value, None)

    def first(self, result: Any, error: Optional[RouterError]) -> None:
        if error is not None:
            self._wait.done(None, error)
        else:
            self.update(result["eventtime"], result["status"])


Condition = Callable[[Any], bool]


class Waits(PrinterListener):
    """All waits of this printer's macros. Timeouts are in seconds."""

    def __init__(self, host: Host, subscriptions: Subscriptions, events: Events) -> None:
        self._host, self._subscriptions, self._events = host, subscriptions, events
        self._waits: List[_Wait] = []

    def for_script(self, target: Printer, script: str, timeout: float, event: str = "") -> None:
        """Run a script, and return when it has finished, or when this event was triggered.

        Raises RouterError with the target's own message when it fails, and TimedOut.
        """
        if target.is_local and not event:
            self._host.run_script_here(script)
            return
        follower = _Follower(target.name, self._host.show)
        given_up = False

        def render() -> str:
            # What was said before is about the scripts before this one
            follower.unknown, follower.has_shut_down = "", False
            return "" if given_up else script

        def start(wait: _Wait) -> None:
            def done(_result: Any, error: Failure) -> None:
                if error is None and follower.has_shut_down:
                    return  # state_changed() comes soon, with the reason
                if error is None and follower.unknown:
                    error = PeerError("%s: %s" % (target.name, follower.unknown))
                if error is not None or not event:
                    wait.done(None, error)

            if event:
                self._events.subscribe_client(event, _EventWaiter(wait), retained=False)
            if target.is_local:
                # We hold the G-code mutex: in the queue it would wait for us
                self._host.run_script_here(script)
            else:
                target.hear(follower)
                target.submit(render, done)

        what = "event '%s'" % (event,) if event else "%s: the script has not finished" % target.name
        try:
            self._wait(start, target, timeout, lambda: what)
        finally:
            # What still waits in the queue is not sent any more; what was sent goes on there
            given_up = True
            if follower in target.consoles:
                target.consoles.remove(follower)

    def for_event(self, event: str, timeout: float) -> Context:
        """Wait until the event is triggered; its context. Raises RouterError."""
        context: Context = self._wait(
            lambda wait: self._events.subscribe_client(event, _EventWaiter(wait), retained=False),
            None,
            timeout,
            lambda: "event '%s' was not triggered" % (event,),
        )
        return context

    def for_status(
        self, target: Printer, name: str, field: str, condition: Condition, timeout: float
    ) -> None:
        """Wait until the field of an object fulfils the condition. Raises RouterError."""
        waiters: List[_StatusWaiter] = []

        def start(wait: _Wait) -> None:
            waiter = _StatusWaiter(wait, name, field, condition)
            waiters.append(waiter)
            self._subscriptions.subscribe_client(
                target, target, {name: [field]}, waiter, waiter.first
            )

        def what() -> str:
            value = waiters[0].value
            if value is None:
                return "%s: %s.%s is not known" % (target.name, name, field)
            text = printable(parameter_text(value))
            return "%s: %s.%s is still '%s'" % (target.name, name, field, text)

        self._wait(start, target, timeout, what)

    # -- what ends a wait early

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        if printer.ready or printer.state == "ready":
            return
        if printer.connected:
            error: RouterError = printer.not_ready()
        else:
            error = LinkLost("%s: connection lost, outcome unknown" % (printer.name,))
        for wait in list(self._waits):
            if printer.is_local or wait.target is printer:
                wait.done(None, error)

    # -- inside

    def _wait(
        self,
        start: Callable[[_Wait], None],
        target: Optional[Printer],
        timeout: float,
        what: Callable[[], str],
    ) -> Any:
        wait_over = self._host.reactor.completion()
        wait = _Wait(wait_over, target)
        self._waits.append(wait)
        try:
            start(wait)
            answer = wait_over.wait(self._host.reactor.monotonic() + timeout)
        finally:
            wait.over = True
            self._waits.remove(wait)
            if wait.subscribed:
                self._events.prune()
                self._subscriptions.prune()
        if answer is None:
            raise TimedOut("%s after %s" % (what(), counted(timeout, "second")))
        result, error = answer
        if error is not None:
            raise error
        return result


def condition_of(params: Mapping[str, str]) -> Condition:
    """The condition that EQUALS, NOT_EQUALS, MINIMUM and MAXIMUM say together.

    Raises ValueError when there is none, or a bound is no number.
    """
    tests: List[Condition] = []
    if "EQUALS" in params:
        tests.append(lambda value: _equal(value, params["EQUALS"]))
    if "NOT_EQUALS" in params:
        tests.append(lambda value: not _equal(value, params["NOT_EQUALS"]))
    bounds: Dict[str, float] = {k: float(params[k]) for k in ("MINIMUM", "MAXIMUM") if k in params}
    if "MINIMUM" in bounds:
        tests.append(lambda value: _is_number(value) and value >= bounds["MINIMUM"])
    if "MAXIMUM" in bounds:
        tests.append(lambda value: _is_number(value) and value <= bounds["MAXIMUM"])
    if not tests:
        raise ValueError("no condition")
    return lambda value: all(test(value) for test in tests)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equal(value: Any, text: str) -> bool:
    if isinstance(value, bool):
        return text.lower() in (("true", "1") if value else ("false", "0"))
    if _is_number(value):
        try:
            return bool(value == float(text))
        except ValueError:
            return False
    return parameter_text(value) == text
