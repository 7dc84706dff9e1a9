# Waits of a macro for scripts on other printers
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, List, Mapping

from ..errors import RouterError
from ..printers.printer import Failure, Follower, Printer
from ..printers.receiver import Event
from .console import output_text
from .methods import Methods, Request
from .waits import Wait, Waits, not_triggered


class _ScriptFollower(Follower):
    """Shows the output of the script on this printer's console, and notes its progress."""

    # The stages of a script: the error of a wait that times out in it
    QUEUED = "%s: the script has not begun after %s, and will not be sent"
    SENT = (
        "%s: the script has not begun after %s. It will still run there when its turn comes:"
        " Klipper cannot cancel it"
    )
    BEGUN = "%s: the script has not finished after %s. It is still running there"
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

    def printed(self, text: str) -> None:
        if not self._wait.closed:
            self._show(output_text(self._name, text))

    def ended(self) -> None:
        self.stage = self.ENDED

    def failed(self, error: RouterError) -> None:
        self._failure = str(error)

    @property
    def has_succeeded(self) -> bool:
        """Whether it has ended, and no failure is known."""
        return self.stage == self.ENDED and not self._failure

    def late(self, timeout: str) -> str:
        """The error after this time, from its failure or its progress."""
        return self._failure or self.stage % (self._name, timeout)


class ScriptWait(Wait):
    """Ends when the scripts have finished. caller: this printer; params: of router/gcode/script."""

    def __init__(self, methods: Methods, caller: Printer, params: Mapping[str, Any]) -> None:
        self._methods, self._caller, self._params = methods, caller, params
        self._followers: List[_ScriptFollower] = []

    def start(self, waits: Waits) -> None:
        self._show = waits.klippy.show
        request = Request(self._caller, self._params, self.answered, follow=self.follow)
        self._methods.call("router/gcode/script", request)

    def follow(self, printer: Printer) -> Follower:
        """The follower of the script on this printer."""
        follower = _ScriptFollower(self, printer, self._show)
        self._followers.append(follower)
        return follower

    def answered(self, result: Any, error: Failure) -> None:
        """The scripts have finished, or failed."""
        self.done(result, _failure(result, error))

    def late(self, timeout: str) -> str:
        return "; ".join(self._unfinished(timeout) or [f.late(timeout) for f in self._followers])

    def _unfinished(self, timeout: str) -> List[str]:
        return [f.late(timeout) for f in self._followers if not f.has_succeeded]


class ScriptEventWait(ScriptWait):
    """Ends when the event is triggered, or a script fails."""

    def __init__(
        self, methods: Methods, caller: Printer, params: Mapping[str, Any], event: str
    ) -> None:
        super().__init__(methods, caller, params)
        self._event = event

    def start(self, waits: Waits) -> None:
        # Subscribed before the script is sent: the script may trigger it
        waits.events.subscribe(self._event, self)
        super().start(waits)

    def follow(self, printer: Printer) -> Follower:
        # Its printer may also be lost after the script has finished
        self.targets = [*self.targets, printer]
        return super().follow(printer)

    def answered(self, result: Any, error: Failure) -> None:
        error = _failure(result, error)
        if error is not None:
            self.done(None, error)

    def event(self, event: Event) -> None:
        self.done(event.context, None)

    def late(self, timeout: str) -> str:
        return "; ".join([not_triggered(self._event, timeout), *self._unfinished(timeout)])


def _failure(result: Any, error: Failure) -> Failure:
    """The error of the wait: its own, or that of all scripts that failed."""
    failed = result.get("failed") if error is None else None
    return RouterError("; ".join(failed.values())) if failed else error
