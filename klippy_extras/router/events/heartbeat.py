# A heartbeat for peers that want to notice when this printer is gone (router_watchdog.cfg)
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Collection, Dict, Optional

from ..errors import RouterError
from ..gcode.parameters import command
from ..klippy.timers import Timers
from ..printers.printer import Job, Order, Printer, PrinterListener
from .lifecycle import Lifecycle

# The macro that a peer has when it includes router_watchdog.cfg
HEARTBEAT_MACRO = "ROUTER_HEARTBEAT"
# Seconds between two heartbeats; the peer waits for several of them
INTERVAL = 3.0


class Heartbeat(PrinterListener):
    """Sends every peer a heartbeat as long as this Klippy runs; a listener of them and the host."""

    def __init__(
        self,
        timers: Timers,
        host: Printer,
        peers: Collection[Printer],
        lifecycle: Lifecycle,
    ) -> None:
        self._timers, self._host = timers, host
        self._peers, self._lifecycle = peers, lifecycle
        self._on_its_way: Dict[Printer, str] = {}  # what it says, once that is known

    def start(self) -> None:
        """Begin, and go on until the timers are closed."""
        self._timers.after(INTERVAL, self.start)
        self._feed_all()

    def became_ready(self, printer: Printer) -> None:
        # At once: a host that dies a moment later is to be noticed as well
        if printer is self._host:
            self._feed_all()
        else:
            self._feed(printer)

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        if printer is self._host:
            self._feed_all()

    def heartbeat(self, peer: Printer) -> str:
        """The heartbeat for a peer as of now; empty where it does not listen for one."""
        if HEARTBEAT_MACRO not in peer.commands:
            return ""
        # A host that is not ready counts as gone after a while, but where the peer was notified
        notified = self._lifecycle.misses(peer, self._host)
        params = {
            "PRINTER": self._host.name,
            "READY": int(self._host.ready and not notified),
            "TOLD": int(notified),
        }
        return command(HEARTBEAT_MACRO, params, peer.old_parser)

    def _feed_all(self) -> None:
        for peer in self._peers:
            if peer.ready:
                self._feed(peer)

    def _feed(self, peer: Printer) -> None:
        if HEARTBEAT_MACRO not in peer.commands or peer in self._on_its_way:
            return

        def render() -> str:
            self._on_its_way[peer] = self.heartbeat(peer)
            return self._on_its_way[peer]

        def done(_result: Any, error: Optional[RouterError]) -> None:
            said = self._on_its_way.pop(peer)
            if error is None and peer.ready and said != self.heartbeat(peer):
                self._feed(peer)  # the host's state has changed meanwhile

        self._on_its_way[peer] = ""
        peer.submit(Job(render, done, order=Order.FIRST))
