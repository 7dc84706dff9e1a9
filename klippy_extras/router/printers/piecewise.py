# Decodes a long JSON text in pieces, each of which takes a short time
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# The time that Python's decoder takes grows with the text. Here it gets only what ends within PIECE
# characters: a value, or several elements of a container. A container that is longer is entered,
# and its elements are decoded one after the other. Only a single text value is decoded at once,
# however long: that takes a tenth of the time of other values.
import json
import re
from typing import Any, Dict, List, Tuple, Union

from ..sanitize import plain

# Characters that are decoded at once
PIECE = 2048
# Levels of containers that are entered: the first piece of each is decoded in vain
MAX_ENTERED = 32
# Python's decoder accepts NaN and Infinity, which are not JSON: read them as null
DECODER = json.JSONDecoder(parse_constant=lambda _name: None)
# What ends an element that begins in this way
_ENDS = {"{": "},", "[": "],"}
_KEY = re.compile(r'"((?:[^"\\\x00-\x1f]|\\.)*)"[ \t\r\n]*:[ \t\r\n]*')
_SPACE = re.compile(r"[ \t\r\n]*")
_SEPARATOR = re.compile(r"[ \t\r\n]*(.?)[ \t\r\n]*", re.DOTALL)


class _Entered:
    """A container that is longer than a piece."""

    # Whether several of its elements were decoded at once, as far as that was tried
    takes_several = True

    def __init__(self, opening: str) -> None:
        self.is_object = opening == "{"
        self.closing = "}" if self.is_object else "]"
        self.elements: Union[List[Any], Dict[str, Any]] = {} if self.is_object else []

    def add(self, key: str, value: Any) -> None:
        if type(self.elements) is dict:
            self.elements[key] = value
        else:
            self.elements.append(value)  # type: ignore[union-attr]

    def add_several(self, values: Any) -> None:
        if type(self.elements) is dict:
            self.elements.update(values)
        else:
            self.elements.extend(values)  # type: ignore[union-attr]


class PiecewiseDecoder:
    """Decodes one JSON text. Call step() until it returns True: `value` is complete, and plain().

    step() raises ValueError or RecursionError for what is not JSON.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._skip_space(0)
        self._entered: List[_Entered] = []
        self.value: Any = None

    def step(self) -> bool:
        """Decode the next piece. Returns whether it was the last one."""
        if self._take_several() or self._take_one():
            return self._go_on()
        return False

    def _take_several(self) -> bool:
        """Decode the elements of a container that end within a piece, if that is possible."""
        if not self._entered or not self._entered[-1].takes_several:
            return False
        entered, text, at = self._entered[-1], self._text, self._at
        first = self._read_key(at)[1] if entered.is_object else at
        end_mark = _ENDS.get(text[first : first + 1], ",")
        found = text.rfind(end_mark, at, at + PIECE)
        if found <= at:
            return False
        end = found + len(end_mark) - 1  # where the comma is
        elements = text[at:end]
        try:
            values = DECODER.decode("{%s}" % elements if entered.is_object else "[%s]" % elements)
        except ValueError:
            # That comma is inside of an element, as in the others, perhaps
            entered.takes_several = False
            return False
        entered.add_several(plain(values))
        self._at = end
        return True

    def _take_one(self) -> bool:
        """Decode the next value, or enter it if it is a long container. Returns whether decoded."""
        text, key = self._text, ""
        if self._entered and self._entered[-1].is_object:
            key, self._at = self._read_key(self._at)
        at = self._at
        is_container = text[at : at + 1] in _ENDS
        if is_container and self._is_probably_long(at):
            return self._enter(key)
        try:
            if is_container:
                value, length = DECODER.raw_decode(text[at : at + PIECE])
                end = at + length
            else:
                value, end = DECODER.raw_decode(text, at)
        except ValueError:
            if not is_container or at + PIECE >= len(text):
                raise
            return self._enter(key)
        self._put(key, plain(value))
        self._at = end
        return True

    def _is_probably_long(self, at: int) -> bool:
        """Whether to enter a container without trying to decode it: it ends after others in it."""
        text, end = self._text, at + PIECE
        closing = "}" if text[at] == "{" else "]"
        return end < len(text) and text.count(text[at], at, end) > text.count(closing, at, end) + 1

    def _enter(self, key: str) -> bool:
        """Enter the container here. Returns whether it is empty."""
        if len(self._entered) >= MAX_ENTERED:
            raise ValueError("nested too deeply")
        entered = _Entered(self._text[self._at])
        self._put(key, entered.elements)
        self._entered.append(entered)
        self._at = self._skip_space(self._at + 1)
        return self._text[self._at : self._at + 1] == entered.closing

    def _put(self, key: str, value: Any) -> None:
        if self._entered:
            self._entered[-1].add(key, value)
        else:
            self.value = value

    def _go_on(self) -> bool:
        """Go to the next element, out of the containers that end here. Returns whether at the end.

        Raises ValueError if something else follows.
        """
        while True:
            found = _SEPARATOR.match(self._text, self._at)
            following = found.group(1) if found else ""
            if not self._entered:
                if following:
                    raise ValueError("extra data at character %d" % (self._at,))
                return True
            if following != "," and following != self._entered.pop().closing:
                raise ValueError("no comma or bracket at character %d" % (self._at,))
            self._at = found.end() if found else self._at
            if following == ",":
                return False

    def _read_key(self, at: int) -> Tuple[str, int]:
        """The key here, and where its value begins."""
        found = _KEY.match(self._text, at)
        if found is None:
            raise ValueError("no key at character %d" % (at,))
        key = found.group(1)
        if "\\" in key:
            key = plain(json.loads('"%s"' % (key,)))
        return key, found.end()

    def _skip_space(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at
