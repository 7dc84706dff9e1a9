# Waiting, from a macro, for a value in the status of a printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import math
from typing import Any, Callable, Dict, List, Mapping

from ..errors import RouterError
from ..gcode.parameters import parameter_text
from ..klippy.klippy import Klippy
from ..printers.printer import Failure, Objects, Printer, Status
from ..sanitize import printable
from ..status.missing_names import Missing, Search
from ..status.subscriptions import Subscriptions
from .waits import Wait

Condition = Callable[[Any], bool]
# The parameters that condition_of() reads
CONDITIONS = ("EQUALS", "NOT_EQUALS", "MINIMUM", "MAXIMUM")


class StatusWait(Wait):
    """Ends when a field of an object fulfils the condition: a value read after it has begun.

    What is known already may be from before, so the printer is asked first. It answers at its next
    look at its status (a peer within 250 ms, this printer at once), behind the changes of that
    look; from then on changes are enough.
    """

    def __init__(
        self,
        klippy: Klippy,
        subscriptions: Subscriptions,
        target: Printer,
        name: str,
        field: str,
        condition: Condition,
    ) -> None:
        super().__init__(klippy)
        self.targets = [target]
        self._subscriptions, self._target = subscriptions, target
        self._name, self._field, self._condition = name, field, condition
        self._soon = klippy.timers.soon
        self._value: Any = None
        self._missing = ""  # what the target does not have of it

    def start(self) -> None:
        self._target.query_objects({self._name: [self._field]}, self._queried)

    def _queried(self, result: Any, error: Failure) -> None:
        self._check(result, error)
        if self._is_done or self.closed:
            return
        objects: Objects = {self._name: [self._field]}
        try:
            self._subscriptions.subscribe(self._target, self._target, objects, self, self._check)
            if self._value is None:
                Search(self._target, objects, self._soon, self._searched).start()
        except RouterError as e:
            self.done(None, e)

    def _searched(self, missing: List[Missing]) -> None:
        # The target may get it later, so that the wait goes on
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
            if self._condition(self._value):
                self.done(self._value, None)

    def late(self, timeout: str) -> str:
        what = "%s: %s.%s is " % (self._target.name, self._name, self._field)
        if self._value is None:
            why = self._missing and ": %s" % (self._missing,)
            return "%snot known after %s%s" % (what, timeout, why)
        return "%sstill '%s' after %s" % (what, printable(parameter_text(self._value)), timeout)


class FreshWait(Wait):
    """Ends when all that is followed of a printer, its mirror for example, was read once more."""

    def __init__(self, klippy: Klippy, target: Printer) -> None:
        super().__init__(klippy)
        self.targets = [target]
        self._target = target

    def start(self) -> None:
        # Klippy sends the changes of the same look at its status before the answers
        self._target.query_objects({"webhooks": ["state"]}, self.done)

    def late(self, timeout: str) -> str:
        return "%s: its status was not answered after %s" % (self._target.name, timeout)


def condition_of(params: Mapping[str, str]) -> Condition:
    """The condition that EQUALS, NOT_EQUALS, MINIMUM and MAXIMUM say together.

    None is no value: it fulfils none. Raises ValueError when there is no condition, or a bound is
    no number.
    """
    tests: List[Condition] = []
    if "EQUALS" in params:
        tests.append(lambda value: _equal(value, params["EQUALS"]))
    if "NOT_EQUALS" in params:
        tests.append(lambda value: not _equal(value, params["NOT_EQUALS"]))
    bounds: Dict[str, float] = {k: float(params[k]) for k in CONDITIONS[2:] if k in params}
    if any(math.isnan(bound) for bound in bounds.values()):
        raise ValueError("not a number")
    if "MINIMUM" in bounds:
        tests.append(lambda value: _is_number(value) and value >= bounds["MINIMUM"])
    if "MAXIMUM" in bounds:
        tests.append(lambda value: _is_number(value) and value <= bounds["MAXIMUM"])
    if not tests:
        raise ValueError("no condition")
    return lambda value: value is not None and all(test(value) for test in tests)


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
