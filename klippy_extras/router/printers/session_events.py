# What a peer says, as its Session hands it over
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, FrozenSet, NamedTuple, Optional, Union

from ..errors import RouterError


class Identified(NamedTuple):
    """The peer answered 'info': who it is (process_id, software_version, ...)."""

    info: Dict[str, Any]


class StateSaid(NamedTuple):
    """Klippy's own state on the peer, and the message that goes with it; None: as before."""

    state: Optional[str]
    message: Optional[str]


class Ready(NamedTuple):
    """Ready for use.

    commands: the G-code commands that have a help text, macros included; status: of the objects
    that are wanted, and of the probe.
    """

    commands: FrozenSet[str]
    status: Dict[str, Dict[str, Any]]


class Status(NamedTuple):
    """Values of subscribed objects, read at eventtime (seconds of the peer's clock).

    snapshot: all that is wanted, not only what changed.
    """

    eventtime: float
    status: Dict[str, Dict[str, Any]]
    snapshot: bool


class Answer(NamedTuple):
    """The answer of request(): its token, and a result or an error."""

    token: Any
    result: Any
    error: Optional[RouterError]


class Output(NamedTuple):
    """A message on the peer's console, as it stands there (// ..., !! ..., echo: ...)."""

    text: str


class Called(NamedTuple):
    """The peer called one of our remote methods."""

    method: str
    params: Dict[str, Any]


class Skipped(NamedTuple):
    """A message that is longer than max_message was thrown away undecoded.

    what: one of SNAPSHOT (of what is wanted: it must be less from now on), UPDATE (of status: what
    is known is not true any more), OUTPUT, COMMANDS (Ready has none), CALL; method: of CALL.
    """

    what: str
    method: str = ""


SNAPSHOT, UPDATE, OUTPUT, COMMANDS, CALL = "snapshot", "update", "output", "commands", "call"

Event = Union[Identified, StateSaid, Ready, Status, Answer, Output, Called, Skipped]
