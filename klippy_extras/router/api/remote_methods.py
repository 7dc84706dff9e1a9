# Front door for macros: action_call_remote_method("router/...") of peers and of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict

from ..diagnosis.echo import ECHO_METHOD, Echoes
from ..errors import RouterError, UsageError
from ..events.reports import Reports
from ..klippy.klippy import Klippy
from ..printers.printer import Failure, Printer, PrinterListener
from ..sanitize import plain, printable
from .methods import Methods, Request
from .target_lists import failures

# Types of the parameters of a call that holds nothing but text
_TEXT_ONLY = frozenset([str])


class RemoteMethods(PrinterListener):
    """A remote call has no answer: results go to gcode_callback, errors to reports."""

    def __init__(self, methods: Methods, reports: Reports, echoes: Echoes) -> None:
        self._methods, self._reports, self._echoes = methods, reports, echoes
        # What peers have registered: every method, and the answer to our test of the way
        self.names = [*methods.names, ECHO_METHOD]

    def register_on(self, klippy: Klippy, printer: Printer) -> None:
        """Serve the macros of this printer as those of a peer."""
        for name in self._methods.names:
            klippy.register_remote_method(
                name, lambda message: self.called(printer, message["method"], message["params"])
            )

    def called(self, caller: Printer, method: str, params: Dict[str, Any]) -> None:
        """A printer called a method. Never pauses."""
        if method == ECHO_METHOD:
            self._echoes.received(caller, params)
            return
        report = self._reports.begin(caller, method)

        def done(result: Any, error: Failure) -> None:
            if error is not None:
                report.failed(printable(params.get("target", "")), error)
            else:
                report.undelivered(failures(method, result))

        try:
            # A macro can pass whatever Jinja knows, and go on changing it, and a peer what is too
            # deep or too large a number; text of a peer is plain since it was decoded
            if caller.is_local or set(map(type, params.values())) != _TEXT_ONLY:
                params = plain(params)
            self._methods.call(method, Request(caller, params, done))
        except RouterError as e:
            done(None, e)
        except ValueError as e:
            done(None, UsageError("Malformed parameters: %s" % (e,)))

    def call_skipped(self, printer: Printer, method: str, error: RouterError) -> None:
        self._reports.begin(printer, method).failed("", error)
