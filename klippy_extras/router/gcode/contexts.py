# Event contexts: their text forms and limits
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
from typing import Any, Dict, Iterator, Tuple

from ..errors import UsageError
from ..sanitize import plain
from .parameters import are_longer, parameter_text, shown

# Characters. The latest events stay in printer.router.events, which clients read at 4 Hz.
MAX_CONTEXT = 4096
MAX_CONTEXT_KEYS = 64


def context_of(value: object, values: object = None) -> Dict[str, Any]:
    """The context in a caller's parameters: a dict, text or None, with these values added.

    Raises UsageError for any other type, malformed text, and a context that is too long.
    """
    if isinstance(value, str):
        if len(value) > MAX_CONTEXT:
            raise _too_long()
        context = parse_context(value)
    elif value is None or isinstance(value, dict):
        context = value or {}
    else:
        raise UsageError("Malformed CONTEXT: write an object, or text like lane=1,length=5")
    if values:
        if not isinstance(values, dict):
            raise UsageError("Malformed VALUES: write an object")
        context = dict(context, **values)
    if len(context) > MAX_CONTEXT_KEYS or are_longer([context], MAX_CONTEXT, MAX_CONTEXT):
        raise _too_long()
    if len(parameter_text(context)) > MAX_CONTEXT:
        raise _too_long()
    return plain(context)  # type: ignore[no-any-return]


def parse_context(text: str) -> Dict[str, Any]:
    """Parse a context written as `lane=1,length=5`, `{"lane": 1}` or `{lane:1,length:5}`.

    In the first form all values are text. In the others a value is JSON, or text if it is not
    valid JSON. Empty items are ignored, so a trailing comma is allowed. Raises UsageError.
    """
    body = text.strip()
    try:
        if body[:1] != "{":
            return dict(_pairs(body, "="))
        if body[-1:] != "}":
            raise ValueError("no end")
        try:
            context: Dict[str, Any] = plain(json.loads(body, parse_constant=str))
            return context
        except json.JSONDecodeError:
            pass
        pairs = _pairs(body[1:-1], ":")
        return {_text(key): _value(value) for key, value in pairs}
    except (ValueError, RecursionError):
        raise UsageError(
            "Malformed CONTEXT %s: write key=value, separated by commas, or JSON; pass a value"
            " that contains a comma as a separate parameter" % (shown(text),)
        ) from None


def _pairs(body: str, separator: str) -> Iterator[Tuple[str, str]]:
    for item in body.split(","):
        key, found, value = (part.strip() for part in item.partition(separator))
        if found and key:
            yield key, value
        elif item.strip():
            raise ValueError("neither key nor value")


def _value(text: str) -> Any:
    try:
        return plain(json.loads(text, parse_constant=str))
    except json.JSONDecodeError:
        return _text(text)


def _text(text: str) -> str:
    """The text without the quotation marks that Python prints around it in a dict."""
    mark = text[:1]
    if mark in ("'", '"') and len(text) > 1 and text[-1] == mark:
        return text[1:-1]
    if mark in ("'", '"', "{", "["):
        raise ValueError("no end")
    return text


def _too_long() -> UsageError:
    return UsageError(
        "CONTEXT is too long: %d characters and %d keys at most" % (MAX_CONTEXT, MAX_CONTEXT_KEYS)
    )
