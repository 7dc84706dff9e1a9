# Lines on this printer's console when a peer is lost or ready again
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Callable, Collection, Dict, Optional

from ..klippy.klippy import Klippy
from ..printers.printer import Printer, PrinterListener
from ..rates import Bucket
from ..version import VERSION

# Lines at once about a peer that keeps connecting and disconnecting; after them, one per INTERVAL
# seconds
BURST = 6
INTERVAL = 10.0


class _PeerNotice:
    """What the console shows about one peer: that it is lost, or ready again."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.lost = False
        self.shown_lost = False
        self.is_waiting = False  # until the next line may be shown
        self.rate = Bucket(BURST, INTERVAL, now)


class Notices(PrinterListener):
    """Shows when peers are lost or ready again. quiet: peers whose losses are not shown.

    The log has a line for each change of each peer anyway.
    """

    def __init__(self, klippy: Klippy, quiet: Collection[Printer]) -> None:
        self._klippy, self._quiet = klippy, quiet
        self._notices: Dict[Printer, _PeerNotice] = {}
        # The latest version of each peer's include file: a mismatch is shown once
        self._include_versions: Dict[Printer, Optional[str]] = {}

    def lost(self, printer: Printer, reason: str) -> None:
        """It was ready, and has not been for its disconnect_grace."""
        if printer.is_local or printer in self._quiet:
            return
        notice = self._notices.setdefault(printer, _PeerNotice(self._klippy.timers.now))
        notice.lost = True
        self._show(printer, notice)

    def became_ready(self, printer: Printer) -> None:
        self._check_include(printer)
        notice = self._notices.get(printer)
        if notice is not None:
            notice.lost = False
            self._show(printer, notice)

    def _show(self, printer: Printer, notice: _PeerNotice) -> None:
        if notice.lost == notice.shown_lost or notice.is_waiting:
            return
        if not notice.rate.take():
            notice.is_waiting = True
            self._klippy.timers.after(INTERVAL, lambda: self._show_late(printer, notice))
            return
        notice.shown_lost = notice.lost
        text = loss_text(printer) if notice.lost else printer.name + " is ready again"
        self._klippy.show("Router: %s" % (text,))

    def _show_late(self, printer: Printer, notice: _PeerNotice) -> None:
        notice.is_waiting = False
        self._show(printer, notice)

    def _check_include(self, printer: Printer) -> None:
        version = printer.include_version
        last = self._include_versions.get(printer)
        self._include_versions[printer] = version
        if version not in (None, VERSION, last):
            self._klippy.report(
                "%s has router_api.cfg of version %s, the router is version %s: after an"
                " update RESTART %s, and restart the Klipper service of this printer"
                % (printer.name, version, VERSION, printer.name)
            )


def loss_text(printer: Printer) -> str:
    """Why it cannot be used, in one sentence, with the reason if it is disconnected."""
    if not printer.connected and printer.last_error:
        return "%s is disconnected (%s)" % (printer.name, printer.last_error)
    return str(printer.not_ready())
