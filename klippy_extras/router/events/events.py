# Events between printers: handlers, triggering, retained and recent events
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ..errors import RouterError, UsageError
from ..printers.printer import Printer, PrinterListener
from ..printers.receiver import Event, Receiver
from .callbacks import EndpointCallback, GcodeCallback, Runs
from .reports import Reports

# Events kept for printer.router.events, the latest one of each name; the oldest is removed first
MAX_RECENT = 64
# Handlers of one printer, and of all API clients together
MAX_HANDLERS = 256


class Handler(NamedTuple):
    """A receiver of events. pattern: the name of an event, or a prefix followed by *."""

    pattern: str
    receiver: Receiver

    def matches(self, event: str) -> bool:
        """Whether it is for an event of this name."""
        if self.pattern.endswith("*"):
            return event.startswith(self.pattern[:-1])
        return self.pattern == event


class Events(PrinterListener):
    """All event handlers. now: the time, in seconds of this printer's reactor."""

    def __init__(self, reports: Reports, now: Callable[[], float]) -> None:
        self._runs, self.now = Runs(reports), now
        self._handlers: List[Handler] = []
        self._retained: Dict[str, Event] = {}
        self.recent: Dict[str, Dict[str, Any]] = {}

    @property
    def count(self) -> int:
        """The number of handlers."""
        return len(self._handlers)

    def count_of(self, printer: Printer) -> int:
        """The number of handlers that belong to this printer."""
        return sum(handler.receiver.owner is printer for handler in self._handlers)

    def gcode(self, owner: Printer, target: Printer, pattern: str, gcode: str) -> Receiver:
        """G-code on the target as a receiver of events.

        Raises UsageError for a template that cannot be used.
        """
        return GcodeCallback(owner, target, pattern, gcode, self._runs)

    def endpoint(self, owner: Printer, target: Printer, pattern: str, endpoint: str) -> Receiver:
        """An endpoint of the target's API as a receiver of events."""
        return EndpointCallback(owner, target, pattern, endpoint, self._runs)

    def subscribe(self, pattern: str, receiver: Receiver) -> None:
        """Notify the receiver whenever a matching event is triggered, and of retained ones now.

        If an equal receiver is already subscribed, that one is notified instead. Raises UsageError
        if there are too many handlers.
        """
        handler = Handler(pattern, receiver)
        if handler in self._handlers:
            handler = self._handlers[self._handlers.index(handler)]
        else:
            self._check_bound(receiver)
            self._handlers.append(handler)
        for event in self._retained.values():
            if handler.matches(event.name):
                handler.receiver.retained(event)

    def unsubscribe(self, pattern: str, is_selected: Callable[[Receiver], bool]) -> int:
        """Remove the handlers with this pattern and these receivers. Returns their number."""
        return self._remove(lambda h: h.pattern == pattern and is_selected(h.receiver))

    def trigger(self, event: Event) -> Dict[str, Any]:
        """Notify the receiver of every handler of the event, in the order they were made.

        Returns {"delivered": [printer names], "failed": {name: reason}}. Raises UsageError, and
        does nothing, if too many events are retained.
        """
        if event.retain:
            self._retain(event)
        self._remember(event)
        delivered: Dict[str, None] = {}
        failed: Dict[str, str] = {}
        for handler in [h for h in self._handlers if h.matches(event.name)]:
            target = handler.receiver.target
            name = "" if target is None else target.name
            try:
                handler.receiver.event(event)
                delivered[name] = None
            except RouterError as e:
                failed[name] = str(e)
        return {"delivered": list(filter(None, delivered)), "failed": failed}

    def targets(self, name: str) -> List[Optional[Printer]]:
        """The printers that have handlers of this event; None for an API client or a wait."""
        return [h.receiver.target for h in self._handlers if h.matches(name)]

    def retained(self, name: str) -> Optional[Event]:
        """The retained event of this name."""
        return self._retained.get(name)

    def prune(self) -> None:
        """Remove the handlers of disconnected API clients and of waits that have ended."""
        self._remove(lambda h: h.receiver.closed)

    def klippy_restarted(self, printer: Printer) -> None:
        self._remove(lambda h: h.receiver.owner is printer)
        for handler in self._handlers:
            if handler.receiver.target is printer:
                handler.receiver.target_restarted()

    def _check_bound(self, receiver: Receiver) -> None:
        owner = receiver.owner
        if sum(h.receiver.owner is owner for h in self._handlers) < MAX_HANDLERS:
            return
        if owner is None:
            raise UsageError("API clients have %d event handlers already" % (MAX_HANDLERS,))
        raise UsageError(
            "%s has %d event handlers already: remove one with ROUTER_EVENT_UNSUBSCRIBE"
            % (owner.name, MAX_HANDLERS)
        )

    def _remember(self, event: Event) -> None:
        recent = {name: entry for name, entry in self.recent.items() if name != event.name}
        if len(recent) >= MAX_RECENT:
            del recent[next(iter(recent))]
        recent[event.name] = {
            "context": event.context,
            "source": event.caller.name,
            "eventtime": event.time,
        }
        # A new dict, because Klipper finds a change by comparing with what it got last
        self.recent = recent

    def _retain(self, event: Event) -> None:
        if event.name not in self._retained and len(self._retained) >= MAX_RECENT:
            raise UsageError(
                "Cannot retain '%s': %d events are already retained" % (event.name, MAX_RECENT)
            )
        self._retained[event.name] = event

    def _remove(self, is_selected: Callable[[Handler], bool]) -> int:
        removed = [handler for handler in self._handlers if is_selected(handler)]
        self._handlers = [handler for handler in self._handlers if not is_selected(handler)]
        for handler in removed:
            handler.receiver.ended()
        return len(removed)
