# Telling a printer that something it asked for has failed: remote calls have no answer in Klipper
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Mapping, Optional

from .errors import RouterError
from .gcode_params import command
from .plain import printable
from .printer import Printer

ERROR_MACRO = "ROUTER_ON_ERROR"


class Reports:
    """console: prints one error line of the router on this printer's own console."""

    def __init__(self, console: Callable[[str], None]) -> None:
        self._console = console
        self.last_error = ""

    def undelivered(self, caller: Printer, failed: Mapping[str, str]) -> None:
        """Tell who triggered an event which printers did not get it: {name: reason}."""
        for target, reason in failed.items():
            self.failed(caller, "router/event/trigger", target, RouterError(reason))

    def failed(self, caller: Printer, method: str, target: str, error: RouterError) -> None:
        """Tell the caller: by its macro ROUTER_ON_ERROR, else by one line on its console.

        target: the name of a printer, or "" where the request has none.
        """
        message = printable(error)
        self.last_error = message

        def done(_result: Any, error: Optional[RouterError]) -> None:
            # A report about a failed report would never end
            if error is not None:
                caller.log("could not be told: %s (%s)" % (message, error))

        if ERROR_MACRO in caller.commands:
            params = {"METHOD": method, "TARGET": target, "MESSAGE": message}
            script = command(ERROR_MACRO, params, caller.old_parser)
        elif caller.is_local:
            self._console(message)
            return
        elif "RESPOND" in caller.commands:
            params = {"TYPE": "command", "MSG": "Router: %s" % (message,)}
            script = command("RESPOND", params, caller.old_parser)
        else:
            # Of the commands that every Klippy has, the one that prints
            script = command("ECHO", {"ROUTER_ERROR": message}, caller.old_parser)
        try:
            caller.run_script(script, done)
        except RouterError as e:
            caller.log("could not be told: %s (%s)" % (message, e))
