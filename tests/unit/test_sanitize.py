"""Received values, made safe to encode, to log and to show."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.sanitize import (
    MAX_DEPTH,
    MAX_LOGGED,
    counted,
    encodable,
    plain,
    plain_text,
    printable,
)
from tests.unit.json_values import values


@given(values)
def test_a_plain_value_can_be_encoded_strictly(value):
    try:
        copy = plain(value)
    except ValueError as e:
        assert "nested deeper" in str(e)
        return
    json.dumps(copy, ensure_ascii=False, allow_nan=False).encode("utf-8")
    assert plain(copy) == copy


def test_plain_keeps_what_is_plain_already():
    value = {"a": [1, 2.5, None, True, "x"], "b": {"c": "\u00e9"}}
    assert plain(value) is value


@given(st.dictionaries(st.text(), values))
def test_the_status_of_an_object_is_encodable_as_plain_makes_it(status):
    expected = {}
    for field, value in status.items():
        try:
            expected[field] = plain(value)
        except ValueError:
            expected[field] = None
    assert repr(encodable(status)) == repr(expected)


def test_encodable_copies_nothing_that_is_plain_already():
    status = {"color_data": [[1.0, 0.5, 0.0]], "names": {"a": [None, True, 7]}, "text": "x"}
    assert encodable(status) is status


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


@pytest.mark.parametrize("bad", [float("inf"), float("nan"), 2**64, (1,), "\ud800", nested(25)])
def test_encodable_changes_what_no_encoder_takes(bad):
    for status in ({"a": [{"b": bad}], "c": 1}, {"c": 1, "a": bad}):
        changed = encodable(status)
        assert repr(changed) != repr(status) and changed["c"] == 1
        json.dumps(changed, ensure_ascii=False, allow_nan=False).encode("utf-8")


def test_encodable_takes_the_levels_that_plain_takes():
    status = {"a": nested(MAX_DEPTH)}
    assert encodable(status) is status
    assert plain(status["a"]) == status["a"]


def test_plain_refuses_deep_nesting():
    value: list = []
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(ValueError, match="nested deeper"):
        plain(value)


def test_plain_converts_large_integers_to_floats():
    assert plain(2**64) == float(2**64)
    assert plain(2**64 - 1) == 2**64 - 1
    assert plain(10**400) is None


@given(st.text(st.characters(codec=None, categories=None)))
def test_plain_text_has_no_surrogates_and_keeps_the_rest(text: str):
    clean = plain_text(text)
    clean.encode("utf-8")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        assert "\ufffd" in clean or len(clean) < len(text)  # a pair became one character
    else:
        assert clean == text


def test_counts_have_the_right_noun():
    said = [counted(number, "peer") for number in (0, 1, 2, 1.0, 0.5, 1234567)]
    assert said == ["0 peers", "1 peer", "2 peers", "1 peer", "0.5 peers", "1234567 peers"]


@given(st.text(st.characters(codec=None, categories=None), max_size=400))
def test_printable_text_is_one_bounded_line(text: str):
    line = printable(text)
    assert len(line) <= MAX_LOGGED
    assert all(c.isprintable() for c in line)
