"""A text that is decoded in pieces gives what json.loads gives, and each piece is short."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.printers import piecewise
from klippy_extras.router.printers.piecewise import DECODER, PIECE, PiecewiseDecoder
from klippy_extras.router.sanitize import plain
from tests.unit.json_values import values

SMALL_PIECE = 8


@pytest.fixture(scope="module", autouse=True)
def small_pieces():
    """So that short values, too, take many pieces."""
    patch = pytest.MonkeyPatch()
    patch.setattr(piecewise, "PIECE", SMALL_PIECE)
    yield
    patch.undo()


def decode(text: str) -> Any:
    decoder = PiecewiseDecoder(text)
    for _step in range(2 * len(text) + 2):
        if decoder.step():
            return decoder.value
    raise AssertionError("does not end")


@given(
    values, st.sampled_from([None, 1]), st.sampled_from([(", ", ": "), (",", ":"), (" ,", " :")])
)
def test_what_json_encodes_is_decoded(value, indent, separators):
    text = json.dumps(value, indent=indent, separators=separators)
    assert decode(text) == plain(DECODER.decode(text))


@given(values, st.data())
def test_what_json_refuses_is_refused(value, data):
    text = json.dumps(value)
    at = data.draw(st.integers(0, len(text)))
    text = text[:at] + data.draw(st.sampled_from(list('[]{},:"\\ 1a'))) + text[at + 1 :]
    try:
        expected = plain(DECODER.decode(text))
    except ValueError:
        with pytest.raises(ValueError):
            decode(text)
    else:
        assert decode(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "[" + " " * 20 + "]", "[,1" + ",1" * 20 + "]", "[1" + ",1" * 20 + ",]", '{"a"}',
     '{"a":1' + ',"b":2' * 9 + ",}", '{1:"' + "x" * 20 + '"}', "[1] " + " " * 20 + "[2]",
     "{" + " " * 20 + "}", '{"a\\n\\u00e9":' + "[0,1,2,3,4,5,6,7]" + "}", "[1" + " 1" * 20 + "]"],
)  # fmt: skip
def test_separators_and_keys_are_those_of_json(text):
    try:
        expected = DECODER.decode(text)
    except ValueError:
        with pytest.raises(ValueError):
            decode(text)
    else:
        assert decode(text) == expected


def test_what_klippy_cannot_encode_is_replaced():
    values = ["\ud800" * 9, {"\udfff": float("nan")}, "\U0001f600" * 5, 2**70, float("inf")]
    replaced = ["\ufffd" * 9, {"\ufffd": None}, "\U0001f600" * 5, 2.0**70, None]
    assert decode(json.dumps({"a" * 9: values})) == {"a" * 9: replaced}


def test_containers_in_containers_are_entered_to_a_limited_depth():
    with pytest.raises(ValueError, match="nested too deeply"):
        decode("[" * 100 + "]" * 100)


def test_the_text_of_a_step_is_short(monkeypatch):
    monkeypatch.setattr(piecewise, "PIECE", PIECE)
    numbers = {"settings": {f"object {i}": {"values": [0.5] * 20, "a": {}} for i in range(500)}}
    text = json.dumps([numbers, list(range(9999))])
    decoder = PiecewiseDecoder(text)
    steps, before, is_last = 0, 0, False
    while not is_last:
        is_last = decoder.step()
        assert decoder._at - before <= PIECE + 10
        steps, before = steps + 1, decoder._at
    assert decoder.value == DECODER.decode(text)
    assert steps < 2 * len(text) / PIECE + 20
