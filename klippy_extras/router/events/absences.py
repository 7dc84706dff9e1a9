# Which printers cannot be used, for longer than their disconnect_grace
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict, List

from ..printers.printer import Printer, PrinterListener

# (delay in seconds, callback) -> what the second one takes
After = Callable[[float, Callable[[], None]], Any]
Cancel = Callable[[Any], None]
# (printer, reason): a state of Klippy, disconnected or timeout
Lost = Callable[[Printer, str], None]


class Absences(PrinterListener):
    """Calls those in `lost` when a printer was ready, and has not been for its disconnect_grace."""

    def __init__(self, after: After, cancel: Cancel) -> None:
        self._after, self._cancel = after, cancel
        self._grace: Dict[Printer, Any] = {}
        self.lost: List[Lost] = []

    def counts_as_ready(self, printer: Printer) -> bool:
        """Whether it is ready, or may be back within its disconnect_grace."""
        return printer.ready or printer in self._grace

    def became_ready(self, printer: Printer) -> None:
        self._cancel(self._grace.pop(printer, None))

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        if not was_ready:
            return
        reason = printer.state if printer.connected else printer.loss_reason
        if printer.disconnect_grace > 0.0:
            self._grace[printer] = self._after(
                printer.disconnect_grace, lambda: self._over(printer, reason)
            )
        else:
            self._notify(printer, reason)

    def _over(self, printer: Printer, reason: str) -> None:
        del self._grace[printer]
        self._notify(printer, reason)

    def _notify(self, printer: Printer, reason: str) -> None:
        for lost in self.lost:
            lost(printer, reason)
