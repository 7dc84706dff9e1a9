# Events between printers: handlers, triggering, retained and recent events
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Protocol, Set, Tuple

from ..errors import LinkLost, NotReady, RouterError, UsageError
from ..gcode.parameters import same_command
from ..gcode.templates import Template
from ..printers.printer import Job, Printer, PrinterListener, is_stream

# Names of which the latest event is kept for printer.router.events, the oldest first out
MAX_RECENT = 64
# Handlers that one printer may have
MAX_HANDLERS = 256

Context = Dict[str, Any]
HandlerKey = Tuple[Printer, str, str, Printer, str]
# (target, error): a handler failed after the event was delivered
Report = Callable[[str, RouterError], None]


class Client(Protocol):
    """Where events go that no G-code gets: an API client's connection, for example."""

    @property
    def closed(self) -> bool: ...

    def event(self, event: str, context: Context, source: str) -> None:
        """An event was triggered."""


class _State:
    """What becomes of a handler, also when an equal one takes its place."""

    def __init__(self) -> None:
        self.removed = False
        self.has: Set[str] = set()  # names of retained events of which it has got the latest


class Handler(NamedTuple):
    """What happens on an event. Equal key: the newer one takes the place of the older."""

    owner: Printer
    event: str  # or a prefix of events, ending in *
    gcode: str  # with kind webhook: an API endpoint of the target
    target: Printer
    kind: str  # gcode, webhook
    template: Optional[Template]
    state: _State

    @property
    def key(self) -> HandlerKey:
        return self[:5]

    def runs(self, gcode: str) -> bool:
        """Whether this is what it runs, or the endpoint that it calls."""
        return self.gcode == (gcode if self.template is None else same_command(gcode))


class _ClientHandler(NamedTuple):
    event: str
    client: Client


class _Delivery:
    """One run of a handler for one event.

    retained: the name of the event, if it is retained. running: the deliveries that run now, by the
    key of their handler. cause: the one that has triggered this one, if a handler triggers itself.
    Should it fail, it would go on doing so.
    """

    def __init__(
        self,
        handler: Handler,
        context: Context,
        retained: Optional[str],
        report: Report,
        running: "Dict[HandlerKey, _Delivery]",
        cause: "Optional[_Delivery]",
    ) -> None:
        self._handler, self._context, self._report = handler, context, report
        self._retained = retained
        self._running, self._cause = running, cause
        self._failed = False

    def render(self) -> str:
        handler = self._handler
        assert handler.template is not None
        if handler.state.removed:
            return ""
        if self._cause is not None and self._cause._failed:
            raise RouterError(
                "%s: handler '%s' of event '%s' triggered itself and failed: not run again"
                % (handler.target.name, handler.gcode, handler.event)
            )
        self._running[handler.key] = self
        return handler.template.render(self._context, handler.target.old_parser)

    def done(self, _result: Any, error: Optional[RouterError]) -> None:
        self._cause = None
        if self._running.get(self._handler.key) is self:
            del self._running[self._handler.key]
        if error is not None:
            self._failed = True
            if self._retained is not None and isinstance(error, (NotReady, LinkLost)):
                self._handler.state.has.discard(self._retained)
            self._report(self._handler.target.name, error)


def _matches(pattern: str, event: str) -> bool:
    if pattern.endswith("*"):
        return event.startswith(pattern[:-1])
    return pattern == event


