# The callback macro of a status subscription
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable

from ..errors import RouterError, UsageError
from ..gcode.parameters import StatusParameters, command_of, same_command
from ..printers.printer import Failure, Job, Order, Printer, Status
from ..printers.receiver import Receiver
from .subscription import merge, without_none

# The command of a callback cannot be written: (owner, target, error)
Report = Callable[[Printer, Printer, RouterError], None]


class MacroCallback(Receiver):
    """Runs a macro of its owner with the values that have changed, once at a time.

    Two are equal if they run the same macro of the same printer.
    """

    can_wait = True

    def __init__(
        self,
        owner: Printer,
        target: Printer,
        macro: str,
        report: Report,
        parameters: StatusParameters,
    ) -> None:
        self.owner: Printer = owner
        self.title = "subscription of %s with callback %s" % (owner.name, macro)
        self._status_of, self._macro = target, macro
        self._key = (owner, macro)
        self._report, self._parameters = report, parameters
        self._pending: Status = {}  # values with which it has not run yet
        self._sent: Status = {}  # the values of the current run
        self._is_submitted = self._ended = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MacroCallback) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def runs(self, gcode: str) -> bool:
        return self._macro == same_command(gcode)

    def begin(self, eventtime: float, status: Status) -> None:
        self.update(eventtime, {name: without_none(values) for name, values in status.items()})

    def update(self, eventtime: float, status: Status) -> None:
        merge(self._pending, status)
        self.resume()

    def resume(self) -> None:
        if self._pending and not self._is_submitted and not self._ended and self.owner.ready:
            self._is_submitted = True
            self.owner.submit(Job(self._render, self._finished, order=Order.STATUS))

    def ended(self) -> None:
        self._ended = True
        self._pending = {}

    def _render(self) -> str:
        if self._ended:
            return ""
        self._sent, self._pending = self._pending, {}
        return command_of(self._macro, self._parameters.write(self._sent, self.owner.old_parser))

    def _finished(self, _result: Any, error: Failure) -> None:
        self._is_submitted = False
        sent, self._sent = self._sent, {}
        if self._ended:
            return
        if isinstance(error, UsageError):
            self._report(self.owner, self._status_of, error)
        elif error is not None and not self.owner.ready:
            # Perhaps it has not run with these values: run it again when its owner is ready
            newer, self._pending = self._pending, sent
            merge(self._pending, newer)
        # An error in the macro is already shown on its own printer's console
        self.resume()
