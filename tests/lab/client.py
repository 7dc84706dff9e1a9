"""What a client of a JSON API keeps of what it receives."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import itertools
import time
from abc import abstractmethod
from typing import Any, Callable, Dict, List

from .closing import Closing

Message = Dict[str, Any]


class Client(Closing):
    """The base of clients that number their requests. Not for several threads at once."""

    def __init__(self) -> None:
        self.notifications: List[Message] = []
        """What came without being the answer to a request, oldest first."""
        self._answers: Dict[int, Message] = {}
        self._ids = itertools.count(1)

    @abstractmethod
    def receive(self, timeout: float) -> bool:
        """Read and file() the next data; False when nothing was received for `timeout` seconds."""

    def file(self, message: Message) -> None:
        """Keep a message that was received."""
        if "id" in message:
            self._answers[message["id"]] = message
        else:
            self.notifications.append(message)

    def wait_for(self, predicate: Callable[[Message], Any], timeout: float = 10.0) -> Message:
        """Take the first notification that satisfies `predicate` out of the queue, waiting for it.

        Raises TimeoutError after `timeout` seconds, and what receive() raises.
        """
        deadline = time.monotonic() + timeout
        seen = 0
        while True:
            for message in self.notifications[seen:]:
                if predicate(message):
                    self.notifications.remove(message)
                    return message
            seen = len(self.notifications)
            if not self.receive(deadline - time.monotonic()):
                raise TimeoutError(
                    f"no such notification within {timeout} s, but {self.notifications[-20:]}"
                )

    def _answer(self, number: int, timeout: float) -> Message:
        """Wait for the message that answers a request; errors as in wait_for()."""
        deadline = time.monotonic() + timeout
        while number not in self._answers:
            if not self.receive(deadline - time.monotonic()):
                raise TimeoutError(f"no answer within {timeout} s")
        return self._answers.pop(number)
