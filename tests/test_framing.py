"""Frames and values: whatever bytes come, a message, nothing yet, or BadMessage."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.errors import BadMessage
from klippy_extras.router.framing import ETX, FrameReader, decode, encode
from klippy_extras.router.plain import (
    MAX_DEPTH,
    MAX_LOGGED,
    counted,
    plain,
    plain_text,
    printable,
)

LIMIT = 64

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, categories=None)),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


frames_of_bytes = st.binary(max_size=LIMIT).map(lambda data: data.replace(ETX, b""))


@given(st.lists(frames_of_bytes, max_size=8), st.data())
def test_frames_come_out_as_they_went_in_however_the_stream_is_cut(frames: List[bytes], data):
    stream = b"".join(frame + ETX for frame in frames)
    reader = FrameReader(LIMIT)
    seen: List[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        seen += reader.feed(stream[:size])
        stream = stream[size:]
    assert seen == frames


@given(st.integers(1, 3 * LIMIT))
def test_a_frame_without_end_is_refused_before_it_fills_memory(step: int):
    reader = FrameReader(LIMIT)
    with pytest.raises(BadMessage, match="longer than max_message"):
        for _ in range(LIMIT + 1):
            reader.feed(b"x" * step)


def test_a_long_frame_is_refused_even_when_it_comes_in_one_piece():
    with pytest.raises(BadMessage):
        FrameReader(LIMIT).feed(b"{}" + ETX + b"x" * (LIMIT + 1) + ETX)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(frame: bytes):
    try:
        assert type(decode(frame)) is dict
    except BadMessage:
        pass


@given(st.dictionaries(st.text(), values, max_size=4))
def test_any_json_object_decodes_to_what_strict_utf8_can_encode(message):
    frame = json.dumps(message).encode()
    try:
        decoded = decode(frame)
    except BadMessage as e:
        assert "nested" in str(e)
        return
    json.dumps(decoded, ensure_ascii=False).encode("utf-8")


@pytest.mark.parametrize(
    "frame",
    [b"", b"nonsense", b"[]", b'"text"', b"3", b"null", b"\xff{}", b"[" * 5000, b'{"a":' * 5000],
)
def test_what_is_no_json_object_is_refused(frame):
    with pytest.raises(BadMessage):
        decode(frame)


def test_nan_and_infinity_become_null():
    assert decode(b'{"a": NaN, "b": [Infinity, -Infinity]}') == {"a": None, "b": [None, None]}


def test_encode_ends_a_message():
    assert encode({"id": 1}) == b'{"id":1}' + ETX


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
    assert plain(value) == value
    assert plain(value) is not value


def test_plain_refuses_deep_nesting():
    value: list = []
    for _ in range(MAX_DEPTH + 1):
        value = [value]
    with pytest.raises(ValueError, match="nested deeper"):
        plain(value)


def test_plain_says_large_integers_as_floats():
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


def test_numbers_have_their_nouns():
    said = [counted(number, "peer") for number in (0, 1, 2, 1.0, 0.5, 1234567)]
    assert said == ["0 peers", "1 peer", "2 peers", "1 peer", "0.5 peers", "1234567 peers"]


@given(st.text(st.characters(codec=None, categories=None), max_size=400))
def test_printable_text_is_one_bounded_line(text: str):
    line = printable(text)
    assert len(line) <= MAX_LOGGED
    assert all(c.isprintable() for c in line)
