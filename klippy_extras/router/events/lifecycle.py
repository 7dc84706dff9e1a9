# The lifecycle macros, which run when a printer becomes ready, shuts down or disconnects
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from functools import partial
from typing import Any, Callable, Collection, Dict, List, Mapping, Set, Union

from ..errors import RouterError
from ..gcode.parameters import command
from ..klippy.call_queue import CallQueue
from ..klippy.timers import Timers
from ..printers.printer import Failure, Job, Printer, PrinterListener


class _Script:
    """G-code for one printer: a lifecycle macro, or its on_connect."""

    def __init__(self, printer: Printer, script: Union[str, Callable[[], str]]) -> None:
        self._printer, self._script = printer, script

    def submit(self) -> None:
        try:
            self._printer.submit(Job(self._script, self._done))
        except RouterError as e:
            self._printer.log("was not notified: %s" % (e,))

    def _done(self, _result: Any, error: Failure) -> None:
        # Only logged: the printer has shown the error on its own console
        if error is not None:
            self._printer.log("did not run a macro: %s" % (error,))


class Lifecycle(PrinterListener):
    """Runs the ROUTER_ON_... macros on the printers that have them.

    on_connect: printer -> G-code that runs there whenever it becomes ready. If many printers become
    ready or are lost at once, the other ones are notified of it in turn, in the order in which it
    happened.
    """

    def __init__(
        self, printers: Collection[Printer], on_connect: Mapping[Printer, str], timers: Timers
    ) -> None:
        self._printers, self._on_connect = printers, on_connect
        self._in_turn = CallQueue(timers)
        # printer -> others of which it was notified that they are ready (without the macro, too)
        self._ready: Dict[Printer, Set[Printer]] = {printer: set() for printer in printers}
        # printer -> others of which it was notified that they are lost
        self._lost: Dict[Printer, Set[Printer]] = {printer: set() for printer in printers}

    def became_ready(self, printer: Printer) -> None:
        script = self._on_connect.get(printer)
        if script:
            _Script(printer, script).submit()
        self._notify(printer, "ROUTER_ON_READY", {})
        self._ready[printer], self._lost[printer] = set(), set()
        for other in self._others(printer):
            self._connected(printer, other)
        self._in_turn.add(partial(self._connected, o, printer) for o in self._others(printer))

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        if printer.state == "shutdown":
            message = printer.state_message.strip().split("\n")[0]
            params = {"PRINTER": printer.name, "MESSAGE": message}
            self._in_turn.add(
                partial(self._notify, other, "ROUTER_ON_SHUTDOWN", params)
                for other in self._others(printer)
            )

    def lost(self, printer: Printer, reason: str) -> None:
        """It was ready, and has not been for its disconnect_grace."""
        self._in_turn.add(partial(self._lost_by, o, printer, reason) for o in self._printers)

    def _lost_by(self, printer: Printer, lost: Printer, reason: str) -> None:
        script = self.loss_script(printer, lost, reason)
        if script:
            _Script(printer, script).submit()

    def loss_script(self, printer: Printer, lost: Printer, reason: str) -> str:
        """The G-code that notifies a printer of a loss; empty if that is not needed, or was done.

        From now on it counts as notified.
        """
        if lost not in self._ready[printer]:
            return ""
        self._ready[printer].discard(lost)
        self._lost[printer].add(lost)
        if not printer.ready or not _runs(printer, "ROUTER_ON_DISCONNECTED"):
            return ""
        params = {"PRINTER": lost.name, "REASON": reason}
        return command("ROUTER_ON_DISCONNECTED", params, printer.old_parser)

    def was_notified_of_loss(self, printer: Printer, lost: Printer) -> bool:
        """Whether this printer was notified that the other one is lost."""
        return lost in self._lost[printer]

    def _connected(self, printer: Printer, other: Printer) -> None:
        """The other printer is ready: notify this one, unless it was notified before."""
        if printer.ready and other.ready and other not in self._ready[printer]:
            self._ready[printer].add(other)
            self._lost[printer].discard(other)
            self._notify(printer, "ROUTER_ON_CONNECTED", {"PRINTER": other.name})

    def _others(self, printer: Printer) -> List[Printer]:
        return [p for p in self._printers if p is not printer and p.ready]

    def _notify(self, printer: Printer, macro: str, params: Mapping[str, object]) -> None:
        if printer.ready and _runs(printer, macro):
            # Written when its turn comes: with 64 peers there may be 64 of them at once
            _Script(printer, lambda: command(macro, params, printer.old_parser)).submit()


def _runs(printer: Printer, macro: str) -> bool:
    """Whether this router runs that macro on a printer: another one does, if that has its calls."""
    return printer.accepts_calls and macro in printer.commands
