# Reports errors to the printer whose request failed, as Klipper's remote methods have no answer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from functools import partial
from typing import Any, Dict, Mapping, Set

from ..errors import RouterError
from ..gcode.parameters import command
from ..klippy.klippy import Klippy
from ..printers.printer import Failure, Job, Printer
from ..rates import Repeats
from ..sanitize import counted, printable

ERROR_MACRO = "ROUTER_ON_ERROR"
# Seconds until the number of reports that were left out is printed
SUMMARY_DELAY = 5.0


class Report:
    """Reports errors of something that a caller has begun."""

    def __init__(self, reports: "Reports", caller: Printer, method: str, in_macro: bool) -> None:
        self.caller, self.method = caller, method
        self.in_macro = in_macro  # begun by the caller's ROUTER_ON_ERROR
        self._reports = reports

    def failed(self, target: str, error: RouterError) -> None:
        """It has failed. target: the name of the printer that it was meant for, or empty."""
        self._reports.failed(self, target, error)

    def undelivered(self, failed: Mapping[str, str]) -> None:
        """Some printers did not get an event, or a script failed there: {name: reason}."""
        for target, reason in failed.items():
            self.failed(target, RouterError(reason))


class _Notification:
    """A script that notifies a caller of an error."""

    def __init__(self, caller: Printer, script: str) -> None:
        self._caller, self._script = caller, script

    def submit(self) -> None:
        try:
            self._caller.submit(Job(self._text, self._done))
        except RouterError as e:
            self._not_notified(e)

    def _text(self) -> str:
        return self._script

    def _done(self, _result: Any, error: Failure) -> None:
        if error is not None:
            self._not_notified(error)

    def _not_notified(self, error: RouterError) -> None:
        # Only logged: reporting a failed report would never end
        self._caller.log("was not notified: %s (%s)" % (self._script, error))


class _ErrorMacro(_Notification):
    """ROUTER_ON_ERROR of a caller. running: the printers that are running theirs."""

    def __init__(
        self, caller: Printer, params: Mapping[str, object], running: Set[Printer]
    ) -> None:
        super().__init__(caller, command(ERROR_MACRO, params, caller.old_parser))
        self._running = running

    def _text(self) -> str:
        self._running.add(self._caller)
        return super()._text()

    def _done(self, result: Any, error: Failure) -> None:
        self._running.discard(self._caller)
        super()._done(result, error)


class Reports:
    """Reports errors to their callers: runs ROUTER_ON_ERROR, or prints a line on the console.

    At a limited rate. An error within ROUTER_ON_ERROR is printed and does not run it again: it
    would fail again.
    """

    def __init__(self, klippy: Klippy) -> None:
        self._klippy = klippy
        self.last_error = ""
        self._repeats: Dict[Printer, Repeats] = {}
        self._summary_due = False
        self._in_macro: Set[Printer] = set()  # those that are running ROUTER_ON_ERROR

    def begin(self, caller: Printer, method: str) -> Report:
        """The report for something that this caller begins, and that may fail later."""
        return Report(self, caller, method, caller in self._in_macro)

    def in_place(self, printer: Printer, command_name: str, target: str, message: str) -> None:
        """A command in this printer's own G-code has failed, and the G-code continues.

        ROUTER_ON_ERROR runs before its next command, not after all of it. May pause.
        """
        if ERROR_MACRO not in printer.commands or printer in self._in_macro:
            self._klippy.report(message)
            return
        params = {"METHOD": command_name, "TARGET": target, "MESSAGE": message}
        self._in_macro.add(printer)
        try:
            self._klippy.run_script_here(command(ERROR_MACRO, params, printer.old_parser))
        except RouterError as e:
            printer.log("was not notified: %s (%s)" % (message, e))
        finally:
            self._in_macro.discard(printer)

    def warn(self, caller: Printer, message: str) -> None:
        """Print a line on its console, although nothing has failed."""
        self._print(caller, printable(message))

    def failed(self, report: Report, target: str, error: RouterError) -> None:
        """Report this error to the caller, unless it got too many."""
        caller, method = report.caller, report.method
        message = self.last_error = printable(error)
        repeats = self._repeats.get(caller)
        if repeats is None:
            repeats = self._repeats[caller] = Repeats(self._klippy.timers.now)
        if not repeats.take((method, target, message)):
            self._expect_summary()
        elif ERROR_MACRO in caller.commands and not report.in_macro:
            params = {"METHOD": method, "TARGET": target, "MESSAGE": message}
            _ErrorMacro(caller, params, self._in_macro).submit()
        else:
            self._print(caller, message)

    def _print(self, caller: Printer, message: str) -> None:
        if caller.is_local:
            self._klippy.report(message)
            return
        if "RESPOND" in caller.commands:
            params = {"TYPE": "command", "MSG": "Router: %s" % (message,)}
            script = command("RESPOND", params, caller.old_parser)
        else:
            # The only command of every Klippy that prints text
            script = command("ECHO", {"ROUTER_ERROR": message}, caller.old_parser)
        _Notification(caller, script).submit()

    # -- what was left out

    def _expect_summary(self) -> None:
        if not self._summary_due:
            self._summary_due = True
            self._klippy.timers.after(SUMMARY_DELAY, self._print_summary)

    def _print_summary(self) -> None:
        self._summary_due = False
        for caller, repeats in self._repeats.items():
            for kind, count in repeats.take_left_out():
                text = counted(count, "more error") + " left out"
                if kind is not None:
                    text = "%s (%d more like this left out)" % (kind[2], count)
                self._klippy.timers.soon(partial(self._print, caller, text))
