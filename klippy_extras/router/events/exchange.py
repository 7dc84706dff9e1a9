# Exchanges events with peers that have a router themselves
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Each router is an API client of the other: it subscribes to all events there, and triggers here
# what it receives. An event that came from another router is not sent to any router
# (api/webhooks.py, ApiClient), so it reaches the handlers of both exactly once.
from typing import Any, Dict, Set

from ..errors import RouterError
from ..printers.peer_methods import EXCHANGE_METHOD, SUBSCRIBE_ENDPOINT
from ..printers.printer import Failure, Printer, PrinterListener
from ..printers.receiver import Event
from ..sanitize import plain, printable
from .events import Events


class Exchange(PrinterListener):
    """Triggers here what other routers trigger. A listener of the peers."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._subscribing: Set[Printer] = set()  # have not answered yet: they send retained events

    def became_ready(self, printer: Printer) -> None:
        if not printer.has_router or (printer.allow is not None and "event" not in printer.allow):
            return
        self._subscribing.add(printer)
        params = {"event": "*", "response_template": {"method": EXCHANGE_METHOD}}
        try:
            printer.call_endpoint(SUBSCRIBE_ENDPOINT, params, _Subscribed(self, printer).done)
        except RouterError as e:
            self.subscribed(printer, e)

    def subscribed(self, printer: Printer, error: Failure) -> None:
        """Its router has answered: from now on it sends events as they are triggered."""
        self._subscribing.discard(printer)
        if error is not None:
            printer.log("does not send its events: %s" % (error,))

    def received(self, printer: Printer, params: Dict[str, Any]) -> None:
        """The router of this peer has sent an event."""
        try:
            event = self._read(printer, plain(params))
            if printer not in self._subscribing or self._is_news(event):
                self._events.trigger(event)
        except (RouterError, ValueError) as e:
            printer.log("sent an event that was not triggered: %s" % (printable(e),))

    def _read(self, printer: Printer, params: Dict[str, Any]) -> Event:
        """Raises ValueError."""
        name, context, age = (params.get(key) for key in ("event", "context", "age"))
        if type(name) is not str or not name or type(context) is not dict:
            raise ValueError("malformed")
        time = self._events.now() - (max(0.0, age) if type(age) is float else 0.0)
        return Event(name, context, printer, time, bool(params.get("retain")))

    def _is_news(self, event: Event) -> bool:
        """Whether this retained event is not the one that is retained here, or a later one."""
        kept = self._events.retained(event.name)
        return kept is None or (event.context != kept.context and event.time > kept.time)


class _Subscribed:
    """The answer of one router."""

    def __init__(self, exchange: Exchange, printer: Printer) -> None:
        self._exchange, self._printer = exchange, printer

    def done(self, _result: Any, error: Failure) -> None:
        self._exchange.subscribed(self._printer, error)
