# Makes values and text from elsewhere safe to encode, log and show
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import math
from typing import Any, Dict, Optional

# Text from elsewhere is cut to this many characters in the log and on the console
MAX_LOGGED = 200
# Levels of nesting. Deeper values are refused: Klippy copies status values recursively for
# macros, and a RecursionError in its JSON encoder shuts the printer down.
MAX_DEPTH = 24
# msgspec, which current Klipper uses where installed, encodes integers up to 64 bits.
MIN_INT, MAX_INT = -(2**63), 2**64 - 1


def printable(text: object) -> str:
    """Text from elsewhere, shortened and on one line, for the log and the console.

    <list> in place of a list, and likewise for a dict: they may be very long.
    """
    if isinstance(text, (list, dict)):
        return "<%s>" % (type(text).__name__,)
    line = str(text)[: MAX_LOGGED + 1]
    if not line.isprintable():
        line = "".join(c if c.isprintable() else " " for c in line)
    line = line.strip()
    return line if len(line) <= MAX_LOGGED else line[: MAX_LOGGED - 3] + "..."


def counted(number: float, noun: str) -> str:
    """'1 peer', '2 peers', '0.5 seconds'."""
    return "%.12g %s%s" % (number, noun, "" if number == 1 else "s")


def plain_text(text: str) -> str:
    """The text with every lone surrogate replaced by U+FFFD, so that it can be encoded.

    A string that cannot be encoded shuts a printer down (klippy/webhooks.py).
    """
    if text.isascii():
        return text
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def plain(value: Any, max_depth: int = MAX_DEPTH) -> Any:
    """What the JSON encoder of every Klippy accepts, with the same meaning.

    The value itself if nothing in it needs a change, as usual: do not change the result. Else a
    copy, which takes two to six times as long.
    Lone surrogates become U+FFFD, NaN and infinity become None, integers of more than 64 bits
    become floats, tuples and sets become lists, and a type that JSON lacks becomes its str().
    Raises ValueError for values nested deeper than max_depth.
    """
    if type(value) in (dict, list) and _is_plain(value, max_depth):
        return value
    return _plain(value, max_depth, max_depth)


def encodable(values: Dict[str, Any]) -> Dict[str, Any]:
    """An object's status as plain() makes it; None for values nested too deeply.

    Returns the dict itself if nothing in it needs a change, as usual: do not change the result. The
    colors of 20 LEDs take 8 us in this way; a copy takes 18 us.
    """
    if _is_plain(values, MAX_DEPTH + 1):  # of each value, so many levels
        return values
    copy: Dict[str, Any] = {}
    for field, value in values.items():
        try:
            copy[field] = plain(value)
        except ValueError:
            copy[field] = None
    return copy


def _is_plain(container: Any, depth: int) -> bool:
    """Whether plain() would change nothing in this dict or list, of so many levels at most."""
    if depth <= 0:
        return False
    values = container
    if type(container) is dict:
        for key in container:
            if type(key) is not str or not (key.isascii() or plain_text(key) is key):
                return False
        values = container.values()
    for value in values:
        kind = type(value)
        if kind is float:
            if value - value != 0.0:  # infinity and NaN
                return False
        elif kind is str:
            if not (value.isascii() or plain_text(value) is value):
                return False
        elif kind is int:
            if not MIN_INT <= value <= MAX_INT:
                return False
        elif kind is list or kind is dict:
            if not _is_plain(value, depth - 1):
                return False
        elif value is not None and kind is not bool:
            return False
    return True


def _plain(value: Any, depth: int, max_depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return plain_text(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if MIN_INT <= value <= MAX_INT else _float_or_none(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, int):
        return _plain(int(value), depth, max_depth)
    if depth <= 0:
        raise ValueError("nested deeper than %d levels" % (max_depth,))
    if isinstance(value, dict):
        # Saves a call for each ASCII string: most keys and values are
        return {
            k if type(k) is str and k.isascii() else plain_text(str(k)): (
                v if type(v) is str and v.isascii() else _plain(v, depth - 1, max_depth)
            )
            for k, v in value.items()
        }
    if isinstance(value, (list, tuple, set, frozenset)):
        # Saves a call for each finite float; infinity - infinity is NaN
        return [
            v if type(v) is float and v - v == 0.0 else _plain(v, depth - 1, max_depth)
            for v in value
        ]
    return plain_text(str(value))


def _float_or_none(value: int) -> Optional[float]:
    try:
        return float(value)
    except OverflowError:
        return None
