# One subscription: the objects of one printer for one receiver, and values not delivered yet
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from enum import Enum
from typing import Any, Dict, List

from ..errors import RouterError
from ..printers.printer import Done, Failure, Objects, Printer, Status
from ..printers.receiver import Receiver
from .missing_names import Missing


class Place(Enum):
    """Whether a subscription is part of its target's snapshot, which may be too long.

    See bisection.py.
    """

    UNTESTED = "part of it, but of no earlier one that was short enough"
    FITS = "part of it, and of an earlier one that was short enough"
    LEFT_OUT = "left out until it is known whether the others fit"
    TOO_LARGE = "left out until the target connects again"


class Subscription:
    """One receiver of the status of one target. caller: its limit of subscriptions counts."""

    place = Place.UNTESTED
    checked = False  # whether NameCheck has checked, or is checking, its objects and fields
    group = 0  # number of its group that is left out; the last group is included again first
    was_left_out = False  # once, to find out whether the others fit
    closed = False
    is_due = False  # whether it is notified soon of values that are known

    def __init__(
        self, caller: Printer, target: Printer, objects: Objects, receiver: Receiver
    ) -> None:
        self.caller, self.target, self.objects = caller, target, objects
        self.receiver = receiver
        self.fields = number_of_fields(objects)
        self.waiting: List[Done] = []  # for the first snapshot
        self.missing: List[Missing] = []  # what its target does not have
        self._pending: Status = {}

    @property
    def is_included(self) -> bool:
        """Whether its objects are part of what the target is asked for."""
        return self.place in (Place.UNTESTED, Place.FITS)

    def begin(self, eventtime: float, status: Status) -> None:
        """The first snapshot, for the receiver and the requests that wait for it."""
        self.receiver.begin(eventtime, status)
        self._answer({"eventtime": eventtime, "status": status}, None)

    def add(self, name: str, values: Dict[str, Any]) -> None:
        """Keep values of an object for the next deliver(). They must not be changed any more."""
        known = self._pending.get(name)
        # Not copied: one update may be for 250 subscriptions
        self._pending[name] = values if known is None else {**known, **values}

    def deliver(self, eventtime: float) -> None:
        """Notify the receiver of the values that were added."""
        status, self._pending = self._pending, {}
        if status:
            self.receiver.update(eventtime, status)

    def close(self) -> None:
        """The receiver is not notified any more."""
        self.closed = True
        self._pending = {}
        self.receiver.ended()

    def refuse(self, why: RouterError) -> None:
        """Fail the requests that wait for the first snapshot."""
        self._answer(None, why)

    def end(self, eventtime: float) -> None:
        """It was unsubscribed: no error, even if the first snapshot never arrived."""
        self._answer({"eventtime": eventtime, "status": {}}, None)

    def _answer(self, result: Any, error: Failure) -> None:
        waiting, self.waiting = self.waiting, []
        for done in waiting:
            done(result, error)


def merge(status: Status, newer: Status) -> None:
    """Add newer values to a status, in place of older ones."""
    for name, values in newer.items():
        status.setdefault(name, {}).update(values)


def without_none(values: Dict[str, Any]) -> Dict[str, Any]:
    """The values that are not None."""
    return {field: value for field, value in values.items() if value is not None}


def number_of_fields(objects: Objects) -> int:
    """The number of fields named in these objects."""
    return sum(len(fields or ()) for fields in objects.values())
