# The requests that a peer has not answered yet, by number
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from enum import Enum
from typing import Any, Dict, List


class OwnRequest(Enum):
    """The session's own requests, whose answers it handles itself."""

    INFO = "info"
    PING = "ping"
    ENDPOINTS = "list_endpoints"
    HELP = "help"
    SUBSCRIBE = "subscribe"
    OUTPUT = "output"


class Unanswered:
    """The requests sent to a peer, until it answers.

    Scripts do not count as requests: the queue of their printer limits them.
    """

    def __init__(self) -> None:
        self._last_number = 0
        self._own: Dict[int, OwnRequest] = {}
        self._requests: Dict[int, Any] = {}
        self._scripts: Dict[int, Any] = {}

    @property
    def requests(self) -> int:
        """How many requests are not answered, without scripts and the session's own."""
        return len(self._requests)

    def add_own(self, request: OwnRequest) -> int:
        """The number for a request of the session itself."""
        self._last_number += 1
        self._own[self._last_number] = request
        return self._last_number

    def add_request(self, token: Any) -> int:
        """The number for a request."""
        self._last_number += 1
        self._requests[self._last_number] = token
        return self._last_number

    def add_script(self, token: Any) -> int:
        """The number for a script."""
        self._last_number += 1
        self._scripts[self._last_number] = token
        return self._last_number

    def take(self, number: int) -> Any:
        """Remove the request with this number. Returns its token, an OwnRequest, or None."""
        if number in self._scripts:
            return self._scripts.pop(number)
        if number in self._requests:
            return self._requests.pop(number)
        return self._own.pop(number, None)

    def clear(self) -> List[Any]:
        """Remove all. Returns the tokens of requests and scripts, in the order they were added."""
        tokens = {**self._scripts, **self._requests}
        in_order = [tokens[number] for number in sorted(tokens)]
        self._own.clear()
        self._requests.clear()
        self._scripts.clear()
        return in_order
