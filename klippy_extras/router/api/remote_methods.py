# Remote methods: action_call_remote_method("router/...") in macros of peers and of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict

from ..diagnosis.echo import ECHO_METHOD, Echoes
from ..errors import RouterError, UsageError
from ..events.exchange import Exchange
from ..events.reports import Report, Reports
from ..klippy.klippy import Klippy
from ..printers.link import peer_pid
from ..printers.local_printer import LocalPrinter
from ..printers.peer_methods import EXCHANGE_METHOD, PeerMethods
from ..printers.printer import Failure, Printer, PrinterListener
from ..sanitize import plain, printable
from ..settings import PeerSettings
from .methods import Methods, Request
from .target_lists import failures


class _Call:
    """One call of a method. As it has no answer, errors are reported to the caller."""

    def __init__(self, report: Report, params: Dict[str, Any]) -> None:
        self._report, self._params = report, params

    def run(self, methods: Methods) -> None:
        """Never pauses."""
        caller, method = self._report.caller, self._report.method
        try:
            if caller.is_local:
                # A macro can pass any object of Jinja and change it later
                self._params = plain(self._params)
            methods.call(method, Request(caller, self._params, self._done))
        except RouterError as e:
            self._done(None, e)
        except ValueError as e:
            self._done(None, UsageError("Malformed parameters: %s" % (e,)))

    def _done(self, result: Any, error: Failure) -> None:
        if error is not None:
            target = self._params.get("target")
            self._report.failed(printable(target) if isinstance(target, str) else "", error)
        else:
            self._report.undelivered(failures(self._report.method, result))


class RemoteMethods(PrinterListener):
    """The methods that macros call with action_call_remote_method.

    A remote call has no answer: results go to gcode_callback, errors are reported.
    """

    def __init__(
        self,
        klippy: Klippy,
        local: LocalPrinter,
        methods: Methods,
        reports: Reports,
        echoes: Echoes,
        exchange: Exchange,
    ) -> None:
        self._klippy, self._local = klippy, local
        self._methods, self._reports = methods, reports
        self._echoes, self._exchange = echoes, exchange

    def for_peer(self, peer: PeerSettings) -> PeerMethods:
        """What is registered on a peer: every method, the echo test's, and those relayed to it."""
        own = [*self._methods.names, ECHO_METHOD] if peer.accept_calls else []
        return PeerMethods(own, peer.relay_methods)

    def register_here(self) -> None:
        """Offer the methods to this printer's own macros, as to those of a peer."""
        for name in self._methods.names:
            self._klippy.register_remote_method(
                name, lambda message: self.called(self._local, message["method"], message["params"])
            )

    def called(self, caller: Printer, method: str, params: Dict[str, Any]) -> None:
        """A printer called a method. Never pauses."""
        if method == ECHO_METHOD:
            self._echoes.received(caller, params)
            return
        if method == EXCHANGE_METHOD:
            self._exchange.received(caller, params)
            return
        report = self._reports.begin(caller, method)
        if method in self._methods.names:
            _Call(report, params).run(self._methods)
        else:
            self._relay(report, params)

    def call_skipped(self, printer: Printer, method: str, error: RouterError) -> None:
        self._reports.begin(printer, method).failed("", error)

    def _relay(self, report: Report, params: Dict[str, Any]) -> None:
        """Call a remote method of this printer for a peer that was offered it."""
        local = self._local
        try:
            self._check_direction(report.caller, report.method)
            self._klippy.call_remote_method(report.method, plain(params))
        except RouterError as e:
            report.failed(local.name, local.named(e))
        except ValueError as e:
            report.failed(local.name, UsageError("Malformed parameters: %s" % (e,)))

    def _check_direction(self, caller: Printer, method: str) -> None:
        """Raises UsageError if the caller has a router that relays the method back to it."""
        if caller.klippy_pid is None:
            return
        receivers = self._klippy.other_clients(lambda name: name == method)
        if caller.klippy_pid in map(peer_pid, receivers):
            raise UsageError(
                "'%s' is in option 'relay_methods' of %s and of %s: remove it from one of them, or"
                " a call would never end" % (method, self._local.name, caller.name)
            )
