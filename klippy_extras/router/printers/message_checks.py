# Checks the shape of a peer's messages
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, List

from ..errors import BadMessage
from .session_events import Output, StateReported, Status

# Characters of an event of the console, and the rest of the line: each line takes 1 to 10 us
OUTPUT_LENGTH = 256


def read_status(params: Dict[str, Any], snapshot: bool) -> Status:
    """The status in a snapshot or an update. Raises BadMessage."""
    eventtime, status = params.get("eventtime"), params.get("status")
    if not isinstance(eventtime, (int, float)):
        raise BadMessage("sent a status without eventtime")
    if type(status) is not dict or not set(map(type, status.values())) <= {dict}:
        raise BadMessage("sent a malformed status")
    return Status(eventtime, status, snapshot)


def read_state(info: Dict[str, Any]) -> StateReported:
    """The state in an answer to 'info'. Raises BadMessage."""
    state, message = info.get("state"), info.get("state_message")
    if type(state) is not str or type(message) is not str:
        raise BadMessage("sent a malformed state")
    return StateReported(state, message)


def read_state_change(webhooks: Dict[str, Any]) -> StateReported:
    """The state in an update of the object 'webhooks'; what has not changed is None.

    Raises BadMessage.
    """
    state, message = webhooks.get("state"), webhooks.get("state_message")
    if not all(text is None or type(text) is str for text in (state, message)):
        raise BadMessage("sent a malformed state")
    return StateReported(state, message)


def read_output(params: Dict[str, Any]) -> List[Output]:
    """A message on the console; if it is long, as several, of whole lines."""
    response = params.get("response")
    text = response if isinstance(response, str) else ""
    begin, outputs = 0, []
    end = text.find("\n", OUTPUT_LENGTH)
    while end >= 0:
        outputs.append(Output(text[begin:end]))
        begin = end + 1
        end = text.find("\n", begin + OUTPUT_LENGTH)
    return [*outputs, Output(text[begin:])]


def read_error(error: Any) -> str:
    """The message of an error in an answer of Klippy."""
    if type(error) is dict and type(error.get("message")) is str:
        return str(error["message"])
    return "an error without a message"
