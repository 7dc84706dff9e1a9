# Detects printers that are lost: not ready for longer than their disconnect_grace
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Dict

from ..klippy.timers import Timer, Timers
from ..printers.printer import Printer, PrinterListener


class DisconnectGrace(PrinterListener):
    """Notifies a printer's listeners when it is lost, at the end of its disconnect_grace."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._grace: Dict[Printer, Timer] = {}

    def counts_as_ready(self, printer: Printer) -> bool:
        """Whether it is ready, or may be back within its disconnect_grace."""
        return printer.ready or printer in self._grace

    def became_ready(self, printer: Printer) -> None:
        grace = self._grace.pop(printer, None)
        if grace is not None:
            grace.cancel()

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        if not was_ready:
            return
        reason = printer.state if printer.connected else printer.loss_reason
        if printer.disconnect_grace > 0.0:
            self._grace[printer] = self._timers.after(
                printer.disconnect_grace, lambda: self._over(printer, reason)
            )
        else:
            self._notify(printer, reason)

    def _over(self, printer: Printer, reason: str) -> None:
        del self._grace[printer]
        self._notify(printer, reason)

    def _notify(self, printer: Printer, reason: str) -> None:
        for listener in printer.listeners:
            listener.lost(printer, reason)
