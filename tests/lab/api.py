"""A blocking client of Klippy's API socket."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import json
import socket
import time
from typing import Any, Optional

from .client import Client, Message

END = b"\x03"


class ApiError(Exception):
    """Klippy answered with an error; str() is its message."""


class ApiClosed(ConnectionError):
    """The connection is closed: Klippy ended, restarted or dropped us."""


class Api(Client):
    """One connection. Not for several threads at once."""

    def __init__(self, path: str, timeout: float = 5.0) -> None:
        """Connect to the socket at `path`; ApiClosed unless it works within `timeout` seconds."""
        super().__init__()
        self._buffer = b""
        deadline = time.monotonic() + timeout
        while True:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                self.socket.connect(str(path))
                return
            except OSError as problem:
                self.socket.close()
                # Klippy listens with a backlog of one: "try again" only means that it is busy
                if not isinstance(problem, BlockingIOError) or time.monotonic() > deadline:
                    raise ApiClosed(f"{path}: {problem}") from problem
                time.sleep(0.01)

    def call(self, method: str, params: Optional[Message] = None, timeout: float = 10.0) -> Any:
        """Call an endpoint and return its result.

        Raises ApiError, ApiClosed, or TimeoutError when no answer came within `timeout` seconds.
        """
        return self.answer(self.request(method, params), timeout)

    def request(self, method: str, params: Optional[Message] = None) -> int:
        """Send a request without waiting; returns the id for answer()."""
        number = next(self._ids)
        self.send({"id": number, "method": method, "params": params or {}})
        return number

    def answer(self, number: int, timeout: float = 10.0) -> Any:
        """Wait for the answer to a request; errors as in call()."""
        message = self._answer(number, timeout)
        if "error" in message:
            error = message["error"]
            raise ApiError(error.get("message", error) if isinstance(error, dict) else error)
        return message.get("result")

    def send(self, message: Any) -> None:
        """Send any JSON value as a message."""
        self.send_bytes(json.dumps(message).encode() + END)

    def send_bytes(self, data: bytes, timeout: float = 10.0) -> None:
        """Send bytes as they are, for tests of misbehaviour."""
        self.socket.settimeout(timeout)
        try:
            self.socket.sendall(data)
        except socket.timeout as problem:
            raise TimeoutError(f"could not send within {timeout} s") from problem
        except OSError as problem:
            raise ApiClosed(str(problem)) from problem

    def receive(self, timeout: float) -> bool:
        """Read and file the next data; False when nothing was received for `timeout` seconds."""
        self.socket.settimeout(max(0.001, timeout))
        try:
            data = self.socket.recv(65536)
        except socket.timeout:
            return False
        except OSError as problem:
            raise ApiClosed(str(problem)) from problem
        if not data:
            raise ApiClosed("Klippy closed the connection")
        *messages, self._buffer = (self._buffer + data).split(END)
        for message in map(json.loads, messages):
            self.file(message)
        return True

    def close(self) -> None:
        self.socket.close()
