"""Objects and fields that a printer does not have, and the nearest name that it has."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Dict, List, Tuple

import pytest

from klippy_extras.router.printers.printer import Objects
from klippy_extras.router.status.missing_names import (
    COMPARED_AT_ONCE,
    LISTED_AT_ONCE,
    Missing,
    Search,
)


class Target:
    """A printer with these objects; answers at once."""

    name = "led"

    def __init__(self, **objects: Dict[str, Any]) -> None:
        self.objects = objects
        self.queries: List[List[str]] = []

    def list_objects(self, done: Callable[[Any, Any], None]) -> None:
        done({"objects": list(self.objects)}, None)

    def query_objects(self, objects: Objects, done: Callable[[Any, Any], None]) -> None:
        self.queries.append(list(objects))
        done({"eventtime": 1.0, "status": {n: self.objects[n] for n in objects}}, None)


def search(target: Target, objects: Objects) -> List[Missing]:
    return search_in_turns(target, objects)[0]


def search_in_turns(target: Target, objects: Objects) -> Tuple[List[Missing], int]:
    """Also returns how many turns of the reactor it took."""
    found: List[List[Missing]] = []
    due: List[Callable[[], None]] = []
    Search(target, objects, due.append, found.append).start()  # type: ignore[arg-type]
    turns = 0
    while due:
        due.pop(0)()
        turns += 1
    (missing,) = found
    return missing, turns


@pytest.mark.parametrize(
    ("wrong", "guess"),
    [
        ("print_stat", "print_stats"),
        ("prnt_stats", "print_stats"),
        ("tool_head", "toolhead"),
        ("neopixel", "neopixel strip"),
        ("heater_generic Chmber", "heater_generic chamber"),
        ("temperature_sensor chamber", "heater_generic chamber"),
        ("gcode_macro PRINT_START", "gcode_macro START_PRINT"),
        ("gcode_macro DISCO", ""),
        ("nothing_like_it", ""),
        ("", ""),
    ],
)
def test_the_nearest_name_is_found(wrong, guess):
    names = ["print_stats", "toolhead", "neopixel strip", "heater_generic chamber", "webhooks"]
    names += ["gcode_macro START_PRINT", "gcode_macro STATE"]
    names += [f"gcode_macro M{number}" for number in range(2 * COMPARED_AT_ONCE)]
    (missing,) = search(Target(**{name: {} for name in names}), {wrong: ["x"]})
    expected = f"led has no object '{wrong}'" + (f": did you mean '{guess}'?" if guess else "")
    assert missing == Missing(wrong, None, expected)


def test_objects_are_queried_only_where_fields_may_be_missing():
    target = Target(a={"x": None}, b={"y": 1})
    assert search(target, {"a": None, "c": None})[0].name == "c"
    assert target.queries == []
    (missing,) = search(target, {"a": ["x"], "b": ["y", "z"]})
    assert (missing.name, missing.field) == ("b", "z")
    assert target.queries == [["a", "b"]]


@pytest.mark.parametrize(
    ("number", "turns"), [(LISTED_AT_ONCE, 0), (LISTED_AT_ONCE + 1, 1), (3 * LISTED_AT_ONCE, 2)]
)
def test_many_objects_are_looked_at_in_steps(number, turns):
    target = Target(**{f"gcode_macro M{n}": {} for n in range(number)})
    objects = {f"gcode_macro M{n}": None for n in (0, number - 1)}
    assert search_in_turns(target, objects) == ([], turns + 1)
    (missing,) = search(target, {**objects, f"gcode_macro M{number}": None})
    assert missing.name == f"gcode_macro M{number}"
