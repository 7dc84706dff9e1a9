"""Waiting for conditions, with the consoles and logs shown where one never comes true."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import time
from typing import Any, Callable, Iterable, Protocol


class HasTail(Protocol):
    """What can show its recent past, such as a LabPrinter."""

    def tail(self) -> str: ...


class WaitFailed(AssertionError):
    """A condition did not come true in time."""


def wait_until(
    predicate: Callable[[], Any],
    timeout: float,
    message: str,
    printers: Iterable[HasTail] = (),
    interval: float = 0.02,
) -> Any:
    """Call `predicate` every `interval` seconds until it returns a true value; return that value.

    Raises WaitFailed after `timeout` seconds, with `message` and the tails of `printers`.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            tails = "".join("\n" + printer.tail() for printer in printers)
            raise WaitFailed(f"not within {timeout:g} s: {message}{tails}")
        time.sleep(interval)
