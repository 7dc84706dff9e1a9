# Who wants which objects of whom: one union a target, each subscriber only its part, merged
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict, FrozenSet, List, Optional, Protocol, Tuple

from .errors import RouterError, UsageError
from .gcode_params import ParameterNames, command, status_params
from .printer import Done, Objects, Printer, PrinterListener, Status

# Objects of one target that are read, and fields of one object, for all subscribers together:
# reading 256 small ones takes this printer well under a millisecond
MAX_OBJECTS = 256
# Fields that all subscriptions of one target name together: their union is worked out anew with
# each subscription
MAX_FIELDS = 2048
# Characters of the name of an object or field
MAX_NAME = 100
# Subscriptions that one printer may have
MAX_SUBSCRIPTIONS = 256


# A callback could not even be written: (owner, target, error)
Report = Callable[[Printer, Printer, RouterError], None]


class Client(Protocol):
    """Where updates go that no macro gets: an API client's connection, for example."""

    @property
    def closed(self) -> bool: ...

    def update(self, eventtime: float, status: Status) -> None:
        """Values that changed."""


class _Subscription:
    """One subscriber's wish of one target. pending: what it has not been told yet."""

    callback = ""  # the macro that is run, if any

    def __init__(self, owner: Printer, target: Printer, objects: Objects) -> None:
        self.owner, self.target, self.objects = owner, target, objects
        self.pending: Status = {}
        self.first: Optional[Done] = None  # waits for the first snapshot
        self.closed = False

    def add(self, name: str, values: Dict[str, Any]) -> None:
        """Newer values take the place of older ones."""
        self.pending.setdefault(name, {}).update(values)

    def deliver(self, eventtime: float) -> None:
        """Bring what is pending on its way."""


class _MacroSubscription(_Subscription):
    """Runs a macro of its owner; one callback at a time is on its way."""

    def __init__(
        self,
        owner: Printer,
        target: Printer,
        objects: Objects,
        callback: str,
        report: Report,
        names: ParameterNames,
    ) -> None:
        super().__init__(owner, target, objects)
        self.callback = callback
        self._report, self._names = report, names
        self._on_its_way = False
        self._sent: Status = {}

    def deliver(self, eventtime: float = 0.0) -> None:
        if self.pending and not self._on_its_way and not self.closed and self.owner.ready:
            self._on_its_way = True
            self.owner.submit_status(self._render, self._finished)

    def _render(self) -> str:
        if self.closed:
            return ""
        self._sent, self.pending = self.pending, {}
        params = status_params(self._sent, False, self._names)
        return command(self.callback, params, self.owner.old_parser)

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


class _ClientSubscription(_Subscription):
    """Tells an API client, or a part of the router, at once."""

    def __init__(self, owner: Printer, target: Printer, objects: Objects, client: Client) -> None:
        super().__init__(owner, target, objects)
        self.client = client

    def deliver(self, eventtime: float) -> None:
        status, self.pending = self.pending, {}
        if status:
            self.client.update(eventtime, status)


class _Feed:
    """One target: its subscriptions, their union, and the last known values."""

    def __init__(self, target: Printer) -> None:
        self.target = target
        self.subscriptions: List[_Subscription] = []
        self.union: Objects = {}
        self.values: Status = {}
        self.eventtime = 0.0
        self.complete = False  # the values are those of the whole union, and changes follow
        self.lost = False  # the target went away since the last snapshot
        # object -> the subscriptions that want it, with their fields (None: all), so that an
        # update costs nothing for those who do not want it
        self.wanted_by: Dict[str, List[Tuple[_Subscription, Optional[FrozenSet[str]]]]] = {}

    def add(self, subscription: _Subscription) -> None:
        """One more: watch what it wants besides. Looks at none of the others."""
        self.subscriptions.append(subscription)
        more = self._note(subscription, self.union)
        if more:
            self.complete = False
            self.union = {**self.union, **more}
            self.target.watch(self.union)

    def rebuild(self) -> None:
        """Some subscriptions have gone: watch the union of the others."""
        self.wanted_by = {}
        union: Objects = {}
        for subscription in self.subscriptions:
            union.update(self._note(subscription, union))
        if union == self.union:
            return
        self.union = union
        self.values = {
            name: _part(values, union[name])
            for name, values in self.values.items()
            if name in union
        }
        self.target.watch(union)

    def _note(self, subscription: _Subscription, union: Objects) -> Objects:
        """Who wants what; returns the objects of which it wants more than this union has."""
        more: Objects = {}
        for name, listed in subscription.objects.items():
            fields = None if listed is None else frozenset(listed)
            self.wanted_by.setdefault(name, []).append((subscription, fields))
            known = union.get(name, ())
            if name not in union or (known is not None and fields is None):
                more[name] = None if fields is None else sorted(fields)
            elif known is not None and fields is not None and not fields.issubset(known):
                more[name] = sorted(fields.union(known))
        return more

    def part(self, objects: Objects) -> Status:
        """The last known values of these objects, in the form of Klipper's objects/query."""
        return {
            name: dict(self.values.get(name, {}))
            if fields is None
            else {field: self.values.get(name, {}).get(field) for field in fields}
            for name, fields in objects.items()
        }


