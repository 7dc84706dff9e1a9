# Notifying a printer that something it asked for has failed: remote calls have no answer in Klipper
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict, Mapping, Optional, Set

from ..errors import RouterError
from ..gcode.parameters import command
from ..klippy.klippy import Klippy
from ..printers.printer import Job, Printer
from ..rates import Repeats
from ..sanitize import counted, printable

ERROR_MACRO = "ROUTER_ON_ERROR"
# Seconds until it is said how many reports were left out
SUMMARY_DELAY = 5.0

# Called with the name of a target, or "", and the error, when something has failed
Report = Callable[[str, RouterError], None]


class Reports:
    """Errors go to the caller: by its macro ROUTER_ON_ERROR, else by one line on its console.

    At a bounded rate. What fails inside of ROUTER_ON_ERROR is printed, and never makes it run
    again: it would fail again.
    """

    def __init__(self, klippy: Klippy) -> None:
        self._klippy = klippy
        self.last_error = ""
        self._repeats: Dict[Printer, Repeats] = {}
        self._summary_due = False
        self._in_macro: Set[Printer] = set()  # those that run ROUTER_ON_ERROR now

    def begin(self, caller: Printer, method: str) -> Report:
        """Something begins for this caller that may fail later: how it is reported then."""
        in_macro = caller in self._in_macro

        def report(target: str, error: RouterError) -> None:
            self._failed(caller, method, target, error, in_macro)

        return report

    def in_place(self, printer: Printer, command_name: str, target: str, message: str) -> None:
        """A command of this printer's own G-code has failed, and the G-code goes on.

        ROUTER_ON_ERROR runs before its next command, not behind all of it. May pause.
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
        """One line on its console: nothing has failed."""
        self._print(caller, printable(message))

    @staticmethod
    def undelivered(report: Report, failed: Mapping[str, str]) -> None:
        """Report which printers did not get an event, or failed at a script: {name: reason}."""
        for target, reason in failed.items():
            report(target, RouterError(reason))

    def _failed(
        self, caller: Printer, method: str, target: str, error: RouterError, in_macro: bool
    ) -> None:
        message = self.last_error = printable(error)
        repeats = self._repeats.get(caller)
        if repeats is None:
            repeats = self._repeats[caller] = Repeats(self._klippy.timers.now)
        if not repeats.take((method, target, message)):
            self._expect_summary()
        elif ERROR_MACRO in caller.commands and not in_macro:
            self._run_macro(caller, {"METHOD": method, "TARGET": target, "MESSAGE": message})
        else:
            self._print(caller, message)

    def _run_macro(self, caller: Printer, params: Mapping[str, object]) -> None:
        script = command(ERROR_MACRO, params, caller.old_parser)
        self._submit(caller, script, is_macro=True)

    def _print(self, caller: Printer, message: str) -> None:
        if caller.is_local:
            self._klippy.report(message)
            return
        if "RESPOND" in caller.commands:
            params = {"TYPE": "command", "MSG": "Router: %s" % (message,)}
            script = command("RESPOND", params, caller.old_parser)
        else:
            # Of the commands that every Klippy has, the one that prints
            script = command("ECHO", {"ROUTER_ERROR": message}, caller.old_parser)
        self._submit(caller, script, is_macro=False)

    def _submit(self, caller: Printer, script: str, is_macro: bool) -> None:
        def render() -> str:
            if is_macro:
                self._in_macro.add(caller)
            return script

        def done(_result: Any, error: Optional[RouterError]) -> None:
            if is_macro:
                self._in_macro.discard(caller)
            # A report about a failed report would never end
            if error is not None:
                caller.log("was not notified: %s (%s)" % (script, error))

        try:
            caller.submit(Job(render, done))
        except RouterError as e:
            caller.log("was not notified: %s (%s)" % (script, e))

    # -- what was left out

    def _expect_summary(self) -> None:
        if not self._summary_due:
            self._summary_due = True
            self._klippy.timers.after(SUMMARY_DELAY, self._print_summary)

    def _print_summary(self) -> None:
        self._summary_due = False
        for caller, repeats in self._repeats.items():
            for kind, count in repeats.take_left_out():
                if kind is None:
                    self._print(caller, counted(count, "more error") + " left out")
                else:
                    self._print(caller, "%s (%d more like this left out)" % (kind[2], count))
