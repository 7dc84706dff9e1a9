# router/diagnose: all checks of some printers, a step at a time, ended in time
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging
from typing import Collection, Iterator, Mapping

from ..errors import Busy
from ..klippy.klippy import Klippy
from ..printers.link import INTERNAL_ERROR
from ..printers.printer import Done, Printer
from ..printers.remote_printer import RemotePrinter
from .checks import FAIL, CheckList, Finding
from .host_checks import HostChecks
from .peer_checks import PeerChecks

# Seconds after which a check without an answer ends
DEADLINE = 5.0
# Diagnoses at a time: each of them asks every peer some things
MAX_RUNNING = 4

_END = object()


class Diagnosis:
    """Checks printers. peers: by name."""

    def __init__(
        self,
        klippy: Klippy,
        peers: Mapping[str, RemotePrinter],
        host_checks: HostChecks,
        peer_checks: PeerChecks,
    ) -> None:
        self._timers = klippy.timers
        self._peers, self._host_checks, self._peer_checks = peers, host_checks, peer_checks
        self._running = 0

    def start(self, printers: Collection[Printer], done: Done) -> None:
        """Check these printers; done({"checks": [...]}, None) some seconds later at most.

        Raises Busy.
        """
        if self._running >= MAX_RUNNING:
            raise Busy("%d diagnoses are running: try again in some seconds" % (MAX_RUNNING,))
        self._running += 1

        def complete(checks: CheckList) -> None:
            self._running -= 1
            done({"checks": checks.rows()}, None)

        checks = CheckList(complete)
        steps = self._steps(list(printers), checks)
        self._timers.soon(lambda: self._next(steps, checks))

    def _steps(self, printers: Collection[Printer], checks: CheckList) -> Iterator[None]:
        for printer in printers:
            peer = self._peers.get(printer.name)
            try:
                if peer is None:
                    yield from self._host_checks.add(checks)
                else:
                    yield from self._peer_checks.add(peer, checks)
            except Exception:
                logging.exception("router: internal error (please report it)")
                checks.note(printer.name, "diagnosis", Finding(FAIL, INTERNAL_ERROR))

    def _next(self, steps: Iterator[None], checks: CheckList) -> None:
        """One step in each turn of the reactor: files and processes are looked at in them."""
        if next(steps, _END) is not _END:
            self._timers.soon(lambda: self._next(steps, checks))
        else:
            checks.close()
            self._timers.after(DEADLINE, checks.time_is_up)
