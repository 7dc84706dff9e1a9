# The heartbeat that lets peers notice when this printer is lost (router_watchdog.cfg)
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Collection, Dict, List, Set

from ..gcode.parameters import command
from ..klippy.timers import Timers
from ..printers.printer import Failure, Job, Order, Printer, PrinterListener
from .lifecycle import Lifecycle

# The macro of a peer that includes router_watchdog.cfg
HEARTBEAT_MACRO = "ROUTER_HEARTBEAT"
# Seconds between two heartbeats; the watchdog's timeout covers several of them
INTERVAL = 3.0


class _Beat:
    """One heartbeat for a peer, rendered when its turn comes."""

    def __init__(self, heartbeat: "Heartbeat", peer: Printer) -> None:
        self._heartbeat, self.peer = heartbeat, peer
        self.said = ""

    def submit(self) -> None:
        self.peer.submit(Job(self._text, self._done, order=Order.FIRST))

    def _text(self) -> str:
        self.said = self._heartbeat.heartbeat(self.peer)
        return self.said

    def _done(self, _result: Any, error: Failure) -> None:
        self._heartbeat.ended(self, error)


class Heartbeat(PrinterListener):
    """Sends heartbeats to every peer as long as this Klippy runs.

    A listener of this printer (host) and of the peers. heaters: the names of a peer's heaters that
    this printer has set, which the peer turns off when the heartbeats stop.
    """

    def __init__(
        self,
        timers: Timers,
        host: Printer,
        peers: Collection[Printer],
        lifecycle: Lifecycle,
        heaters: Callable[[Printer], List[str]],
    ) -> None:
        self._timers, self._host = timers, host
        self._peers, self._lifecycle, self._heaters = peers, lifecycle, heaters
        self._under_way: Set[Printer] = set()  # peers that have not answered their heartbeat

    def start(self) -> None:
        """Send heartbeats until the timers are closed."""
        self._timers.after(INTERVAL, self.start)
        self._send_all()

    def became_ready(self, printer: Printer) -> None:
        # At once: the peer must also notice a host that dies a moment later
        if printer is self._host:
            self._send_all()
        else:
            self._send(printer)

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        if printer is self._host:
            self._send_all()

    def heartbeat(self, peer: Printer) -> str:
        """The script of a heartbeat for this peer now; empty if it does not have the macro."""
        if HEARTBEAT_MACRO not in peer.commands:
            return ""
        # A host that is not ready counts as lost after a while, unless the peer was notified
        notified = self._lifecycle.was_notified_of_loss(peer, self._host)
        params: Dict[str, object] = {
            "PRINTER": self._host.name,
            "READY": int(self._host.ready and not notified),
            "TOLD": int(notified),
        }
        if not peer.accepts_calls:
            # Another router runs the lifecycle macros there: the peer only turns heaters off
            params["QUIET"] = 1
        heaters = self._heaters(peer)
        if heaters:
            params["HEATERS"] = ",".join(heaters)
        return command(HEARTBEAT_MACRO, params, peer.old_parser)

    def ended(self, beat: _Beat, error: Failure) -> None:
        """A heartbeat has arrived, or failed."""
        peer = beat.peer
        self._under_way.discard(peer)
        if error is None and peer.ready and beat.said != self.heartbeat(peer):
            self._send(peer)  # the host's state has changed meanwhile

    def _send_all(self) -> None:
        for peer in self._peers:
            if peer.ready:
                self._send(peer)

    def _send(self, peer: Printer) -> None:
        if HEARTBEAT_MACRO in peer.commands and peer not in self._under_way:
            self._under_way.add(peer)
            _Beat(self, peer).submit()
