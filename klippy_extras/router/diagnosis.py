# router/diagnose: all checks of some printers, started one printer at a time, ended in time
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from collections import deque
from typing import Collection, Deque, Mapping

from .checks import CheckList
from .errors import Busy
from .host import Host, guarded
from .host_checks import HostChecks
from .peer_checks import PeerChecks
from .printer import Done, Printer
from .remote_printer import RemotePrinter

# Seconds after which a check without an answer ends
DEADLINE = 5.0
# Diagnoses at a time: each of them asks every peer some things
MAX_RUNNING = 4


class Diagnosis:
    """Checks printers. peers: by name."""

    def __init__(
        self,
        host: Host,
        peers: Mapping[str, RemotePrinter],
        host_checks: HostChecks,
        peer_checks: PeerChecks,
    ) -> None:
        self._timers, self._monotonic = host.timers, host.reactor.monotonic
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

        waiting = deque(printers)
        checks = CheckList(complete)
        self._timers.soon(lambda eventtime: self._next(waiting, checks))

    def _next(self, waiting: Deque[Printer], checks: CheckList) -> None:
        """The checks of the next printer; looking at files and sockets takes some time each."""
        if waiting:
            guarded(self._check, waiting.popleft(), checks)
            self._timers.soon(lambda eventtime: self._next(waiting, checks))
        else:
            checks.close()
            when = self._monotonic() + DEADLINE
            self._timers.at(when, lambda eventtime: checks.time_is_up())

    def _check(self, printer: Printer, checks: CheckList) -> None:
        peer = self._peers.get(printer.name)
        if peer is None:
            self._host_checks.add(checks)
        else:
            self._peer_checks.add(peer, checks)
