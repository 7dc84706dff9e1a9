# One subscriber: what it wants of one printer, and how it is told
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict, List, Optional, Protocol

from ..errors import RouterError, UsageError
from ..gcode.parameters import StatusParameters, command_of
from ..printers.printer import Done, Failure, Job, Objects, Order, Printer, Status
from .missing_names import Missing

# Where a subscription stands while its target's snapshot is too long, see trial.py: it takes part
# and was in a snapshot, or not yet; is left out for the moment, or until the target is back
PROVEN, SUSPECT, HELD, BARRED = "proven", "suspect", "held", "barred"

# A callback could not even be written: (owner, target, error)
Report = Callable[[Printer, Printer, RouterError], None]


class Client(Protocol):
    """Where updates go that no macro gets: an API client's connection, for example."""

    @property
    def closed(self) -> bool: ...

    def update(self, eventtime: float, status: Status) -> None:
        """Values that changed."""


class Subscription:
    """One subscriber's wish of one target. pending: what it has not been told yet."""

    callback = ""  # the macro that is run, if any
    where = ""  # the option and section that made it, if it is one of the config
    place = SUSPECT
    checked = False  # whether its target has what it wants: or that is being found out
    held_at = 0  # which of the groups that are held back it is in; they are released last to first
    accused = False  # it was left out once to see whether the others come through

    def __init__(self, owner: Printer, target: Printer, objects: Objects) -> None:
        self.owner, self.target, self.objects = owner, target, objects
        self.fields = number_of_fields(objects)
        self.pending: Status = {}
        self.waiting: List[Done] = []  # for the first snapshot
        self.missing: List[Missing] = []  # what its target does not have
        self.closed = False

    @property
    def title(self) -> str:
        """Who wants it, for its user; "" for API clients and waits."""
        if self.callback:
            return "subscription of %s with callback %s" % (self.owner.name, self.callback)
        return self.where

    @property
    def takes_part(self) -> bool:
        """Whether it is part of what its target is asked for."""
        return self.place in (PROVEN, SUSPECT)

    def begin(self, eventtime: float, status: Status) -> None:
        """The first snapshot: for who has subscribed."""
        self._answer({"eventtime": eventtime, "status": status}, None)

    def add(self, name: str, values: Dict[str, Any]) -> None:
        """Newer values take the place of older ones."""
        self.pending.setdefault(name, {}).update(values)

    def deliver(self, eventtime: float) -> None:
        """Bring what is pending on its way."""

    def close(self) -> None:
        """Nothing is told any more."""
        self.closed = True
        self.pending = {}

    def refuse(self, why: RouterError) -> None:
        """There will be no first snapshot for who waits for it."""
        self._answer(None, why)

    def end(self, eventtime: float) -> None:
        """Its owner wants no more of it: no error, even where the first snapshot never came."""
        self._answer({"eventtime": eventtime, "status": {}}, None)

    def _answer(self, result: Any, error: Failure) -> None:
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done(result, error)


class MacroSubscription(Subscription):
    """Runs a macro of its owner; one callback at a time is on its way."""

    def __init__(
        self,
        owner: Printer,
        target: Printer,
        objects: Objects,
        callback: str,
        report: Report,
        parameters: StatusParameters,
    ) -> None:
        super().__init__(owner, target, objects)
        self.callback = callback
        self._report, self._parameters = report, parameters
        self._on_its_way = False
        self._sent: Status = {}

    def begin(self, eventtime: float, status: Status) -> None:
        for name, values in status.items():
            self.add(name, without_none(values))
        self.deliver(eventtime)
        super().begin(eventtime, status)

    def deliver(self, eventtime: float = 0.0) -> None:
        if self.pending and not self._on_its_way and not self.closed and self.owner.ready:
            self._on_its_way = True
            self.owner.submit(Job(self._render, self._finished, order=Order.STATUS))

    def _render(self) -> str:
        if self.closed:
            return ""
        self._sent, self.pending = self.pending, {}
        parameters = self._parameters.write(self._sent, self.owner.old_parser)
        return command_of(self.callback, parameters)

    def _finished(self, _result: Any, error: Optional[RouterError]) -> None:
        self._on_its_way = False
        sent, self._sent = self._sent, {}
        if self.closed:
            return
        if isinstance(error, UsageError):
            self._report(self.owner, self.target, error)
        elif error is not None and not self.owner.ready:
            # It may not have seen these values: they are told again when it is back
            newer, self.pending = self.pending, sent
            for name, values in newer.items():
                self.add(name, values)
        # A macro that raised an error has said so on its own console, where its author looks
        self.deliver()


class ClientSubscription(Subscription):
    """Tells an API client, or a part of the router, at once."""

    def __init__(self, owner: Printer, target: Printer, objects: Objects, client: Client) -> None:
        super().__init__(owner, target, objects)
        self.client = client

    def deliver(self, eventtime: float) -> None:
        status, self.pending = self.pending, {}
        if status:
            self.client.update(eventtime, status)


def without_none(values: Dict[str, Any]) -> Dict[str, Any]:
    """Those that have a value."""
    return {field: value for field, value in values.items() if value is not None}


def number_of_fields(objects: Objects) -> int:
    """How many fields these name."""
    return sum(len(fields or ()) for fields in objects.values())