class Events(PrinterListener):
    """All event handlers. begin: notified of a caller's event, returns what reports failures."""

    def __init__(self, begin: Callable[[Printer], Report], monotonic: Callable[[], float]) -> None:
        self._begin, self._monotonic = begin, monotonic
        self._handlers: List[Handler] = []
        self._clients: List[_ClientHandler] = []
        self._running: Dict[HandlerKey, _Delivery] = {}
        self._retained: Dict[str, Tuple[Context, str]] = {}
        self.recent: Dict[str, Dict[str, Any]] = {}

    @property
    def count(self) -> int:
        """The number of handlers."""
        return len(self._handlers) + len(self._clients)

    def count_of(self, printer: Printer) -> int:
        """The number of handlers that this printer has made."""
        return sum(handler.owner is printer for handler in self._handlers)

    def subscribe(self, owner: Printer, event: str, gcode: str, target: Printer, kind: str) -> None:
        """Run gcode on the target (or call its endpoint) whenever the event is triggered.

        Raises UsageError for a template that cannot be used, or too many handlers.
        """
        template = Template(gcode) if kind == "gcode" else None
        if kind == "gcode":
            gcode = same_command(gcode)
        handler = Handler(owner, event, gcode, target, kind, template, _State())
        for i, known in enumerate(self._handlers):
            if known.key == handler.key:
                handler = self._handlers[i] = handler._replace(state=known.state)
                break
        else:
            if sum(h.owner is owner for h in self._handlers) >= MAX_HANDLERS:
                raise UsageError(
                    "%s has %d event handlers already: remove one with ROUTER_EVENT_UNSUBSCRIBE"
                    % (owner.name, MAX_HANDLERS)
                )
            self._handlers.append(handler)
        for name, (context, _source) in self._retained.items():
            if _matches(event, name) and name not in handler.state.has:
                try:
                    self._deliver(handler, name, context, owner, True)
                except RouterError as e:
                    handler.state.has.discard(name)
                    self._begin(owner)(target.name, e)

    def subscribe_client(self, event: str, client: Client, retained: bool) -> None:
        """Tell a client whenever the event is triggered, until it is closed.

        retained: also, now, of the events that were retained. An equal client that listens to the
        event already is replaced.
        """
        self.unsubscribe_client(event, client)
        if len(self._clients) >= MAX_HANDLERS:
            raise UsageError("API clients have %d event handlers already" % (MAX_HANDLERS,))
        self._clients.append(_ClientHandler(event, client))
        if not retained:
            return
        for name, (context, source) in self._retained.items():
            if _matches(event, name):
                client.event(name, context, source)

    def unsubscribe_client(self, event: str, client: Client) -> int:
        """Tell this client no more of the event. Returns how often it was told (0 or 1)."""
        before = len(self._clients)
        self._clients = [c for c in self._clients if (c.event, c.client) != (event, client)]
        return before - len(self._clients)

    def unsubscribe(self, owner: Printer, event: str, gcode: Optional[str]) -> int:
        """Forget the owner's handlers of an event: all, or those with this gcode. How many?"""
        return self._remove(
            lambda h: h.owner is owner and h.event == event and (gcode is None or h.runs(gcode))
        )

    def trigger(
        self, caller: Printer, event: str, context: Context, retain: bool
    ) -> Dict[str, Any]:
        """Run every handler of the event, in the order they were made.

        Returns {"delivered": [printer names], "failed": {name: reason}}. Raises UsageError, and
        does nothing, when too many events are retained.
        """
        if retain:
            self._retain(event, context, caller.name)
        self._remember(event, context, caller.name)
        delivered: Dict[str, None] = {}
        failed: Dict[str, str] = {}
        for handler in [h for h in self._handlers if _matches(h.event, event)]:
            try:
                self._deliver(handler, event, context, caller, retain)
                delivered[handler.target.name] = None
            except RouterError as e:
                if retain:
                    handler.state.has.discard(event)
                failed[handler.target.name] = str(e)
        for pattern, client in self._clients:
            if _matches(pattern, event):
                client.event(event, context, caller.name)
        return {"delivered": list(delivered), "failed": failed}

    def prune(self) -> None:
        """Forget the API clients that have gone."""
        self._clients = [c for c in self._clients if not c.client.closed]

    def new_session(self, printer: Printer) -> None:
        self._remove(lambda h: h.owner is printer)
        for handler in self._handlers:
            if handler.target is printer:
                handler.state.has.clear()

    def _remember(self, event: str, context: Context, source: str) -> None:
        recent = {name: told for name, told in self.recent.items() if name != event}
        if len(recent) >= MAX_RECENT:
            del recent[next(iter(recent))]
        recent[event] = {"context": context, "source": source, "eventtime": self._monotonic()}
        # A new dict: Klipper finds a change by comparing with what it got before
        self.recent = recent

    def _retain(self, event: str, context: Context, source: str) -> None:
        if event not in self._retained and len(self._retained) >= MAX_RECENT:
            raise UsageError(
                "Cannot retain '%s': %d events are retained already" % (event, MAX_RECENT)
            )
        self._retained[event] = (context, source)

    def _deliver(
        self, handler: Handler, event: str, context: Context, caller: Printer, retained: bool
    ) -> None:
        if retained:
            handler.state.has.add(event)
        if handler.event.endswith("*"):
            context = dict(context, event=event)
        target = handler.target
        cause = self._running.get(handler.key) if caller is target else None
        delivery = _Delivery(
            handler,
            context,
            event if retained else None,
            self._begin(caller),
            self._running,
            cause,
        )
        if handler.template is not None:
            handler.template.check(context)
            # Written when its turn comes: a hundred handlers of one event are no work now
            target.submit(Job(delivery.render, delivery.done))
            return
        if is_stream(handler.gcode, context):
            raise UsageError("Endpoint '%s' answers on and on" % (handler.gcode,))
        if not target.ready:
            raise target.not_ready()
        target.call_endpoint(handler.gcode, context, delivery.done)

    def _remove(self, goes: Callable[[Handler], bool]) -> int:
        before = len(self._handlers)
        for handler in filter(goes, self._handlers):
            handler.state.removed = True
        self._handlers = [h for h in self._handlers if not h.state.removed]
        return before - len(self._handlers)
