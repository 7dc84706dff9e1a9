# What the absence of a peer means for a print: the options on_disconnect and required
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Collection, Optional

from ..errors import RouterError
from ..klippy.klippy import Klippy
from ..printers.printer import Job, Order, Printer, PrinterListener
from .absences import Absences
from .notices import absence

# Every print from virtual_sdcard begins with one of these, and RESUME runs none of them. The second
# goes on with a paused print, too, where the first begins another one.
_START, _START_OR_GO_ON = "SDCARD_PRINT_FILE", "M24"


class PrintGuard(PrinterListener):
    """pausing: peers whose loss pauses a print; required: peers without which none starts."""

    def __init__(
        self,
        klippy: Klippy,
        printer: Printer,
        absences: Absences,
        pausing: Collection[Printer],
        required: Collection[Printer],
    ) -> None:
        self._klippy, self._printer, self._absences = klippy, printer, absences
        self._pausing, self._required = pausing, required

    # -- on_disconnect: pause

    def lost(self, printer: Printer, reason: str) -> None:
        """A printer was ready, and has not been for its disconnect_grace."""
        if printer not in self._pausing or not self._klippy.prints_file:
            return
        why = absence(printer)

        def pause() -> str:
            # In the turn of this script; the print may have ended, or paused, before it
            if self._klippy.prints_file:
                self._klippy.report("pausing the print: %s" % (why,))
                self._klippy.pause_print()
            return ""

        def done(_result: Any, error: Optional[RouterError]) -> None:
            if error is not None:
                self._klippy.report("the print was not paused: %s" % (error,))

        try:
            self._printer.submit(Job(pause, done, order=Order.FIRST))
        except RouterError as e:
            done(None, e)

    # -- required: True

    def guard_starts(self) -> None:
        """Put a check before the commands that start a print. All commands must exist by now."""
        if not self._required:
            return
        gcode = self._klippy.gcode
        for name in (_START, _START_OR_GO_ON):
            command = gcode.register_command(name, None)
            if command is not None:
                gcode.register_command(name, self._guarded(name, command))

    def _guarded(self, name: str, command: Callable[[Any], None]) -> Callable[[Any], None]:
        def start(gcmd: Any) -> None:
            if name == _START or not self._klippy.is_printing_or_paused:
                self._check(gcmd)
            command(gcmd)

        return start

    def _check(self, gcmd: Any) -> None:
        for printer in self._required:
            if not self._absences.counts_as_ready(printer):
                raise gcmd.error(
                    "The print was not started: %s, and option 'required' of section 'router %s'"
                    " is True" % (absence(printer), printer.name)
                )
