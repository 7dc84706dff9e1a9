# Waits of a macro for the status of a printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import math
from typing import Any, List, Mapping, Optional

from ..errors import RouterError
from ..gcode.parameters import parameter_text
from ..printers.printer import Failure, Objects, Printer, Status
from ..sanitize import printable
from ..status.missing_names import Missing, Search
from .waits import Wait, Waits

# The parameters of a condition
CONDITIONS = ("EQUALS", "NOT_EQUALS", "MINIMUM", "MAXIMUM")


class Condition:
    """The condition that EQUALS, NOT_EQUALS, MINIMUM and MAXIMUM form together.

    Raises ValueError if there is none of them, or a bound is not a number.
    """

    def __init__(self, params: Mapping[str, str]) -> None:
        self._equals, self._not_equals = params.get("EQUALS"), params.get("NOT_EQUALS")
        self._minimum, self._maximum = _bound(params, "MINIMUM"), _bound(params, "MAXIMUM")
        if not any(name in params for name in CONDITIONS):
            raise ValueError("no condition")

    def is_met_by(self, value: Any) -> bool:
        """Whether this value meets the whole condition. None (no value) never does."""
        return (
            value is not None
            and (self._equals is None or _equal(value, self._equals))
            and (self._not_equals is None or not _equal(value, self._not_equals))
            and (self._minimum is None or (_is_number(value) and value >= self._minimum))
            and (self._maximum is None or (_is_number(value) and value <= self._maximum))
        )


def _bound(params: Mapping[str, str], name: str) -> Optional[float]:
    if name not in params:
        return None
    bound = float(params[name])
    if math.isnan(bound):
        raise ValueError("not a number")
    return bound


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equal(value: Any, text: str) -> bool:
    if isinstance(value, bool):
        return text.lower() in (("true", "1") if value else ("false", "0"))
    if _is_number(value):
        try:
            return bool(value == float(text))
        except ValueError:
            return False
    return parameter_text(value) == text


class StatusWait(Wait):
    """Ends when a field of an object meets the condition, with a value read after the wait began.

    Values that are already known may be older, so the printer is queried first. It answers when it
    next reads its status (a peer within 250 ms, this printer at once), after sending the changes
    found then. After that, the changes are sufficient.
    """

    def __init__(self, target: Printer, name: str, field: str, condition: Condition) -> None:
        self.targets = [target]
        self._target, self._name, self._field = target, name, field
        self._condition = condition
        self._value: Any = None
        self._missing = ""  # a sentence, if the target does not have this object or field

    def start(self, waits: Waits) -> None:
        self._waits = waits
        self._target.query_objects({self._name: [self._field]}, self._queried)

    def _queried(self, result: Any, error: Failure) -> None:
        self._check(result, error)
        if self._is_done or self.closed:
            return
        objects: Objects = {self._name: [self._field]}
        try:
            self._waits.subscriptions.subscribe(
                self._target, self._target, objects, self, self._check
            )
            if self._value is None:
                soon = self._waits.klippy.timers.soon
                Search(self._target, objects, soon, self._searched).start()
        except RouterError as e:
            self.done(None, e)

    def _searched(self, missing: List[Missing]) -> None:
        # The wait continues, as the target may have it later
        if missing and not self.closed:
            self._missing = missing[0].sentence
            self._target.hints.say("ROUTER_OBJECTS_WAIT: %s" % (self._missing,))

    def _check(self, result: Any, error: Failure) -> None:
        if error is not None:
            self.done(None, error)
        else:
            self.update(result["eventtime"], result["status"])

    def update(self, eventtime: float, status: Status) -> None:
        values = status.get(self._name, {})
        if self._field in values:
            self._value = values[self._field]
            if self._condition.is_met_by(self._value):
                self.done(self._value, None)

    def late(self, timeout: str) -> str:
        what = "%s: %s.%s is " % (self._target.name, self._name, self._field)
        if self._value is None:
            why = self._missing and ": %s" % (self._missing,)
            return "%snot known after %s%s" % (what, timeout, why)
        return "%sstill '%s' after %s" % (what, printable(parameter_text(self._value)), timeout)


class FreshWait(Wait):
    """Ends when all subscribed values of a printer, such as its mirror, were read once more."""

    def __init__(self, target: Printer) -> None:
        self.targets = [target]
        self._target = target

    def start(self, waits: Waits) -> None:
        # Each time Klippy reads its status, it sends the changes before the answers to queries
        self._target.query_objects({"webhooks": ["state"]}, self.done)

    def late(self, timeout: str) -> str:
        return "%s: did not answer a status query within %s" % (self._target.name, timeout)
