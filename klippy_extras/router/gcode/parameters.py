# Conversion of values to NAME KEY='value', and of OBJECTS= to Klipper's form
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# How Klipper parses a line (gcode.py, _process_commands and _get_extended_params), and thus what
# must be escaped in a value:
# - A script is split at "\n" only; each line is stripped of every Unicode whitespace.
# - The command is all text up to the second run of letters: "NAME 1='x'" is an unknown command.
# - Parameters of an extended command are split by shlex in posix mode: '...' is literal, \\ and
#   \" are escapes in "...", and # and ; begin a comment outside quotes. Before Klipper d45b9c92d
#   and Kalico df4b0cc0d (end of 2024), # * and ; also ended them inside quotes (old_parser).
# - A traditional command (letter and number) is split at every letter; quotes have no meaning.
# - M117 and M118 take the rest of the line as it is, even # * ; on every Klipper.
import json
import re
from collections import Counter
from itertools import chain
from math import isfinite
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ..errors import UsageError
from ..sanitize import plain_text

# Klipper cannot call a command with digits elsewhere; one letter and digits are a traditional one
COMMAND_NAME = re.compile(r"[A-Za-z_]{2,}[0-9]*")
_NOT_NAME = re.compile(r"[^A-Z0-9]+")
# Text that is the same within quotes, but for NO_MUTEX: names, states, paths, lists of numbers
_UNCHANGED = re.compile(r"[\w.,:/+-]*", re.ASCII)
# The old parser's regular expression takes quadratic time for a run of whitespace: 10,000 spaces
# block the printer for 3 s
_LONG_SPACE = re.compile(r"\s{16}")
_SPACES = re.compile(r"\s\s")
# Kalico's run_script() does not take the G-code mutex for a script with this text in it
NO_MUTEX, _NO_MUTEX_HALVES = "INTERRUPT", ("INTERR", "UPT")
# Klipper's parser (shlex) takes about 1 us per character, and 20 s for one value of 1 MB, during
# which the printer's reactor is blocked
MAX_LENGTH = 16384
# Values in a command, those in lists and objects included: to write as many takes about 0.5 ms
MAX_ELEMENTS = 1024
# Names of status parameters that are cached per printer: more than a printer has
MAX_NAMES = 4096


# -- from values to a command


def parameter_name(*parts: str) -> str:
    """("heater_generic chamber", "target") -> HEATER_GENERIC_CHAMBER_TARGET."""
    name = "_".join(parts).upper()
    if "__" in name or not (name.isascii() and name.replace("_", "").isalnum()):
        name = _NOT_NAME.sub("_", name)  # seldom necessary: 0.7 us of 1.0
    # A digit after the command's name would become part of that name
    return name if name and not name[0].isdigit() else "_" + name


def _jsonable(value: Any) -> Any:
    # This printer's own status may contain numpy numbers and arrays
    to_list = getattr(value, "tolist", None)
    return to_list() if callable(to_list) else str(value)


# As Klipper's own JSON: without spaces, so that a list of numbers is one word even unquoted
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_jsonable)


def parameter_text(value: object) -> str:
    """The text of a value: strings as they are, True or False, anything else as JSON.

    None is the empty string. Never raises.
    """
    if value is None:
        return ""
    try:
        if not isinstance(value, (str, int, float, list, tuple, dict)):
            value = _jsonable(value)
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, bool):
            return "True" if value else "False"
        return _ENCODER.encode(value)
    except Exception:  # too deep, circular, a key that is not a string, a failing __str__
        return "<%s>" % (type(value).__name__,)


def within_quotes(text: str, mark: str, old_parser: bool) -> str:
    """The text, escaped for use between two of these quotation marks, ' or "."""
    if _UNCHANGED.fullmatch(text) and NO_MUTEX not in text:
        return text  # most do: 0.4 us instead of 2 us
    # replace(): a regular expression takes 0.9 ms for a text of 8000 line breaks, this 0.1 ms
    text = text.replace("\r\n", " ").replace("\r", " ").replace("\n", " ")
    if not text.isascii():
        text = plain_text(text)
    if old_parser:
        text = text.replace("#", "_").replace("*", "_").replace(";", "_")
    if mark == "'":
        text = text.replace("'", "'\"'\"'")
    else:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    # Closing and reopening the quotes makes no difference to shlex
    if NO_MUTEX in text:
        text = text.replace(NO_MUTEX, (mark + mark).join(_NO_MUTEX_HALVES))
    # A run of 16 has two of every eighth character. To search them all takes 0.3 ms for 16,000
    if old_parser and _SPACES.search(text[::8]):
        text = _LONG_SPACE.sub("\\g<0>" + mark + mark, text)
    return text


