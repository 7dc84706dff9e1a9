# Messages of Klippy's API socket: JSON objects ended by 0x03
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
from json.encoder import encode_basestring_ascii
from typing import Any, Dict, List

from .errors import BadMessage
from .plain import plain

ETX = b"\x03"
_SCRIPTS = (
    '{"id":-%d,"method":"gcode/script","params":{"script":""}}\x03'
    '{"id":%d,"method":"gcode/script","params":{"script":%s}}\x03'
)
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
# NaN and Infinity are no JSON, but Python reads them: null is what a strict reader can take
# scan_once is what raw_decode() calls
_scan = json.JSONDecoder(parse_constant=lambda _name: None).scan_once  # type: ignore[attr-defined]


def encode(message: Dict[str, Any]) -> bytes:
    """The bytes of one message. Raises TypeError or ValueError for what JSON cannot say."""
    return _encode(message).encode("utf-8") + ETX


def encode_script(number: int, script: str) -> bytes:
    """encode() of a gcode/script, behind an empty one whose number is -number."""
    text = _SCRIPTS % (number, number, encode_basestring_ascii(script))
    return text.encode("ascii")


def decode(frame: bytes) -> Dict[str, Any]:
    """The message in a frame (without its 0x03).

    Raises BadMessage when it is not a JSON object in UTF-8.
    """
    try:
        text = frame.decode("utf-8").strip(" \t\r\n")
        message, end = _scan(text, 0)
        if end != len(text):
            raise BadMessage("sent more than one JSON value in a message")
        if type(message) is not dict:
            raise BadMessage("sent JSON that is not an object")
        # A lone surrogate can only come from a \ud... escape. Text with one cannot be encoded
        # again, neither for Klippy's log nor (with msgspec) for its API clients.
        if b"\\ud" in frame or b"\\uD" in frame:
            message = plain(message)
    except (ValueError, RecursionError) as e:
        raise BadMessage("sent no usable JSON: %s" % (e,)) from None
    except StopIteration:
        raise BadMessage("sent no usable JSON: a value is missing") from None
    return message  # type: ignore[no-any-return]


class FrameReader:
    """Cuts a byte stream into frames, each of max_message bytes at most."""

    def __init__(self, max_message: int) -> None:
        self._max_message = max_message
        self._parts: List[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> List[bytes]:
        """The frames that are complete with these bytes, without their 0x03.

        Raises BadMessage when a message is longer than max_message.
        """
        longest = self._size + len(data)  # no message in here can be longer
        frames = data.split(ETX)
        rest = frames.pop()
        if frames:
            if self._parts:
                self._parts.append(frames[0])
                frames[0] = b"".join(self._parts)
                self._parts = []
            self._size = 0
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
        if longest > self._max_message and (
            self._size > self._max_message or max(map(len, frames), default=0) > self._max_message
        ):
            raise BadMessage(
                "sent a message longer than max_message (%d bytes)" % (self._max_message,)
            )
        return frames
