# The checks of any printer: missing objects, subscriptions, the queue
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from ..events.events import Events
from ..printers.printer import MAX_QUEUE, Printer
from ..sanitize import counted, printable
from ..status.subscriptions import Subscriptions
from .checks import FAIL, OK, WARN, Finding

# Missing objects and fields that are listed; the others are counted
MAX_MISSING = 5


class Registrations:
    """The subscriptions and event handlers of printers."""

    def __init__(self, subscriptions: Subscriptions, events: Events) -> None:
        self._subscriptions, self._events = subscriptions, events

    def check(self, printer: Printer) -> Finding:
        """The number of subscriptions to its status, and of its own."""
        of_it, own = self._subscriptions.counts(printer)
        handlers = counted(self._events.count_of(printer), "event handler")
        return Finding(OK, "%d to its status, %d of its own, and %s" % (of_it, own, handlers))


def check_objects(printer: Printer) -> Finding:
    """The objects and fields of mirrors, sensors and subscriptions that it does not have."""
    missing = printer.missing
    if not missing:
        return Finding(OK, "it has all that is mirrored or subscribed to")
    text = ", and ".join(map(printable, missing[:MAX_MISSING]))
    if len(missing) > MAX_MISSING:
        text += ", and %d more" % (len(missing) - MAX_MISSING,)
    return Finding(WARN, text)


def check_queue(printer: Printer, unanswered: int) -> Finding:
    """The scripts and requests that are waiting for it."""
    waiting = printer.queue_length
    requests = counted(unanswered, "request")
    text = "%d of %d places taken, %s under way" % (waiting, MAX_QUEUE, requests)
    if waiting < MAX_QUEUE // 2:
        return Finding(OK, text)
    text += ": it does not keep up with what it is sent"
    return Finding(FAIL if waiting >= MAX_QUEUE else WARN, text)
