"""Waiting for conditions, with the consoles and logs shown if one never becomes true."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import time
from typing import Any, Callable, Iterable, Iterator, Optional, Protocol

# Seconds between two looks: at first, and after a long wait. Each look costs the printers time too.
SHORTEST, LONGEST = 0.01, 0.1


class HasTail(Protocol):
    """What can show its recent past, such as a LabPrinter."""

    def tail(self) -> str: ...


class WaitFailed(AssertionError):
    """A condition did not become true in time."""


def pauses() -> Iterator[float]:
    """Seconds to sleep between one look and the next: short at first, a tenth of the wait later."""
    begin = time.monotonic()
    while True:
        yield min(max(SHORTEST, (time.monotonic() - begin) / 10.0), LONGEST)


def wait_until(
    predicate: Callable[[], Any],
    timeout: float,
    message: str,
    printers: Iterable[HasTail] = (),
    interval: Optional[float] = None,
) -> Any:
    """Call `predicate` until it returns a true value; return that value.

    interval: seconds from one call to the next; default: those of pauses().
    Raises WaitFailed after `timeout` seconds, with `message` and the tails of `printers`.
    """
    deadline = time.monotonic() + timeout
    for pause in pauses():
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            tails = "".join("\n" + printer.tail() for printer in printers)
            raise WaitFailed(f"not within {timeout:g} s: {message}{tails}")
        time.sleep(pause if interval is None else interval)
