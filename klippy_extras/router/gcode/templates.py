# Event templates: the G-code of a handler with {key} for values of the event's context
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# How Klipper parses a line, and what must be escaped in a value, is explained at the top of
# parameters.py.
import re
from decimal import Decimal
from typing import Callable, Dict, List, Mapping, NamedTuple, Tuple, Union

from ..errors import UsageError
from ..sanitize import plain_text
from .parameters import (
    COMMAND_NAME,
    NO_MUTEX,
    bounded,
    command,
    is_bare_command,
    parameter_name,
    parameter_text,
    quote,
    shown,
    within_quotes,
)

_PLACEHOLDER = re.compile(r"\{([^\W\d]\w*)\}")
_TEXT_LINE = re.compile(r"([Mm]11[78])(?:\s|(?=[A-Za-z_]))")
_EXTENDED_LINE = re.compile(COMMAND_NAME.pattern + r"(?=\s|$)")
# Without N, which begins a line number
_TRADITIONAL_LINE = re.compile(r"[A-MO-Za-mo-z][0-9]+(?:\.[0-9]+)?")
_LETTER = re.compile(r"[A-Za-z]")
_QUOTING = re.compile(r"['\"\\]")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?")
_SEPARATOR = re.compile("[,={}]")
_CONTROL = re.compile("\r\n|[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


# Characters of a handler: parsing a longer one takes more than a millisecond
MAX_HANDLER = 4096


class _Unfit(Exception):
    """A value does not fit its placeholder; str() says what it must be there."""


_Escape = Callable[[str, bool], str]


def _in_single_quotes(text: str, old_parser: bool) -> str:
    return within_quotes(text, "'", old_parser)


def _in_double_quotes(text: str, old_parser: bool) -> str:
    return within_quotes(text, '"', old_parser)


def _as_plain_text(text: str, old_parser: bool) -> str:
    text = plain_text(_CONTROL.sub(" ", text))
    # Without quotes, it cannot be split as in within_quotes()
    return text.replace(NO_MUTEX, NO_MUTEX.capitalize())


def _as_number(text: str, old_parser: bool) -> str:
    number = _NUMBER.fullmatch(text)
    if number is None:
        raise _Unfit("a number")
    # Klipper takes the e of 1e-07 for the extruder
    return format(Decimal(text), "f") if number.group(1) else text


class _Placeholder(NamedTuple):
    """A {key} in a handler.

    escape: escapes its value for this position; in_context: whether it is in a CONTEXT=, which is
    parsed again.
    """

    key: str
    escape: _Escape
    in_context: bool = False

    def fill(self, text: str, old_parser: bool) -> str:
        """The text of its value, escaped. Raises _Unfit."""
        if self.in_context and _SEPARATOR.search(text) is not None:
            raise _Unfit("without , = { and }")
        return self.escape(text, old_parser)


_ESCAPE: Dict[str, _Escape] = {"": quote, "'": _in_single_quotes, '"': _in_double_quotes}
# Parameters of our own commands that are parsed again, by rules of their own
_CONTEXT_PARAMETER = ("ROUTER_EVENT_TRIGGER", "CONTEXT")
_GCODE_PARAMETERS = (("ROUTER_GCODE_SCRIPT", "SCRIPT"), ("ROUTER_EVENT_SUBSCRIBE", "GCODE"))


class Template:
    """The G-code of an event handler, with {key} for a value of the event's context.

    Only {identifier} is a placeholder; other braces are left as they are. A value is escaped for
    its position, so that it cannot become another parameter or command: inside the quotes there,
    as a number in traditional G-code (G1 X{x}), as plain text after M117 and M118. G-code that is
    just the name of a command gets the whole context as parameters.
    Raises UsageError for a placeholder in place of a command or of a parameter's name.
    """

    def __init__(self, gcode: str) -> None:
        if len(gcode) > MAX_HANDLER:
            raise UsageError(
                "Event handler %s is longer than %d characters: put it into a macro"
                % (shown(gcode), MAX_HANDLER)
            )
        gcode = self._gcode = plain_text(gcode)
        self._bare = gcode.strip() if is_bare_command(gcode) else ""
        self._pieces: List[Union[str, _Placeholder]] = []
        for i, line in enumerate(gcode.split("\n")):
            if i:
                self._pieces.append("\n")
            if _PLACEHOLDER.search(line) is None:
                self._pieces.append(line)
            else:
                self._parse(line.strip())

    def check(self, context: Mapping[str, object]) -> None:
        """Raises UsageError if a value is missing."""
        for piece in self._pieces:
            if not isinstance(piece, str) and not self._bare and piece.key not in context:
                raise self._missing(piece.key)

    def render(self, context: Mapping[str, object], old_parser: bool) -> str:
        """The script to run. Raises UsageError if a value is missing or does not fit."""
        if self._bare:
            params = {parameter_name(key): value for key, value in context.items()}
            return command(self._bare, params, old_parser)
        script: List[str] = []
        for piece in self._pieces:
            if isinstance(piece, str):
                script.append(piece)
                continue
            if piece.key not in context:
                raise self._missing(piece.key)
            text = parameter_text(context[piece.key])
            try:
                script.append(piece.fill(text, old_parser))
            except _Unfit as e:
                raise self._error(
                    "needs a value for {%s} that is %s, not %s" % (piece.key, e, shown(text))
                ) from None
        return bounded("".join(script))

    def _missing(self, key: str) -> UsageError:
        return self._error("needs a value for {%s}, which the event does not have" % (key,))

    def _error(self, what: str) -> UsageError:
        return UsageError("Event handler %s %s" % (shown(self._gcode), what))

    def _parse(self, line: str) -> None:
        start = _TEXT_LINE.match(line)
        if start is not None:
            # Klipper recognizes M118 before a digit only if there is a space between them
            glue = " " if start.end() > start.end(1) else ""
            self._pieces.append(start.group(1) + glue)
            self._fill(line[start.end() :], _as_plain_text)
            return
        start = _EXTENDED_LINE.match(line)
        if start is not None:
            self._parse_extended(line, start.end())
            return
        line = line.split(";", 1)[0]
        start = _TRADITIONAL_LINE.match(line)
        first = _PLACEHOLDER.search(line)
        if first is not None and (
            start is None or _LETTER.search(line, start.end(), first.start()) is None
        ):
            raise self._error(
                "has {%s} where no value is allowed: it must be in a parameter's value,"
                " or in the text of M117 or M118" % (first.group(1),)
            )
        self._fill(line, _as_number)

    def _fill(self, text: str, escape: _Escape) -> None:
        end = 0
        for found in _PLACEHOLDER.finditer(text):
            self._pieces += [text[end : found.start()], _Placeholder(found.group(1), escape)]
            end = found.end()
        self._pieces.append(text[end:])

    def _parse_extended(self, line: str, i: int) -> None:
        # Parses as shlex does. mark: the quotation mark we are inside; word: where the current
        # word began; key: its text before the first =
        name = line[:i].upper()
        mark, word, key, copied = "", i, "", 0
        while i < len(line):
            char = line[i]
            found = _PLACEHOLDER.match(line, i)
            if found is not None:
                if not key:
                    raise self._error(
                        "has {%s} outside a parameter's value (KEY={%s})" % (found.groups() * 2)
                    )
                placeholder = self._placeholder(found.group(1), (name, key), mark)
                self._pieces += [line[copied:i], placeholder]
                i = copied = found.end()
                continue
            if char == "=" and not key:
                key = _QUOTING.sub("", line[word:i]).strip().upper()
            if mark:
                if char == mark:
                    mark = ""
            elif char in "'\"":
                mark = char
            elif char in "#;":
                break
            elif char in " \t\r\n":
                word, key = i + 1, ""
            if char == "\\" and mark != "'":
                if _PLACEHOLDER.match(line, i + 1) is not None:
                    raise self._error("has a backslash directly before a placeholder")
                if not mark or line[i + 1 : i + 2] in ('"', "\\"):
                    i += 1
            i += 1
        if mark:
            raise self._error("has an unclosed %s" % (mark,))
        self._pieces.append(line[copied:i])

    @staticmethod
    def _placeholder(key: str, parameter: Tuple[str, str], mark: str) -> _Placeholder:
        if parameter in _GCODE_PARAMETERS:
            return _Placeholder(key, _as_number)
        return _Placeholder(key, _ESCAPE[mark], parameter == _CONTEXT_PARAMETER)
