# Values <-> NAME KEY='value', event templates, and the text forms of OBJECTS= and CONTEXT=
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# What Klipper does with a line (gcode.py, _process_commands and _get_extended_params), and what
# therefore must never come from a value:
# - A script is split at "\n" only; each line is stripped of every Unicode whitespace.
# - The command is all text up to the second run of letters: "NAME 1='x'" is an unknown command.
# - Parameters of an extended command are split by shlex in posix mode: '...' is literal, "..."
#   knows \\ and \", # and ; outside of quotes begin a comment. Before Klipper d45b9c92d and
#   Kalico df4b0cc0d (end of 2024) # * and ; ended them inside of quotes, too (old_parser).
# - A traditional command (letter and number) is split at every letter; quotes mean nothing.
# - M117 and M118 take the rest of the line as it is, even # * ; on every Klipper.
import json
import math
import re
from decimal import Decimal
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from .errors import UsageError

# Klipper cannot call a command with a digit elsewhere; a letter and a digit is a traditional one
_COMMAND = re.compile(r"[A-Za-z_]{2,}[0-9]*")
_NOT_NAME = re.compile(r"[^A-Z0-9]+")
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
# The web of Klipper shuts a printer down over a string that cannot be encoded
_SURROGATE = re.compile("[\ud800-\udfff]")
_OLD_ENDS = re.compile(r"[#*;]")
# The old parser's regular expression takes quadratic time over a run of whitespace: 3 s of a
# blocked printer for 10,000 spaces
_LONG_SPACE = re.compile(r"\s{16}")
# Kalico's run_script() does not take the G-code mutex for a script with this text in it
_NO_MUTEX, _NO_MUTEX_HALVES = "INTERRUPT", ("INTERR", "UPT")
# Most values have none of this and stay as they are
_UNSAFE = {
    (mark, old_parser): re.compile("[%s\r\n\ud800-\udfff]|INTERRUPT%s" % (own, old))
    for mark, own in (("'", "'"), ('"', r'"\\'))
    for old_parser, old in ((False, ""), (True, r"|[#*;]|\s{16}"))
}


# -- from values to a command


def parameter_name(*parts: str) -> str:
    """("heater_generic chamber", "target") -> HEATER_GENERIC_CHAMBER_TARGET."""
    name = _NOT_NAME.sub("_", "_".join(parts).upper())
    # A digit after the command's name would belong to that name
    return name if name and not name[0].isdigit() else "_" + name


def _jsonable(value: Any) -> Any:
    # In-process status may hold numpy's numbers and arrays
    to_list = getattr(value, "tolist", None)
    return to_list() if callable(to_list) else str(value)


# As Klipper's own JSON: without spaces, so that a list of numbers is one word even unquoted
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_jsonable)


def parameter_text(value: object) -> str:
    """The text of a value: strings as they are, True or False, anything else as JSON.

    None is the empty string. Never raises.
    """
    if type(value) is str:
        return value
    if value is None:
        return ""
    try:
        if type(value) is float and math.isfinite(value):
            return repr(value)
        if not isinstance(value, (str, int, float, list, tuple, dict)):
            value = _jsonable(value)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, bool):
            return "True" if value else "False"
        return _ENCODER.encode(value)
    except Exception:  # too deep, circular, an odd key, an object that cannot say what it is
        return "<%s>" % (type(value).__name__,)


def _within(text: str, mark: str, old_parser: bool) -> str:
    # The text as it stands between two of these quotation marks
    if _UNSAFE[mark, old_parser].search(text) is None:
        return text
    text = _SURROGATE.sub("\ufffd", _LINE_BREAK.sub(" ", text))
    if old_parser:
        text = _OLD_ENDS.sub("_", text)
    if mark == "'":
        text = text.replace("'", "'\"'\"'")
    else:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    # Closing and opening the quotes changes nothing for shlex
    text = text.replace(_NO_MUTEX, (mark + mark).join(_NO_MUTEX_HALVES))
    if old_parser:
        text = _LONG_SPACE.sub("\\g<0>" + mark + mark, text)
    return text


def quote(text: str, old_parser: bool) -> str:
    """'...', so that Klipper's parser gives back exactly the text.

    Except that a line break becomes a space, half a surrogate pair U+FFFD, and for the old parser
    # * and ; an underscore.
    """
    return "'" + _within(text, "'", old_parser) + "'"


