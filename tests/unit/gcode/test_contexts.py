"""The forms of an event's context: as the daemon's users, JSON's and Python's write it."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
from typing import Any, Dict

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from klippy_extras.router.errors import UsageError
from klippy_extras.router.gcode.contexts import (
    MAX_CONTEXT,
    MAX_CONTEXT_KEYS,
    context_of,
    parse_context,
)

words = st.from_regex("[a-z_][a-z0-9_]{0,9}", fullmatch=True)
# What may stand between two commas of the daemon's form
bare = st.text(st.characters(codec="utf-8", exclude_characters=",")).map(str.strip)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
)
objects = st.dictionaries(
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=3), max_leaves=5),
    max_size=5,
)


@pytest.mark.parametrize(
    "text, context",
    [
        ("lane=1,length=5", {"lane": "1", "length": "5"}),
        (
            " lane = a b , formula = a=b,empty=",
            {"lane": "a b", "formula": "a=b", "empty": ""},
        ),
        ("lane=1,length=5,", {"lane": "1", "length": "5"}),
        ("lane=1,,length=5", {"lane": "1", "length": "5"}),
        ("time=12:30", {"time": "12:30"}),
        ("", {}),
        (" ", {}),
        (",", {}),
        ('{"lane": 1, "name": "a, b"}', {"lane": 1, "name": "a, b"}),
        ('{"lane": 1,}', {"lane": 1}),
        ("{}", {}),
        ("{lane:1,length:5}", {"lane": 1, "length": 5}),
        (" { lane : 1.5 , length : n , } ", {"lane": 1.5, "length": "n"}),
        ("{a:true,b:null,c:True,d:007}", {"a": True, "b": None, "c": "True", "d": "007"}),
        ("{a:,b:12:30}", {"a": "", "b": "12:30"}),
        # What Python prints of a dict, and Klipper of a macro's {context}
        ("{'lane': 1, 'name': 'a b'}", {"lane": 1, "name": "a b"}),
        ("{a:NaN,b:[1]}", {"a": "NaN", "b": [1]}),
        ('{"a":NaN}', {"a": "NaN"}),
    ],
)
def test_forms(text: str, context: Dict[str, Any]) -> None:
    assert parse_context(text) == context


@pytest.mark.parametrize(
    "text",
    [
        "lane",
        "=1",
        "a=1,2",
        "a:1",
        "{",
        "}",
        "{a:1",
        "{a}",
        "{:1}",
        "{a=1}",
        "{a:1,2}",
        "{a:[1,2]}",
        "{a:{b:1}}",
        "{msg:'a,b'}",
        "{'a:1}",
        "{" * 2000 + "}" * 2000,
        '{"a":' * 30 + "1" + "}" * 30,
        '{"a":%s}' % ("[" * 1500 + "]" * 1500),
    ],
)
def test_malformed(text: str) -> None:
    with pytest.raises(UsageError, match="^Malformed CONTEXT "):
        parse_context(text)


@given(st.dictionaries(words, bare, max_size=5))
def test_the_daemons_form_is_text(values: Dict[str, str]) -> None:
    text = ",".join(f"{key}={value}" for key, value in values.items())
    assert parse_context(text) == values
    assert parse_context(text + ",") == values


@given(objects)
def test_json_keeps_everything(values: Dict[str, Any]) -> None:
    assert parse_context(json.dumps(values)) == values
    assert parse_context(json.dumps(values, ensure_ascii=False, indent=1)) == values


@given(st.dictionaries(words, st.integers(-(2**63), 2**64 - 1) | st.booleans() | words, max_size=5))
def test_a_context_without_its_quotation_marks_reads_the_same(values: Dict[str, Any]) -> None:
    # As Klipper's parser leaves CONTEXT={"lane":1}
    reserved = {"true", "false", "null"}
    values = {k: v for k, v in values.items() if not (isinstance(v, str) and v in reserved)}
    assert parse_context(json.dumps(values).replace('"', "")) == values


@given(st.text() | st.text(st.sampled_from("{}[]:,='\"\\ua1.e-+ \ud800"), max_size=40))
@example('{"a":"\\ud800"}')
@example("{a:1e999}")
@example("{a:%s}" % ("9" * 4000))
def test_any_text_is_a_context_that_json_can_encode_or_one_short_error(text: str) -> None:
    try:
        context = parse_context(text)
    except UsageError as e:
        assert str(e).isprintable() and len(str(e)) < 1000
        return
    if not text.lstrip().startswith("{"):
        return  # as it was given
    json.dumps(context, allow_nan=False).encode()
    if "\ud800" not in text:
        json.dumps(context, ensure_ascii=False).encode()


def test_values_are_added() -> None:
    assert context_of("a=1,b=2", {"b": 3}) == {"a": "1", "b": 3}
    assert context_of({"a": 1}, {}) == {"a": 1}
    assert context_of(None, {"a": 1}) == context_of("", {"a": 1}) == {"a": 1}
    given_object = {"a": 1}
    context_of(given_object, {"b": 2})
    assert given_object == {"a": 1}


def test_other_types() -> None:
    for value in 1, ["a"], True:
        with pytest.raises(UsageError, match="^Malformed CONTEXT: write an object"):
            context_of(value)
        with pytest.raises(UsageError, match="^Malformed VALUES: write an object"):
            context_of({}, value)


def test_bounds() -> None:
    longest = "x" * (MAX_CONTEXT - len('{"a":""}'))
    assert context_of({"a": longest}) == {"a": longest}
    most = dict.fromkeys(map(str, range(MAX_CONTEXT_KEYS)), 1)
    assert context_of(most) == most
    for value, values in (
        ({"a": longest + "x"}, None),
        (dict(most, more=1), None),
        (most, {"more": 1}),
        ("a=" + "x" * MAX_CONTEXT, None),
        ("," * (MAX_CONTEXT + 1), None),
    ):
        with pytest.raises(UsageError, match="^CONTEXT is too long: 4096 characters and 64 keys"):
            context_of(value, values)