def quote(text: str, old_parser: bool) -> str:
    """The text as '...', from which Klipper's parser restores exactly the text.

    Except that a line break becomes a space and a lone surrogate becomes U+FFFD. For the old
    parser, # * and ; each become an underscore.
    """
    return "'" + within_quotes(text, "'", old_parser) + "'"


def parameter(key: str, value: object, old_parser: bool) -> str:
    """KEY='value'. The key must be a valid parameter name.

    Raises UsageError for a value that is far longer than MAX_LENGTH.
    """
    if NO_MUTEX in key:
        key = key.replace(NO_MUTEX, "''".join(_NO_MUTEX_HALVES))
    if type(value) in (int, bool) or (type(value) is float and isfinite(value)):
        # Most values of a status are numbers: with parameter_text() and quote() for them, an
        # update takes 14 % longer
        return key + "='" + repr(value) + "'"
    text = value if type(value) is str else parameter_text(value)
    if len(text) > 2 * MAX_LENGTH:  # escaping would not make it short enough
        raise _too_long()
    return key + "=" + quote(text, old_parser)


def command(name: str, params: Mapping[str, object], old_parser: bool = False) -> str:
    """One extended command, NAME KEY='value' ... The keys must be valid parameter names.

    Raises UsageError if the name is not a command's, or the command is longer than MAX_LENGTH.
    """
    return command_of(name, [parameter(key, params[key], old_parser) for key in params])


def command_of(name: str, parameters: Sequence[str]) -> str:
    """command() for parameters that are already in the form KEY='value'."""
    if COMMAND_NAME.fullmatch(name) is None:
        raise UsageError("%s is not the name of a command or macro" % (shown(name),))
    return bounded(" ".join([name, *parameters]))


def bounded(script: str) -> str:
    """The script itself. Raises UsageError if it is longer than MAX_LENGTH."""
    if len(script) > MAX_LENGTH:
        raise UsageError(
            "%s is %d characters long; more than %d would block the printer"
            % (shown(script), len(script), MAX_LENGTH)
        )
    return script


def check_size(status: Mapping[str, Mapping[str, object]]) -> None:
    """Raises UsageError if a command with {object: {field: value}} would certainly be too long.

    To be called before time is spent on writing it.
    """
    left = MAX_LENGTH
    containers: List[Any] = []
    elements_left = MAX_ELEMENTS - sum(map(len, status.values()))
    if elements_left < 0:
        raise _too_long()
    for fields in status.values():
        left -= len(fields) * len("K=''")
        for value in fields.values():
            if type(value) is str:
                left -= len(value) // 2  # a line break of two characters becomes a space
            elif type(value) in (list, dict):
                containers.append(value)
    if left < 0 or are_longer(containers, left, elements_left):
        raise _too_long()


def _too_long() -> UsageError:
    return UsageError(
        "the values are longer than %d characters, or there are more than %d of them; more would"
        " block the printer" % (MAX_LENGTH, MAX_ELEMENTS)
    )


def are_longer(containers: Sequence[Any], left: int, elements_left: int) -> bool:
    """Whether these lists and dicts are certainly longer, as JSON, than so many characters.

    Also if they have more elements than elements_left. One level of nesting after the other, and
    its size first, because to look at elements takes time: they are not in the processor's cache.
    """
    while containers:
        count = sum(map(len, containers))
        dicts = [c for c in containers if type(c) is dict]
        left -= 2 * count  # each element, and a comma or bracket
        left -= 3 * sum(map(len, dicts))  # keys
        elements_left -= count
        if left < 0 or elements_left < 0:
            return True
        lists = [c for c in containers if type(c) is list]
        elements = list(chain(*lists, *[d.values() for d in dicts]))
        kinds = Counter(map(type, elements))
        left -= 2 * kinds[float]
        if str in kinds:
            left -= sum([len(e) + 1 for e in elements if type(e) is str])
        containers = []
        if list in kinds or dict in kinds:
            containers = [e for e in elements if type(e) in (list, dict)]
    return left < 0