def command(name: str, params: Mapping[str, object], old_parser: bool = False) -> str:
    """NAME KEY='value' ... of one extended command. The keys are parameter names already.

    Raises UsageError for a name that is no command's.
    """
    if _COMMAND.fullmatch(name) is None:
        raise UsageError("%s is not the name of a command or macro" % (_shown(name),))
    words = [name]
    for key, value in params.items():
        if _NO_MUTEX in key:
            key = key.replace(_NO_MUTEX, "''".join(_NO_MUTEX_HALVES))
        words.append(key + "=" + quote(parameter_text(value), old_parser))
    return " ".join(words)


def status_params(status: Mapping[str, Mapping[str, object]], skip_none: bool) -> Dict[str, object]:
    """{object: {field: value}} -> {PARAMETER_NAME: value}, with skip_none without None."""
    return {
        parameter_name(name, field): value
        for name, fields in status.items()
        for field, value in fields.items()
        if value is not None or not skip_none
    }


def is_bare_command(gcode: str) -> bool:
    """Whether this is the name of one extended command (or macro), and nothing else."""
    return _COMMAND.fullmatch(gcode.strip()) is not None


# -- event templates

_PLACEHOLDER = re.compile(r"\{([^\W\d]\w*)\}")
_TEXT_LINE = re.compile(r"([Mm]11[78])(?:\s|(?=[A-Za-z_]))")
_EXTENDED_LINE = re.compile(_COMMAND.pattern + r"(?=\s|$)")
# Without N, which begins a line number
_TRADITIONAL_LINE = re.compile(r"[A-MO-Za-mo-z][0-9]+(?:\.[0-9]+)?")
_LETTER = re.compile(r"[A-Za-z]")
_QUOTING = re.compile(r"['\"\\]")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,2})?")
_CONTROL = re.compile("\r\n|[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class _Unfit(Exception):
    """str(): what a value must be where its placeholder stands."""


_Escape = Callable[[str, bool], str]


def _in_single_quotes(text: str, old_parser: bool) -> str:
    return _within(text, "'", old_parser)


def _in_double_quotes(text: str, old_parser: bool) -> str:
    return _within(text, '"', old_parser)


def _as_plain_text(text: str, old_parser: bool) -> str:
    text = _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text))
    # There are no quotes to hide it in
    return text.replace(_NO_MUTEX, _NO_MUTEX.capitalize())


def _as_number(text: str, old_parser: bool) -> str:
    number = _NUMBER.fullmatch(text)
    if number is None:
        raise _Unfit("a number")
    # Klipper takes the e of 1e-07 for the extruder
    return format(Decimal(text), "f") if number.group(1) else text


def _without_separators(escape: _Escape) -> _Escape:
    def checked(text: str, old_parser: bool) -> str:
        if "," in text or "=" in text:
            raise _Unfit("without , and =")
        return escape(text, old_parser)

    return checked


_ESCAPE: Dict[str, _Escape] = {"": quote, "'": _in_single_quotes, '"': _in_double_quotes}
# Parameters of ours that are taken apart again, by rules of their own
_CONTEXT_PARAMETER = ("ROUTER_EVENT_TRIGGER", "CONTEXT")
_GCODE_PARAMETERS = (("ROUTER_GCODE_SCRIPT", "SCRIPT"), ("ROUTER_EVENT_SUBSCRIBE", "GCODE"))


