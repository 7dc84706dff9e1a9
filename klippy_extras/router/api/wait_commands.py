# The commands of this printer that wait, with their TIMEOUT and ON_ERROR
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import math
from typing import Any, Mapping

from ..errors import NotAllowed, RouterError, UsageError
from ..events.reports import Reports
from ..klippy.klippy import Klippy
from ..printers.printer import Printer
from .method_params import check_event
from .methods import Methods
from .script_waits import ScriptEventWait, ScriptWait
from .status_waits import CONDITIONS, Condition, FreshWait, StatusWait
from .waits import EventWait, Wait, Waits

_ON_ERROR = ("raise", "pause", "warn")
# Seconds after which a wait fails, unless the command has TIMEOUT
DEFAULT_TIMEOUT = 60.0


class WaitCommands:
    """The commands. Each raises RouterError. printer: this one, whose macros wait."""

    def __init__(
        self, klippy: Klippy, methods: Methods, reports: Reports, waits: Waits, printer: Printer
    ) -> None:
        self._klippy, self._methods, self._reports = klippy, methods, reports
        self._waits, self._printer = waits, printer

    def wait_for_script(self, gcmd: Any, params: Mapping[str, Any]) -> None:
        """ROUTER_GCODE_SCRIPT with WAIT=1 or WAIT_EVENT=; params: of router/gcode/script."""
        if gcmd.get("WAIT_EVENT", None) is None:
            self._wait(gcmd, ScriptWait(self._methods, self._printer, params))
        else:
            event = _event(gcmd, "WAIT_EVENT")
            self._wait(gcmd, ScriptEventWait(self._methods, self._printer, params, event))

    cmd_ROUTER_EVENT_WAIT_help = "Wait until an event is triggered"

    def cmd_ROUTER_EVENT_WAIT(self, gcmd: Any) -> None:
        self._wait(gcmd, EventWait(_event(gcmd, "EVENT")))

    cmd_ROUTER_OBJECTS_WAIT_help = "Wait until a field of an object of a printer has a value"

    def cmd_ROUTER_OBJECTS_WAIT(self, gcmd: Any) -> None:
        target = self._methods.printer(gcmd.get("TARGET"))
        params = gcmd.get_command_parameters()
        if not any(name in params for name in ("OBJECT", "FIELD", *CONDITIONS)):
            self._wait(gcmd, FreshWait(target))
            return
        name, field = gcmd.get("OBJECT"), gcmd.get("FIELD")
        try:
            condition = Condition(params)
        except ValueError:
            raise UsageError(
                "Error on '%s': write EQUALS= or NOT_EQUALS= with a value, or MINIMUM= or MAXIMUM="
                " with a number" % (gcmd.get_commandline(),)
            ) from None
        self._wait(gcmd, StatusWait(target, name, field, condition))

    def _wait(self, gcmd: Any, wait: Wait) -> None:
        """Wait in place; ON_ERROR says what a failure does.

        Afterwards, last_error is the error of this wait, or empty.
        """
        on_error = gcmd.get("ON_ERROR", "raise").lower()
        if on_error not in _ON_ERROR:
            raise UsageError("Invalid ON_ERROR '%s': write raise, pause or warn" % (on_error,))
        timeout = _timeout(gcmd)
        try:
            self._waits.run(wait, timeout)
            self._reports.last_error = ""
        except (UsageError, NotAllowed):
            raise
        except RouterError as e:
            self._reports.last_error = str(e)
            if on_error == "raise" or (on_error == "pause" and not self._klippy.can_pause):
                raise
            self._continue(gcmd, on_error, str(e))

    def _continue(self, gcmd: Any, on_error: str, message: str) -> None:
        """Report the failed wait, and let the macro continue, after PAUSE if on_error says so."""
        target = gcmd.get("TARGET", "")
        self._reports.in_place(self._printer, gcmd.get_command(), target, message)
        if on_error == "pause":
            try:
                self._klippy.pause_print()
            except RouterError as e:
                raise RouterError("%s (%s)" % (message, e)) from None
        # ROUTER_ON_ERROR or PAUSE may have waited for something, too
        self._reports.last_error = message


def _event(gcmd: Any, parameter: str) -> str:
    event: str = gcmd.get(parameter)
    check_event(event)
    return event


def _timeout(gcmd: Any) -> float:
    timeout: float = gcmd.get_float("TIMEOUT", DEFAULT_TIMEOUT, above=0.0)
    if not math.isfinite(timeout):
        raise UsageError(
            "Error on '%s': TIMEOUT must be a number of seconds" % (gcmd.get_commandline(),)
        )
    return timeout
