# router/diagnose: runs all checks of some printers, one step at a time, with a time limit
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging
from typing import Collection, Iterator, Mapping

from ..errors import Busy
from ..klippy.timers import Timers
from ..printers.link import INTERNAL_ERROR
from ..printers.printer import Done, Printer
from ..printers.remote_printer import RemotePrinter
from .checks import FAIL, CheckList, Finding
from .host_checks import HostChecks
from .peer_checks import PeerChecks

# Seconds after which a check without an answer ends
DEADLINE = 5.0
# Diagnoses at a time: each sends requests to every peer
MAX_RUNNING = 4

_END = object()


class Diagnosis:
    """Checks printers. peers: by name; host_checks: of this printer, peer_checks: of peers."""

    def __init__(
        self,
        timers: Timers,
        peers: Mapping[str, RemotePrinter],
        host_checks: HostChecks,
        peer_checks: PeerChecks,
    ) -> None:
        self._timers, self._peers = timers, peers
        self._host_checks, self._peer_checks = host_checks, peer_checks
        self._running = 0

    def start(self, printers: Collection[Printer], done: Done) -> None:
        """Check these printers; done({"checks": [...]}, None) follows within a few seconds.

        Raises Busy.
        """
        if self._running >= MAX_RUNNING:
            raise Busy("%d diagnoses are running: try again in a few seconds" % (MAX_RUNNING,))
        self._running += 1
        _Run(self, self._timers, list(printers), done).start()

    def steps(self, printers: Collection[Printer], checks: CheckList) -> Iterator[None]:
        """Add the checks of these printers to the list, one step at a time."""
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

    def ended(self) -> None:
        """A running diagnosis has ended."""
        self._running -= 1


class _Run:
    """One diagnosis."""

    def __init__(
        self, diagnosis: Diagnosis, timers: Timers, printers: Collection[Printer], done: Done
    ) -> None:
        self._diagnosis, self._timers, self._done = diagnosis, timers, done
        self._checks = CheckList(DEADLINE, self._complete)
        self._steps = diagnosis.steps(printers, self._checks)

    def start(self) -> None:
        """Take one step per turn of the reactor, as the steps read files."""
        self._timers.soon(self._next)

    def _next(self) -> None:
        if next(self._steps, _END) is not _END:
            self._timers.soon(self._next)
            return
        self._checks.close()
        self._timers.after(DEADLINE, self._checks.time_is_up)

    def _complete(self, checks: CheckList) -> None:
        self._diagnosis.ended()
        self._done({"checks": checks.rows()}, None)