def _part(values: Dict[str, Any], fields: Optional[List[str]]) -> Dict[str, Any]:
    """Those of these fields that are known; None: all."""
    return values if fields is None else {f: values[f] for f in fields if f in values}


def _without_none(values: Dict[str, Any]) -> Dict[str, Any]:
    return {field: value for field, value in values.items() if value is not None}


def _is_of(client: Client) -> Callable[[_Subscription], bool]:
    return lambda s: isinstance(s, _ClientSubscription) and s.client == client


class Subscriptions(PrinterListener):
    """All status subscriptions, of all printers. report: told of callbacks that cannot be run."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._names = ParameterNames()
        self._feeds: Dict[Printer, _Feed] = {}

    @property
    def count(self) -> int:
        """The number of subscriptions."""
        return sum(len(feed.subscriptions) for feed in self._feeds.values())

    def subscribe(
        self, owner: Printer, target: Printer, objects: Objects, callback: str, done: Done
    ) -> None:
        """Run this macro of the owner with the first snapshot, and with every change after it.

        Replaces the owner's subscription of the same target and callback. done gets the first
        snapshot as {"eventtime": ..., "status": ...}. Raises NotReady when the target is not
        connected.
        """
        target.check_connected()
        feed = self._feed(target)
        self._check_bounds(feed, owner, objects, callback)
        subscription = _MacroSubscription(
            owner, target, objects, callback, self._report, self._names
        )
        self._add(feed, subscription, done, lambda s: s.owner is owner and s.callback == callback)

    def subscribe_client(
        self, owner: Printer, target: Printer, objects: Objects, client: Client, done: Done
    ) -> None:
        """Tell the client every change after the first snapshot, which done gets.

        An equal client that is told of the target already is replaced. Raises NotReady when the
        target is not connected.
        """
        target.check_connected()
        feed = self._feed(target)
        self._check_bounds(feed, owner, objects, "")
        subscription = _ClientSubscription(owner, target, objects, client)
        self._add(feed, subscription, done, _is_of(client))

    def follow(self, owner: Printer, target: Printer, objects: Objects, client: Client) -> None:
        """Tell the client all values whenever the target comes, and every change after that."""
        subscription = _ClientSubscription(owner, target, objects, client)
        self._add(self._feed(target), subscription, None, lambda s: False)

    def unsubscribe(self, owner: Printer, target: Printer, callback: Optional[str]) -> int:
        """End the owner's macro subscriptions of the target: all, or those with this callback.

        Returns how many there were.
        """
        return self._remove(
            self._feed(target),
            lambda s: s.owner is owner and bool(s.callback) and callback in (None, s.callback),
        )

    def unsubscribe_client(self, target: Printer, client: Client) -> int:
        """Tell this client no more of the target. Returns how often it was told (0 or 1)."""
        return self._remove(self._feed(target), _is_of(client))

    def prune(self) -> None:
        """Forget the API clients that have gone."""
        for feed in self._feeds.values():
            self._remove(feed, lambda s: isinstance(s, _ClientSubscription) and s.client.closed)

    # -- what printers tell

    def new_session(self, printer: Printer) -> None:
        for feed in self._feeds.values():
            self._remove(feed, lambda s: s.owner is printer and bool(s.callback))

    def became_ready(self, printer: Printer) -> None:
        for feed in self._feeds.values():
            for subscription in feed.subscriptions:
                if subscription.owner is printer:
                    subscription.deliver(feed.eventtime)

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        feed = self._feeds.get(printer)
        if feed is None or printer.connected:
            return
        feed.complete, feed.lost = False, True
        if self._take_out(feed, lambda s: s.first is not None, printer.not_ready()):
            feed.rebuild()

    def status(self, printer: Printer, eventtime: float, status: Status, snapshot: bool) -> None:
        feed = self._feeds.get(printer)
        if feed is None:
            return
        feed.eventtime = eventtime
        told: Dict[_Subscription, None] = {}
        for name, values in status.items():
            wanted_by = feed.wanted_by.get(name)
            if wanted_by is None:
                continue
            known = feed.values.setdefault(name, {})
            if snapshot:
                values = self._news(feed, known, values)
            known.update(values)
            for subscription, fields in wanted_by:
                part = values if fields is None else {f: values[f] for f in fields & values.keys()}
                if part and subscription.first is None:
                    subscription.add(name, part)
                    told[subscription] = None
        if snapshot:
            feed.complete = True
            feed.lost = feed.lost and printer.state == "startup"
            for subscription in [s for s in feed.subscriptions if s.first is not None]:
                self._first_snapshot(feed, subscription)
        for subscription in told:
            subscription.deliver(eventtime)

    @staticmethod
    def _news(feed: _Feed, known: Dict[str, Any], values: Dict[str, Any]) -> Dict[str, Any]:
        """What a snapshot says that the subscribers do not know yet."""
        if feed.target.state == "startup":
            # Klippy has not loaded its config yet: None says nothing about an object
            values = _without_none(values)
        elif feed.lost:
            # A fresh snapshot for everybody: all values, and those that are gone
            return {f: v for f, v in values.items() if v is not None or known.get(f) is not None}
        return {f: v for f, v in values.items() if f not in known or known[f] != v}

    # -- inside

    def _check_bounds(self, feed: _Feed, owner: Printer, objects: Objects, callback: str) -> None:
        if len(feed.union.keys() | objects.keys()) > MAX_OBJECTS or any(
            len(fields or ()) > MAX_OBJECTS for fields in objects.values()
        ):
            raise UsageError(
                "Cannot subscribe: more than %d objects of %s would be read, or fields of one"
                % (MAX_OBJECTS, feed.target.name)
            )
        wished = [s.objects for s in feed.subscriptions] + [objects]
        if sum(len(f or ()) for o in wished for f in o.values()) > MAX_FIELDS or any(
            len(text) > MAX_NAME for n, f in objects.items() for text in [n, *(f or ())]
        ):
            raise UsageError(
                "Cannot subscribe: more than %d fields of %s would be named, or a name of more than"
                " %d characters" % (MAX_FIELDS, feed.target.name, MAX_NAME)
            )
        others = [
            s
            for f in self._feeds.values()
            for s in f.subscriptions
            if s.owner is owner and not (f is feed and callback and s.callback == callback)
        ]
        if len(others) >= MAX_SUBSCRIPTIONS:
            raise UsageError(
                "%s has %d subscriptions already: end one with ROUTER_OBJECTS_UNSUBSCRIBE"
                % (owner.name, MAX_SUBSCRIPTIONS)
            )

    def _feed(self, target: Printer) -> _Feed:
        feed = self._feeds.get(target)
        if feed is None:
            feed = self._feeds[target] = _Feed(target)
        return feed

    def _add(
        self,
        feed: _Feed,
        subscription: _Subscription,
        done: Optional[Done],
        replaces: Callable[[_Subscription], bool],
    ) -> None:
        subscription.first = done
        feed.add(subscription)
        # Only now: what both of them want stays known
        self._remove(feed, lambda s: s is not subscription and replaces(s))
        if feed.complete:
            self._first_snapshot(feed, subscription)

    @staticmethod
    def _first_snapshot(feed: _Feed, subscription: _Subscription) -> None:
        first, subscription.first = subscription.first, None
        status = feed.part(subscription.objects)
        if subscription.callback:
            for name, values in status.items():
                subscription.add(name, _without_none(values))
            subscription.deliver(feed.eventtime)
        if first is not None:
            first({"eventtime": feed.eventtime, "status": status}, None)

    def _remove(self, feed: _Feed, goes: Callable[[_Subscription], bool]) -> int:
        removed = self._take_out(feed, goes)
        if removed:
            feed.rebuild()
        return removed

    @staticmethod
    def _take_out(
        feed: _Feed, goes: Callable[[_Subscription], bool], why: Optional[RouterError] = None
    ) -> int:
        gone = [s for s in feed.subscriptions if goes(s)]
        waiting: List[Done] = []
        for subscription in gone:
            subscription.closed = True
            subscription.pending = {}
            first, subscription.first = subscription.first, None
            if first is not None:
                waiting.append(first)
        feed.subscriptions = [s for s in feed.subscriptions if not s.closed]
        for first in waiting:
            ended = "%s: the subscription was replaced or ended" % (feed.target.name,)
            first(None, why or RouterError(ended))
        return len(gone)
