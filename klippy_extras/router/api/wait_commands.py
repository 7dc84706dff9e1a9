# The commands of this printer that wait, and what a failed wait means to the macro
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import math
from typing import Any, Mapping

from ..errors import NotAllowed, RouterError, UsageError
from ..events.events import Events
from ..events.reports import Reports
from ..klippy.klippy import Klippy
from ..printers.printer import Printer
from ..status.subscriptions import Subscriptions
from .method_params import check_event
from .methods import Methods, Request
from .status_waits import CONDITIONS, FreshWait, StatusWait, condition_of
from .waits import EventWait, ScriptWait, Wait, Waits

_ON_ERROR = ("raise", "pause", "warn")
# Seconds that a wait lasts at most, where the command does not say
DEFAULT_TIMEOUT = 60.0


class WaitCommands:
    """printer: this one, whose macros wait."""

    def __init__(
        self,
        klippy: Klippy,
        methods: Methods,
        reports: Reports,
        waits: Waits,
        subscriptions: Subscriptions,
        events: Events,
        printer: Printer,
    ) -> None:
        self._klippy, self._methods, self._reports = klippy, methods, reports
        self._waits, self._subscriptions, self._events = waits, subscriptions, events
        self._printer = printer

    def wait_for_script(self, gcmd: Any, params: Mapping[str, Any]) -> None:
        """ROUTER_GCODE_SCRIPT with WAIT=1 or WAIT_EVENT=; params: of router/gcode/script."""
        has_event = gcmd.get("WAIT_EVENT", None) is not None
        event = self._event(gcmd, "WAIT_EVENT") if has_event else ""

        def request(wait: ScriptWait) -> None:
            self._methods.call(
                "router/gcode/script",
                Request(self._printer, params, wait.answered, follow=wait.follow),
            )

        self._wait(gcmd, ScriptWait(self._klippy, self._events, event, request))

    cmd_ROUTER_EVENT_WAIT_help = "Wait until an event is triggered"

    def cmd_ROUTER_EVENT_WAIT(self, gcmd: Any) -> None:
        event = self._event(gcmd, "EVENT")
        self._wait(gcmd, EventWait(self._klippy, self._events, event))

    cmd_ROUTER_OBJECTS_WAIT_help = "Wait until a field of an object of a printer has a value"

    def cmd_ROUTER_OBJECTS_WAIT(self, gcmd: Any) -> None:
        printer = self._printer_of(gcmd)
        params = gcmd.get_command_parameters()
        if not any(name in params for name in ("OBJECT", "FIELD", *CONDITIONS)):
            self._wait(gcmd, FreshWait(self._klippy, printer))
            return
        name, field = gcmd.get("OBJECT"), gcmd.get("FIELD")
        try:
            condition = condition_of(params)
        except ValueError:
            raise gcmd.error(
                "Error on '%s': write EQUALS= or NOT_EQUALS= with a value, or MINIMUM= or MAXIMUM="
                " with a number" % (gcmd.get_commandline(),)
            ) from None
        self._wait(
            gcmd,
            StatusWait(self._klippy, self._subscriptions, printer, name, field, condition),
        )

    @staticmethod
    def _event(gcmd: Any, parameter: str) -> str:
        event: str = gcmd.get(parameter)
        try:
            check_event(event)
        except UsageError as e:
            raise gcmd.error(str(e)) from None
        return event

    def _printer_of(self, gcmd: Any) -> Printer:
        try:
            return self._methods.printer(gcmd.get("TARGET"))
        except UsageError as e:
            raise gcmd.error(str(e)) from None

    @staticmethod
    def _timeout(gcmd: Any) -> float:
        timeout: float = gcmd.get_float("TIMEOUT", DEFAULT_TIMEOUT, above=0.0)
        if not math.isfinite(timeout):
            raise gcmd.error(
                "Error on '%s': TIMEOUT must be a number of seconds" % (gcmd.get_commandline(),)
            )
        return timeout

    def _wait(self, gcmd: Any, wait: Wait) -> None:
        """Wait in place; what a failure means says ON_ERROR.

        After it last_error is the error of this wait, or empty.
        """
        on_error = gcmd.get("ON_ERROR", "raise").lower()
        if on_error not in _ON_ERROR:
            raise gcmd.error("Invalid ON_ERROR '%s': write raise, pause or warn" % (on_error,))
        timeout = self._timeout(gcmd)
        try:
            self._waits.run(wait, timeout)
            self._reports.last_error = ""
        except (UsageError, NotAllowed) as e:
            raise gcmd.error(str(e)) from None
        except RouterError as e:
            message = self._reports.last_error = str(e)
            if on_error == "raise" or (on_error == "pause" and not self._klippy.can_pause):
                raise gcmd.error(message) from None
            target = gcmd.get("TARGET", "")
            self._reports.in_place(self._printer, gcmd.get_command(), target, message)
            if on_error == "pause":
                try:
                    self._klippy.pause_print()
                except RouterError as pause_error:
                    raise gcmd.error("%s (%s)" % (message, pause_error)) from None
            # ROUTER_ON_ERROR or PAUSE may have waited for something, too
            self._reports.last_error = message
