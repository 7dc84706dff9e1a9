# Who wants which objects of whom: one union a target, each subscriber only its part, merged
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Callable, Dict, Optional, Tuple

from ..errors import RouterError, UsageError
from ..gcode.parameters import ParameterNames
from ..printers.printer import Done, Objects, Printer, PrinterListener, Status
from .feed import Feed
from .name_check import NameCheck
from .subscribers import (
    Client,
    ClientSubscription,
    MacroSubscription,
    Report,
    Subscription,
    number_of_fields,
)

# Objects of one target that are read, and fields of one object, for all subscribers together:
# reading 256 small ones takes this printer well under a millisecond
MAX_OBJECTS = 256
# Fields that all subscriptions of one target name together: their union is worked out anew
# whenever one of them ends
MAX_FIELDS = 2048
# Characters of the name of an object or field
MAX_NAME = 100
# Subscriptions that one printer may have
MAX_SUBSCRIPTIONS = 256


def _is_of(client: Client) -> Callable[[Subscription], bool]:
    return lambda s: isinstance(s, ClientSubscription) and s.client == client


class Subscriptions(PrinterListener):
    """All status subscriptions, of all printers. report: told of callbacks that cannot be run."""

    def __init__(self, report: Report, names: NameCheck) -> None:
        self._report, self._name_check = report, names
        self._names = ParameterNames()
        self._feeds: Dict[Printer, Feed] = {}

    @property
    def count(self) -> int:
        """The number of subscriptions."""
        return sum(len(feed.subscriptions) for feed in self._feeds.values())

    def counts(self, printer: Printer) -> Tuple[int, int]:
        """The number of subscriptions to the status of this printer, and of its own to others."""
        feed = self._feeds.get(printer)
        own = sum(s.owner is printer for f in self._feeds.values() for s in f.subscriptions)
        return len(feed.subscriptions) if feed else 0, own

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
        subscription = MacroSubscription(
            owner, target, objects, callback, self._report, feed.parameters
        )
        subscription.waiting.append(done)
        feed.add(subscription, lambda s: s.owner is owner and s.callback == callback)
        self._name_check.check(feed)

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
        subscription = ClientSubscription(owner, target, objects, client)
        subscription.waiting.append(done)
        feed.add(subscription, _is_of(client))

    def follow(
        self, owner: Printer, target: Printer, objects: Objects, client: Client, where: str
    ) -> None:
        """Tell the client all values whenever the target comes, and every change after that.

        where: the option and section that say so.
        """
        subscription = ClientSubscription(owner, target, objects, client)
        subscription.where = where
        self._feed(target).add(subscription, lambda s: False)

    def unsubscribe(self, owner: Printer, target: Printer, callback: Optional[str]) -> int:
        """End the owner's macro subscriptions of the target: all, or those with this callback.

        Returns how many there were.
        """
        return self._feed(target).remove(
            lambda s: s.owner is owner and bool(s.callback) and callback in (None, s.callback)
        )

    def unsubscribe_client(self, target: Printer, client: Client) -> int:
        """Tell this client no more of the target. Returns how often it was told (0 or 1)."""
        return self._feed(target).remove(_is_of(client))

    def prune(self) -> None:
        """Forget the API clients that have gone."""
        for feed in self._feeds.values():
            feed.remove(lambda s: isinstance(s, ClientSubscription) and s.client.closed)

    # -- what printers tell

    def new_session(self, printer: Printer) -> None:
        for feed in self._feeds.values():
            feed.remove(lambda s: s.owner is printer and bool(s.callback))

    def became_ready(self, printer: Printer) -> None:
        for feed in self._feeds.values():
            for subscription in feed.subscriptions:
                if subscription.owner is printer:
                    subscription.deliver(feed.eventtime)
            if feed.target is printer:
                self._name_check.check(feed)

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        feed = self._feeds.get(printer)
        if feed is not None and not printer.connected:
            feed.lose()

    def too_long(self, printer: Printer, error: RouterError) -> None:
        feed = self._feeds.get(printer)
        if feed is not None:
            feed.too_long(error)

    def status_changed(
        self, printer: Printer, eventtime: float, status: Status, is_snapshot: bool
    ) -> None:
        feed = self._feeds.get(printer)
        if feed is not None:
            feed.tell(eventtime, status, is_snapshot)
            if is_snapshot:
                self._name_check.check(feed)

    # -- inside

    def _check_bounds(self, feed: Feed, owner: Printer, objects: Objects, callback: str) -> None:
        if len(feed.union.keys() | objects.keys()) > MAX_OBJECTS or any(
            len(fields or ()) > MAX_OBJECTS for fields in objects.values()
        ):
            raise UsageError(
                "Cannot subscribe: more than %d objects of %s would be read, or fields of one"
                % (MAX_OBJECTS, feed.target.name)
            )
        named = number_of_fields(objects) + sum(s.fields for s in feed.subscriptions)
        if named > MAX_FIELDS or any(
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

    def _feed(self, target: Printer) -> Feed:
        feed = self._feeds.get(target)
        if feed is None:
            feed = self._feeds[target] = Feed(target, self._names, self._barred)
        return feed

    def _barred(self, subscription: Subscription, error: RouterError) -> None:
        if subscription.where:
            subscription.target.hints.say("%s: %s" % (subscription.where, error))
        elif subscription.callback:
            self._report(subscription.owner, subscription.target, error)
