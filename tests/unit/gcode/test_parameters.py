"""Values and names as G-code parameters, and the parameter OBJECTS."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import math
import re
import shlex
from typing import Any, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.errors import UsageError
from klippy_extras.router.gcode import parameters
from klippy_extras.router.gcode.parameters import (
    MAX_ELEMENTS,
    MAX_LENGTH,
    StatusParameters,
    command,
    parameter,
    parameter_name,
    parameter_text,
    parse_objects,
    status_params,
    within_quotes,
)
from klippy_extras.router.gcode.templates import Template
from klippy_extras.router.sanitize import plain_text
from tests.unit.gcode.values import texts, values


def test_a_command_that_would_halt_the_printer_is_refused() -> None:
    command("ON_X", {"A": "x" * (MAX_LENGTH - 9)})
    with pytest.raises(UsageError, match="16385 characters"):
        command("ON_X", {"A": "x" * (MAX_LENGTH - 9) + "x"})
    with pytest.raises(UsageError, match="20005 characters"):
        Template("M118 {x}").render({"x": "x" * 20000}, False)


@pytest.mark.parametrize("name", ["", "M112\nON_X", "ON_X A=1", "ON X", "M117", "G28", "ß", "A2_B"])
def test_only_a_whole_command_is_a_command(name: str) -> None:
    with pytest.raises(UsageError, match="is not the name of a command"):
        command(name, {})


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("print_stats", "state"), "PRINT_STATS_STATE"),
        (("heater_generic chamber", "temperature"), "HEATER_GENERIC_CHAMBER_TEMPERATURE"),
        (("fan_generic  Kühler (2)", "speed"), "FAN_GENERIC_K_HLER_2_SPEED"),
        (("weiß", "\u0131\u017f"), "WEISS_IS"),
        (("\u212aelvin",), "_ELVIN"),
        (("lane=1 b",), "LANE_1_B"),
        (("1st",), "_1ST"),
        (("",), "_"),
    ],
)
def test_parameter_names(parts: Tuple[str, ...], name: str) -> None:
    assert parameter_name(*parts) == name


@given(key=texts)
def test_a_parameter_name_stays_itself(key: str) -> None:
    name = parameter_name(key)
    assert name == parameter_name(name) == name.upper()
    assert name.isascii() and name.isidentifier()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a b", "a b"),
        (None, ""),
        (True, "True"),
        (False, "False"),
        (1, "1"),
        (-0.5, "-0.5"),
        (1e-07, "1e-07"),
        (100.0, "100.0"),
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        ([0.1, 2, None, True], "[0.1,2,null,true]"),
        ((1.0, 2.0), "[1.0,2.0]"),
        ({"a": {"b": "é"}}, '{"a":{"b":"é"}}'),
        ({"a": {1}}, '{"a":"{1}"}'),
        ({(1, 2): 3}, "<dict>"),
    ],
)
def test_texts(value: Any, text: str) -> None:
    assert parameter_text(value) == text


@given(value=values)
def test_lists_and_objects_are_json(value: Any) -> None:
    text = parameter_text(value)
    if isinstance(value, (list, dict)):
        assert json.dumps(json.loads(text)) == json.dumps(value)


@pytest.mark.parametrize(
    ("old_parser", "written"), [(False, "a b c d  #e*f;g \ufffd"), (True, "a b c d  _e_f_g \ufffd")]
)
def test_what_no_parser_takes_is_replaced(old_parser: bool, written: str) -> None:
    text = "a\r\nb\rc\nd\n\r#e*f;g \ud800"
    assert parameter("KEY", text, old_parser) == f"KEY='{written}'"


def _replaced(text: str, old_parser: bool) -> str:
    """The same by regular expressions, which take ten times as long for a text of line breaks."""
    text = plain_text(re.sub("\r\n|\r|\n", " ", text))
    return re.sub("[#*;]", "_", text) if old_parser else text


@given(texts | st.text(st.sampled_from("\r\n#*; \ud800\u00e9x")), st.booleans())
def test_what_is_replaced_is_all_that_no_parser_takes(text: str, old_parser: bool) -> None:
    # What _replaced() returns needs escapes only
    for mark in "'\"":
        written = within_quotes(text, mark, old_parser)
        assert written == within_quotes(_replaced(text, old_parser), mark, old_parser)
        assert shlex.split(mark + written + mark) == [_replaced(text, old_parser)]


def test_any_value_can_be_written_as_text() -> None:
    class Silent:
        def __str__(self) -> str:
            raise RuntimeError

    class Number:
        def tolist(self) -> float:
            return 2.5

    class Word(str):
        def __str__(self) -> str:
            return "another"

    circle: List[Any] = []
    circle.append(circle)
    deep: List[Any] = []
    for _ in range(100000):
        deep = [deep]
    assert parameter_text(Silent()) == "<Silent>"
    assert parameter_text([Silent()]) == "<list>"
    assert parameter_text(circle) == "<list>"
    assert parameter_text(deep) == "<list>"
    assert parameter_text(10**5000) in ("<int>", "1" + "0" * 5000)  # older Pythons can write it
    assert parameter_text(Number()) == "2.5"
    assert parameter_text([Number()]) == "[2.5]"
    assert parameter_text(Word("word")) == "word"


def test_none_is_left_out_of_a_result_and_empty_in_a_change() -> None:
    status = {"heater_generic chamber": {"target": None, "power": 0.0}}
    assert status_params(status) == {"HEATER_GENERIC_CHAMBER_POWER": 0.0}
    written = StatusParameters().write(status, old_parser=False)
    assert written == ["HEATER_GENERIC_CHAMBER_TARGET=''", "HEATER_GENERIC_CHAMBER_POWER='0.0'"]


@given(
    updates=st.lists(
        st.tuples(
            st.booleans(),
            st.dictionaries(texts, st.dictionaries(texts, values, max_size=3), max_size=2),
        ),
        max_size=3,
    ),
    old=st.lists(st.booleans(), min_size=1, max_size=3),
)
def test_shared_values_are_written_like_any_other(updates: Any, old: List[bool]) -> None:
    shared = StatusParameters()
    for share, status in updates:
        shared.share(share)
        for old_parser in old:
            alone = StatusParameters().write(status, old_parser)
            assert shared.write(status, old_parser) == alone


def test_a_value_for_several_callbacks_is_written_once() -> None:
    written: List[str] = []

    class Noted:
        def __str__(self) -> str:
            written.append("once")
            return "text"

    shared = StatusParameters()
    shared.share(True)
    status = {"thing": {"field": Noted()}}
    for _ in range(3):
        assert shared.write(status, old_parser=False) == ["THING_FIELD='text'"]
    assert written == ["once"]


def test_objects() -> None:
    assert parse_objects("print_stats:state|filename,toolhead") == {
        "print_stats": ["state", "filename"],
        "toolhead": None,
    }
    assert parse_objects(" heater_generic chamber : temperature | target ,fan") == {
        "heater_generic chamber": ["temperature", "target"],
        "fan": None,
    }
    assert parse_objects("a:b,a:c|b,d:e,d,f,f:g") == {"a": ["b", "c"], "d": None, "f": None}


@pytest.mark.parametrize("text", ["", " ", ",", "a,", "a:", "a:b|", ":b", "a,,b"])
def test_malformed_objects(text: str) -> None:
    with pytest.raises(UsageError, match="^Malformed OBJECTS '"):
        parse_objects(text)


@given(text=texts)
def test_messages_about_input_are_short_and_printable(text: str) -> None:
    try:
        parse_objects("=:," + text * 10)
    except UsageError as e:
        assert str(e).isprintable() and len(str(e)) < 1000


@pytest.mark.parametrize(
    "value",
    [
        [0.5] * MAX_LENGTH,
        {str(i): [1, {"a": "b"}] for i in range(MAX_LENGTH)},
        "x" * 3 * MAX_LENGTH,
    ],
)
def test_values_that_are_far_too_long_are_refused_before_they_are_written(value, monkeypatch):
    monkeypatch.setattr(parameters, "parameter", None)
    with pytest.raises(UsageError, match="more would block the printer"):
        StatusParameters().write({"mesh": {"matrix": value}}, False)


HALF = MAX_ELEMENTS // 2


@pytest.mark.parametrize(
    "status", [{"a": [1] * MAX_ELEMENTS}, {"a": [[]] * (HALF - 1) + [[1] * HALF]}]
)
def test_more_values_than_can_be_written_in_a_short_time_are_refused(status):
    with pytest.raises(
        UsageError, match=f"or there are more than {MAX_ELEMENTS} of them; more would"
    ):
        StatusParameters().write({"o": status}, False)
    status["a"].pop()
    assert StatusParameters().write({"o": status}, False)


def test_no_more_names_are_written_than_fit(monkeypatch):
    named = []
    monkeypatch.setattr(parameters, "parameter_name", lambda *key: named.append(key) or "X" * 100)
    with pytest.raises(UsageError, match="the values are longer than"):
        StatusParameters().write({"toolhead": {f"field_{i}": i for i in range(4000)}}, False)
    assert len(named) <= MAX_LENGTH // 100


@given(st.dictionaries(st.text(max_size=5), values), st.booleans())
def test_no_value_that_fits_is_refused(fields, old_parser):
    expected = [parameter(parameter_name("o", f), v, old_parser) for f, v in fields.items()]
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as patch:
        patch.setattr(parameters, "MAX_LENGTH", len(" ".join(expected)) + 1)
        assert StatusParameters().write({"o": fields}, old_parser) == expected
