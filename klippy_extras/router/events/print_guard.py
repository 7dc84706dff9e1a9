# Pauses a print, or refuses to start one, when a peer is lost (options on_disconnect, required)
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Collection

from ..errors import RouterError
from ..klippy.klippy import Klippy
from ..printers.printer import Failure, Job, Order, Printer, PrinterListener
from .disconnect_grace import DisconnectGrace
from .notices import loss_text

# Every print from virtual_sdcard begins with one of these, and RESUME runs neither of them. The
# second also resumes a paused print, while the first begins another one.
_START, _START_OR_RESUME = "SDCARD_PRINT_FILE", "M24"


class _Pause:
    """Pauses a print, as a script in this printer's queue. why: one sentence."""

    def __init__(self, klippy: Klippy, why: str) -> None:
        self._klippy, self._why = klippy, why

    def submit(self, printer: Printer) -> None:
        try:
            printer.submit(Job(self._run, self._done, order=Order.FIRST))
        except RouterError as e:
            self._done(None, e)

    def _run(self) -> str:
        # The print may have ended or paused in the meantime
        if self._klippy.prints_file:
            self._klippy.report("pausing the print: %s" % (self._why,))
            self._klippy.pause_print()
        return ""

    def _done(self, _result: Any, error: Failure) -> None:
        if error is not None:
            self._klippy.report("the print was not paused: %s" % (error,))


class _StartCommand:
    """Wraps a command that starts a print, to check it first. name: its original name."""

    def __init__(self, guard: "PrintGuard", name: str, command: Callable[[Any], None]) -> None:
        self._guard, self._name, self._command = guard, name, command

    def run(self, gcmd: Any) -> None:
        self._guard.check(gcmd, self._name)
        self._command(gcmd)


class PrintGuard(PrinterListener):
    """Protects prints from lost peers.

    pausing: peers whose loss pauses a print; required: peers without which no print starts.
    """

    def __init__(
        self,
        klippy: Klippy,
        printer: Printer,
        grace: DisconnectGrace,
        pausing: Collection[Printer],
        required: Collection[Printer],
    ) -> None:
        self._klippy, self._printer, self._grace = klippy, printer, grace
        self._pausing, self._required = pausing, required

    # -- on_disconnect: pause

    def lost(self, printer: Printer, reason: str) -> None:
        """A printer was ready, and has not been for its disconnect_grace."""
        if printer in self._pausing and self._klippy.prints_file:
            _Pause(self._klippy, loss_text(printer)).submit(self._printer)

    # -- required: True

    def guard_starts(self) -> None:
        """Wrap the commands that start a print. All commands must be registered by now."""
        if not self._required:
            return
        gcode = self._klippy.gcode
        for name in (_START, _START_OR_RESUME):
            command = gcode.register_command(name, None)
            if command is not None:
                gcode.register_command(name, _StartCommand(self, name, command).run)

    def check(self, gcmd: Any, name: str) -> None:
        """Raises the command error if this command would start a print without a required peer."""
        if name != _START and self._klippy.is_printing_or_paused:
            return
        for printer in self._required:
            if not self._grace.counts_as_ready(printer):
                raise gcmd.error(
                    "The print was not started: %s, and option 'required' of section 'router %s'"
                    " is True" % (loss_text(printer), printer.name)
                )
