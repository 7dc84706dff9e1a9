# All status subscriptions, with one feed per target
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from functools import partial
from typing import Callable, Dict, Tuple

from ..errors import RouterError, UsageError
from ..klippy.call_queue import CallQueue
from ..klippy.timers import Timers
from ..printers.printer import Done, Objects, Printer, PrinterListener, Status
from ..printers.receiver import Receiver
from .feed import Feed
from .macro_callback import MacroCallback, Report
from .name_check import NameCheck
from .subscription import Subscription, number_of_fields

# Objects of one target in all subscriptions together, and fields of one object: reading 256 small
# ones takes this printer well under a millisecond
MAX_OBJECTS = 256
# Fields of one target in all subscriptions together: their union is computed again whenever one of
# them ends
MAX_FIELDS = 2048
# Characters of the name of an object or field
MAX_NAME = 100
# Subscriptions of one printer
MAX_SUBSCRIPTIONS = 256
# Of these, those that end in one step when its Klippy has restarted
REMOVED_AT_ONCE = 64


class Subscriptions(PrinterListener):
    """The status subscriptions of all printers. report: called for macros that cannot be run."""

    def __init__(self, report: Report, names: NameCheck, timers: Timers) -> None:
        self._report, self._name_check = report, names
        self._in_turn = CallQueue(timers)
        self._feeds: Dict[Printer, Feed] = {}

    @property
    def count(self) -> int:
        """The number of subscriptions."""
        return sum(len(feed.subscriptions) for feed in self._feeds.values())

    def counts(self, printer: Printer) -> Tuple[int, int]:
        """The number of subscriptions to this printer's status, and of its own subscriptions."""
        feed = self._feeds.get(printer)
        return len(feed.subscriptions) if feed else 0, self._number_of(printer)

    def macro(self, owner: Printer, target: Printer, name: str) -> Receiver:
        """A macro of the owner as the receiver of the target's status."""
        return MacroCallback(owner, target, name, self._report, self._feed(target).parameters)

    def subscribe(
        self, caller: Printer, target: Printer, objects: Objects, receiver: Receiver, done: Done
    ) -> None:
        """Notify the receiver of the first snapshot, and of every change after it.

        Replaces the subscription of the same target with an equal receiver. done gets the first
        snapshot as {"eventtime": ..., "status": ...}. Raises NotReady if the target is not
        connected, and UsageError if a limit is reached.
        """
        target.check_connected()
        feed = self._feed(target)
        self._check_bounds(feed, caller, objects, receiver)
        subscription = Subscription(caller, target, objects, receiver)
        subscription.waiting.append(done)
        feed.add(subscription)
        self._name_check.check(feed)

    def subscribe_always(
        self, caller: Printer, target: Printer, objects: Objects, receiver: Receiver
    ) -> None:
        """Like subscribe(), but whether the target is connected or not, and without limits.

        The receiver gets all values whenever the target connects.
        """
        self._feed(target).add(Subscription(caller, target, objects, receiver))

    def unsubscribe(self, target: Printer, is_selected: Callable[[Receiver], bool]) -> int:
        """End the subscriptions of the target with these receivers. Returns their number."""
        removed = [s for s in self._feed(target).subscriptions if is_selected(s.receiver)]
        self._feed(target).remove(removed)
        return len(removed)

    def prune(self) -> None:
        """Remove the subscriptions of disconnected API clients and of waits that have ended."""
        for target in self._feeds:
            self.unsubscribe(target, lambda receiver: receiver.closed)

    # -- what printers report

    def klippy_restarted(self, printer: Printer) -> None:
        for feed in self._feeds.values():
            ended = [s for s in feed.subscriptions if s.receiver.owner is printer]
            self._in_turn.add(
                partial(feed.remove, ended[i : i + REMOVED_AT_ONCE])
                for i in range(0, len(ended), REMOVED_AT_ONCE)
            )

    def became_ready(self, printer: Printer) -> None:
        receivers = [s.receiver for f in self._feeds.values() for s in f.subscriptions]
        self._in_turn.add(r.resume for r in receivers if r.owner is printer)
        feed = self._feeds.get(printer)
        if feed is not None:
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
            feed.update(eventtime, status, is_snapshot)
            if is_snapshot:  # after the deliveries of it
                self._in_turn.add([partial(self._name_check.check, feed)])

    # -- inside

    def _check_bounds(
        self, feed: Feed, caller: Printer, objects: Objects, receiver: Receiver
    ) -> None:
        if len(feed.union.keys() | objects.keys()) > MAX_OBJECTS or any(
            len(fields or ()) > MAX_OBJECTS for fields in objects.values()
        ):
            raise UsageError(
                "Cannot subscribe: more than %d objects of %s, or more than %d fields of one object"
                % (MAX_OBJECTS, feed.target.name, MAX_OBJECTS)
            )
        named = number_of_fields(objects) + sum([s.fields for s in feed.subscriptions])
        if named > MAX_FIELDS or any(
            len(text) > MAX_NAME for n, f in objects.items() for text in [n, *(f or ())]
        ):
            raise UsageError(
                "Cannot subscribe: more than %d fields of %s in all subscriptions, or a name of"
                " more than %d characters" % (MAX_FIELDS, feed.target.name, MAX_NAME)
            )
        if self._number_of(caller) >= MAX_SUBSCRIPTIONS and not any(
            s.caller is caller and s.receiver == receiver for s in feed.subscriptions
        ):
            raise UsageError(
                "%s has %d subscriptions already: end one with ROUTER_OBJECTS_UNSUBSCRIBE"
                % (caller.name, MAX_SUBSCRIPTIONS)
            )

    def _number_of(self, caller: Printer) -> int:
        """The number of subscriptions of this caller."""
        return [s.caller for f in self._feeds.values() for s in f.subscriptions].count(caller)

    def _feed(self, target: Printer) -> Feed:
        feed = self._feeds.get(target)
        if feed is None:
            feed = self._feeds[target] = Feed(target, self._too_large, self._in_turn)
        return feed

    def _too_large(self, subscription: Subscription, error: RouterError) -> None:
        receiver = subscription.receiver
        if receiver.owner is not None:
            self._report(receiver.owner, subscription.target, error)
        elif receiver.title:
            subscription.target.hints.say("%s: %s" % (receiver.title, error))
