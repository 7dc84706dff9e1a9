# Who is told what when a printer comes, is ready, shuts down, goes
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict, List, Mapping, Optional, Set

from .errors import RouterError
from .gcode_params import command
from .printer import Printer, PrinterListener

# (delay in seconds, callback) -> what the second one takes
After = Callable[[float, Callable[[], None]], Any]
Cancel = Callable[[Any], None]


class Lifecycle(PrinterListener):
    """Runs the ROUTER_ON_... macros on the printers that have them.

    on_connect: printer -> G-code that is run there whenever it becomes ready.
    """

    def __init__(self, on_connect: Mapping[Printer, str], after: After, cancel: Cancel) -> None:
        self._printers: List[Printer] = []
        self._on_connect = on_connect
        self._after, self._cancel = after, cancel
        # Who has been told (or need not be told) of which ready printers
        self._knows: Dict[Printer, Set[Printer]] = {}
        self._grace: Dict[Printer, Any] = {}

    def add(self, printer: Printer) -> None:
        """Another printer takes part."""
        self._printers.append(printer)
        self._knows[printer] = set()
        printer.listeners.append(self)

    def became_ready(self, printer: Printer) -> None:
        self._cancel(self._grace.pop(printer, None))
        script = self._on_connect.get(printer)
        if script:
            self._run(printer, script)
        self._tell(printer, "ROUTER_ON_READY", {})
        self._knows[printer] = set()
        for other in self._others(printer):
            self._introduce(printer, other)
        for other in self._others(printer):
            self._introduce(other, printer)

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        if printer.state == "shutdown":
            message = printer.state_message.strip().split("\n")[0]
            for other in self._others(printer):
                self._tell(
                    other, "ROUTER_ON_SHUTDOWN", {"PRINTER": printer.name, "MESSAGE": message}
                )
        if not was_ready:
            return
        reason = printer.state if printer.connected else printer.loss_reason
        if printer.disconnect_grace > 0.0:
            self._grace[printer] = self._after(
                printer.disconnect_grace, lambda: self._gone(printer, reason)
            )
        else:
            self._gone(printer, reason)

    def _gone(self, printer: Printer, reason: str) -> None:
        self._grace.pop(printer, None)
        for other, known in self._knows.items():
            if printer in known:
                known.discard(printer)
                if other.ready:
                    params = {"PRINTER": printer.name, "REASON": reason}
                    self._tell(other, "ROUTER_ON_DISCONNECTED", params)

    def _introduce(self, printer: Printer, other: Printer) -> None:
        if other not in self._knows[printer]:
            self._knows[printer].add(other)
            self._tell(printer, "ROUTER_ON_CONNECTED", {"PRINTER": other.name})

    def _others(self, printer: Printer) -> List[Printer]:
        return [p for p in self._printers if p is not printer and p.ready]

    def _tell(self, printer: Printer, macro: str, params: Mapping[str, object]) -> None:
        if macro in printer.commands:
            self._run(printer, command(macro, params, printer.old_parser))

    @staticmethod
    def _run(printer: Printer, script: str) -> None:
        def done(_result: Any, error: Optional[RouterError]) -> None:
            # The printer itself has shown the error on its console
            if error is not None:
                printer.log("did not run a macro: %s" % (error,))

        try:
            printer.run_script(script, done)
        except RouterError as e:
            printer.log("was not told: %s" % (e,))
