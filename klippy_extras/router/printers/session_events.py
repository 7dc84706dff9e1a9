# The events of a Session
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from enum import Enum
from typing import Any, Dict, NamedTuple, Optional, Union

from ..errors import RouterError


class Identified(NamedTuple):
    """The peer answered 'info' (process_id, software_version, ...)."""

    info: Dict[str, Any]


class StateReported(NamedTuple):
    """The state of the peer's Klippy and its message; None if unchanged."""

    state: Optional[str]
    message: Optional[str]


class Ready(NamedTuple):
    """The peer is ready for use.

    commands: the G-code commands that have a help text, macros included, with that text; status: of
    the subscribed objects and the probe.
    """

    commands: Dict[str, Any]
    status: Dict[str, Dict[str, Any]]


class Status(NamedTuple):
    """Values of subscribed objects, read at eventtime (seconds of the peer's clock).

    snapshot: whether these are all values, not only those that have changed.
    """

    eventtime: float
    status: Dict[str, Dict[str, Any]]
    snapshot: bool


class Answer(NamedTuple):
    """The answer to a request(): its token, and a result or an error."""

    token: Any
    result: Any
    error: Optional[RouterError]


class Output(NamedTuple):
    """A message on the peer's console, with its prefix (// ..., !! ..., echo: ...)."""

    text: str


class Called(NamedTuple):
    """The peer called one of our remote methods."""

    method: str
    params: Dict[str, Any]


class SkippedKind(Enum):
    """What kind of message was longer than max_message."""

    SNAPSHOT = "snapshot"  # of the subscribed objects: subscribe to less from now on
    UPDATE = "update"  # of the status: the known values are out of date
    OUTPUT = "output"  # on the console
    COMMANDS = "commands"  # the answer to gcode/help: Ready has no commands
    CALL = "call"  # of one of our remote methods


class Skipped(NamedTuple):
    """A message longer than max_message was skipped without decoding it. method: of a CALL."""

    kind: SkippedKind
    method: str = ""


Event = Union[Identified, StateReported, Ready, Status, Answer, Output, Called, Skipped]
