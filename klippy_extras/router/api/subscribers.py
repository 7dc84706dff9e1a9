# The subscriber of a request: macros of its caller, or the API client that sent it
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Mapping, Protocol

from ..errors import UsageError
from ..events.events import Events
from ..gcode.parameters import same_command
from ..printers.printer import Printer
from ..printers.receiver import Receiver
from ..status.subscriptions import Subscriptions
from .method_params import check_allowed, check_endpoint, macro_name, optional_text, text

Params = Mapping[str, Any]
# The printer with a name. Raises UsageError.
Find = Callable[[str], Printer]
IsSelected = Callable[[Receiver], bool]


class Subscriber(Protocol):
    """Makes the receivers of a request from its parameters. Its methods raise UsageError."""

    def event_receiver(self, event: str, params: Params) -> Receiver:
        """The receiver for router/event/subscribe. Raises NotAllowed."""

    def status_receiver(self, target: Printer, params: Params) -> Receiver:
        """The receiver for router/objects/subscribe."""

    def selected_by(self, params: Params, name: str) -> IsSelected:
        """Selects the receivers that a request unsubscribes. name: the parameter with G-code."""


class Macros:
    """The macros of a printer: status callbacks, and event handlers (G-code or endpoints)."""

    def __init__(
        self, caller: Printer, find: Find, events: Events, subscriptions: Subscriptions
    ) -> None:
        self._caller, self._find = caller, find
        self._events, self._subscriptions = events, subscriptions

    def event_receiver(self, event: str, params: Params) -> Receiver:
        caller = self._caller
        gcode = text(params, "gcode")
        target = self._find(optional_text(params, "callback_target") or caller.name)
        kind = optional_text(params, "callback_type").lower() or "gcode"
        if kind not in ("gcode", "webhook"):
            raise UsageError("Invalid callback_type '%s': write gcode or webhook" % (kind,))
        if target is not caller:
            check_allowed(caller, "gcode", "a handler on another printer")
        if kind == "gcode":
            return self._events.gcode(caller, target, event, gcode)
        check_allowed(caller, "call", "a webhook handler")
        check_endpoint(caller, gcode, {})
        return self._events.endpoint(caller, target, event, gcode)

    def status_receiver(self, target: Printer, params: Params) -> Receiver:
        macro = macro_name(params)
        if not macro:
            raise UsageError("Missing parameter CALLBACK (gcode_callback)")
        return self._subscriptions.macro(self._caller, target, same_command(macro))

    def selected_by(self, params: Params, name: str) -> IsSelected:
        gcode = optional_text(params, name)
        return lambda receiver: (
            receiver.owner is self._caller and (not gcode or receiver.runs(gcode))
        )