class _Names(Dict[Tuple[str, str], str]):
    """A cache of parameter_name() by (object, field)."""

    def __missing__(self, key: Tuple[str, str]) -> str:
        if len(self) >= MAX_NAMES:
            self.clear()  # the peer keeps inventing fields
        name = self[key] = parameter_name(*key)
        return name


class StatusParameters:
    """Writes the status of one printer as parameters of callbacks, the router's most frequent work.

    Measured for an update of 9 fields, from the peer's message to the callback's: without the
    cache of names it takes 40 % longer; without sharing the written values between callbacks it
    takes 13 % longer with two of them and 48 % with eight. For a single callback, sharing takes
    10 % longer, hence share().
    """

    def __init__(self) -> None:
        self._names = _Names()
        self._shared = False
        self._written: Dict[Tuple[str, str, bool], Tuple[object, str]] = {}

    def share(self, shared: bool) -> None:
        """Begin with newer values. shared: whether they are for more than one callback."""
        self._shared = shared
        if self._written:
            self._written = {}

    def write(self, status: Mapping[str, Mapping[str, object]], old_parser: bool) -> List[str]:
        """{object: {field: value}} -> ["OBJECT_FIELD='value'", ...]."""
        check_size(status)
        parameters, left = [], MAX_LENGTH
        for name, fields in status.items():
            for field, value in fields.items():
                if self._shared:
                    text = self._write_once((name, field, old_parser), value)
                else:
                    text = parameter(self._names[name, field], value, old_parser)
                left -= len(text)
                if left < 0:
                    raise _too_long()  # and not only after thousands of other fields
                parameters.append(text)
        return parameters

    def _write_once(self, key: Tuple[str, str, bool], value: object) -> str:
        known, text = self._written.get(key, (self, ""))
        # A callback that was busy may be given an older value than the others
        if known is not value:
            name, field, old_parser = key
            text = parameter(self._names[name, field], value, old_parser)
            self._written[key] = value, text
        return text


def status_params(status: Mapping[str, Mapping[str, object]]) -> Dict[str, object]:
    """{object: {field: value}} -> {PARAMETER_NAME: value}; None is left out."""
    return {
        parameter_name(name, field): value
        for name, fields in status.items()
        for field, value in fields.items()
        if value is not None
    }


def is_bare_command(gcode: str) -> bool:
    """Whether this is the name of one extended command (or macro), and nothing else."""
    return COMMAND_NAME.fullmatch(gcode.strip()) is not None


def same_command(gcode: str) -> str:
    """G-code in a form that can be compared: Klipper ignores the case of a bare command."""
    return gcode.strip().upper() if is_bare_command(gcode) else gcode


# -- parameters of our own commands


def parse_objects(text: str) -> Dict[str, Optional[List[str]]]:
    """Parse OBJECTS="print_stats:state|filename,toolhead" into the form of objects/query.

    Raises UsageError.
    """
    objects: Dict[str, Optional[List[str]]] = {}
    for item in text.split(","):
        name, colon, listed = (part.strip() for part in item.partition(":"))
        fields = [field.strip() for field in listed.split("|")] if colon else None
        if not name or (fields is not None and not all(fields)):
            raise UsageError(
                "Malformed OBJECTS %s: write object or object:field|field, separated by commas"
                % (shown(text),)
            )
        known = objects.get(name, [])
        objects[name] = None if fields is None or known is None else _union(known, fields)
    return objects


def _union(known: List[str], more: List[str]) -> List[str]:
    return list(dict.fromkeys(known + more))


def shown(text: str) -> str:
    """Text from elsewhere, for use in a message: quoted, printable, short and on one line."""
    return repr(text if len(text) <= 80 else text[:77] + "...")
