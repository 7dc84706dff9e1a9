"""Frames: any bytes are a message, incomplete, or a BadMessage."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.errors import BadMessage
from klippy_extras.router.printers.framing import (
    ETX,
    MAX_SKIPPED,
    FrameReader,
    Oversized,
    decode,
    encode,
)
from klippy_extras.router.printers.session import OUTPUT_METHOD
from tests.unit.json_values import values

LIMIT = 64


frames_of_bytes = st.binary(max_size=LIMIT).map(lambda data: data.replace(ETX, b""))


@given(st.lists(frames_of_bytes, max_size=8), st.data())
def test_frames_are_read_unchanged_however_the_stream_is_split(frames: List[bytes], data):
    stream = b"".join(frame + ETX for frame in frames)
    reader = FrameReader(LIMIT)
    seen: List[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        seen += reader.feed(stream[:size])
        stream = stream[size:]
    assert seen == frames


# More than what is kept of both ends, as with any max_message
LONG = 256


@given(st.lists(st.binary(max_size=3 * LONG), max_size=6), st.data())
def test_both_ends_of_frames_that_are_too_long_are_kept_however_the_stream_is_split(frames, data):
    frames = [frame.replace(ETX, b"") for frame in frames]
    stream = b"".join(frame + ETX for frame in frames)
    reader = FrameReader(LONG)
    seen: list = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        seen += reader.feed(stream[:size])
        stream = stream[size:]
    assert not reader.skipping
    assert seen == [f if len(f) <= LONG else Oversized(f[:200], f[-200:]) for f in frames]


def test_a_message_that_is_too_long_takes_no_memory_and_an_endless_one_is_refused():
    reader = FrameReader(LONG)
    assert reader.feed(b'{"id":7,' + b"x" * LONG) == []
    for _ in range(MAX_SKIPPED // 65536 - 1):
        assert reader.feed(b"x" * 65536) == []
        assert reader.skipping and sum(map(len, reader._parts)) <= 200
    skipped = Oversized(b'{"id":7,' + b"x" * 192, b"x" * 200)
    assert reader.feed(ETX + b"{}" + ETX) == [skipped, b"{}"]
    with pytest.raises(BadMessage, match="does not end"):
        for _ in range(MAX_SKIPPED // 65536 + 2):
            reader.feed(b"x" * 65536)


@pytest.mark.parametrize(
    ("head", "tail", "answer_to", "method"),
    [
        (b'{"id":12,"result":{"x":"', b'"}}', 12, ""),
        (b'{"id": 12, "error": {"x":"', b'","method":"a/b"}', 12, ""),
        (b'{"method":"router/gcode/output","params":{"response":"', b'"}}', None, OUTPUT_METHOD),
        (b'{"params":{"a":"', b'"},"method":"router/event/trigger"}', None, "router/event/trigger"),
        (b'{"params":{"a":"', b'\\"},\\"method\\":\\"a/b"}}', None, ""),
        (b'{"id":"12","result":{"x":"', b'"}}', None, ""),
        (b"xxxx", b"xxxx", None, ""),
    ],
)
def test_a_message_that_is_too_long_names_its_request(head, tail, answer_to, method):
    message = Oversized(head, tail)
    assert (message.answer_to, message.method) == (answer_to, method)


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
def test_anything_but_a_json_object_is_refused(frame):
    with pytest.raises(BadMessage):
        decode(frame)


def test_nan_and_infinity_become_null():
    assert decode(b'{"a": NaN, "b": [Infinity, -Infinity]}') == {"a": None, "b": [None, None]}


def test_encode_ends_a_message():
    assert encode({"id": 1}) == b'{"id":1}' + ETX
