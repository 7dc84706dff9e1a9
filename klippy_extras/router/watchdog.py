# A heartbeat for peers that want to notice when this printer is gone (router_watchdog.cfg)
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Collection, Dict, Optional

from .errors import RouterError
from .gcode_params import command
from .host import Timers
from .printer import Printer, PrinterListener

# The macro that a peer has when it includes router_watchdog.cfg
HEARTBEAT_MACRO = "ROUTER_HEARTBEAT"
# Seconds between two heartbeats; the peer waits for several of them
INTERVAL = 3.0


class Watchdog(PrinterListener):
    """Feeds the peers, as long as this Klippy lives."""

    def __init__(self, timers: Timers, host: Printer, peers: Collection[Printer]) -> None:
        self._timers, self._host, self._peers = timers, host, peers
        self._on_its_way: Dict[Printer, bool] = {}

    def start(self, eventtime: float) -> None:
        """Begin, and go on until the timers are closed."""
        self._timers.at(eventtime + INTERVAL, self.start)
        for peer in self._peers:
            if peer.ready:
                self.became_ready(peer)

    def became_ready(self, printer: Printer) -> None:
        # At once: a host that dies a moment later is to be noticed as well
        if HEARTBEAT_MACRO in printer.commands and not self._on_its_way.get(printer, False):
            self._feed(printer)

    def _feed(self, peer: Printer) -> None:
        def done(_result: Any, _error: Optional[RouterError]) -> None:
            self._on_its_way[peer] = False

        def render() -> str:
            # A host that is not ready has said so already: its end is no news then
            params = {"PRINTER": self._host.name, "READY": int(self._host.ready)}
            return command(HEARTBEAT_MACRO, params, peer.old_parser)

        self._on_its_way[peer] = True
        peer.submit_first(render, done)