class Template:
    """The gcode of an event handler. {key} in it stands for a value of the event's context.

    Only {identifier} is a placeholder: other braces stay as they are. A value is escaped for where
    it stands, so that it can be no other parameter and no other command: within the quotes there,
    as a number in traditional G-code (G1 X{x}), as plain text after M117 and M118. A gcode that is
    the bare name of a command gets the whole context as parameters.
    Raises UsageError where a value cannot stand: as a command, as a parameter's name.
    """

    def __init__(self, gcode: str) -> None:
        gcode = self._gcode = _SURROGATE.sub("\ufffd", gcode)
        self._bare = gcode.strip() if is_bare_command(gcode) else ""
        # Text, or (key, escape)
        self._pieces: List[Union[str, Tuple[str, _Escape]]] = []
        for i, line in enumerate(gcode.split("\n")):
            if i:
                self._pieces.append("\n")
            if _PLACEHOLDER.search(line) is None:
                self._pieces.append(line)
            else:
                self._parse(line.strip())

    def render(self, context: Mapping[str, object], old_parser: bool) -> str:
        """The script to run. Raises UsageError for a value that is missing or does not fit."""
        if self._bare:
            params = {parameter_name(key): value for key, value in context.items()}
            return command(self._bare, params, old_parser)
        script: List[str] = []
        for piece in self._pieces:
            if isinstance(piece, str):
                script.append(piece)
                continue
            key, escape = piece
            if key not in context:
                raise self._error("needs a value for {%s}, which the event does not have" % (key,))
            text = parameter_text(context[key])
            try:
                script.append(escape(text, old_parser))
            except _Unfit as e:
                raise self._error(
                    "needs a value for {%s} that is %s, not %s" % (key, e, _shown(text))
                ) from None
        return "".join(script)

    def _error(self, what: str) -> UsageError:
        return UsageError("Event handler %s %s" % (_shown(self._gcode), what))

    def _parse(self, line: str) -> None:
        start = _TEXT_LINE.match(line)
        if start is not None:
            # Klipper knows M118 followed by a digit only if a space is between
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
                "has {%s} where no value can stand: it must be in a parameter's value,"
                " or in the text of M117 or M118" % (first.group(1),)
            )
        self._fill(line, _as_number)

    def _fill(self, text: str, escape: _Escape) -> None:
        end = 0
        for found in _PLACEHOLDER.finditer(text):
            self._pieces += [text[end : found.start()], (found.group(1), escape)]
            end = found.end()
        self._pieces.append(text[end:])

    def _parse_extended(self, line: str, i: int) -> None:
        # Follows shlex: mark is the quotation mark we are in, word where the current word began,
        # key its text before the first =
        name = line[:i].upper()
        mark, word, key, copied = "", i, "", 0
        while i < len(line):
            char = line[i]
            found = _PLACEHOLDER.match(line, i)
            if found is not None:
                if not key:
                    raise self._error(
                        "has {%s} outside of a parameter's value (KEY={%s})" % (found.groups() * 2)
                    )
                escape = self._escape(name, key, mark)
                self._pieces += [line[copied:i], (found.group(1), escape)]
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
                    raise self._error("has a backslash right before a placeholder")
                if not mark or line[i + 1 : i + 2] in ('"', "\\"):
                    i += 1
            i += 1
        if mark:
            raise self._error("has a %s without its second one" % (mark,))
        self._pieces.append(line[copied:i])

    @staticmethod
    def _escape(name: str, key: str, mark: str) -> _Escape:
        if (name, key) in _GCODE_PARAMETERS:
            return _as_number
        escape = _ESCAPE[mark]
        return _without_separators(escape) if (name, key) == _CONTEXT_PARAMETER else escape


# -- parameters of our own commands


def parse_objects(text: str) -> Dict[str, Optional[List[str]]]:
    """OBJECTS="print_stats:state|filename,toolhead" in the form of Klipper's objects/query."""
    objects: Dict[str, Optional[List[str]]] = {}
    for item in text.split(","):
        name, colon, listed = (part.strip() for part in item.partition(":"))
        fields = [field.strip() for field in listed.split("|")] if colon else None
        if not name or (fields is not None and not all(fields)):
            raise UsageError(
                "Malformed OBJECTS %s: write object or object:field|field, separated by commas"
                % (_shown(text),)
            )
        known = objects.get(name, [])
        objects[name] = None if fields is None or known is None else _union(known, fields)
    return objects


def _union(known: List[str], more: List[str]) -> List[str]:
    return list(dict.fromkeys(known + more))


def parse_context(text: str) -> Dict[str, str]:
    """CONTEXT="lane=1,length=5" -> {"lane": "1", "length": "5"}."""
    context: Dict[str, str] = {}
    for item in text.split(",") if text.strip() else ():
        key, equals, value = (part.strip() for part in item.partition("="))
        if not key or not equals:
            raise UsageError(
                "Malformed CONTEXT %s: write key=value, separated by commas; a value with"
                " a comma in it can be a parameter of its own" % (_shown(text),)
            )
        context[key] = value
    return context


def _shown(text: str) -> str:
    # Input of others in a message: printable, on one line and not long
    return repr(text if len(text) <= 80 else text[:77] + "...")
