# The checks that wait for answers of a peer: round trips, echo, other routers
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, List

from ..errors import RouterError
from ..klippy.timers import Timers
from ..printers.printer import Failure, Printer
from ..printers.remote_printer import RemotePrinter
from .checks import FAIL, OK, WARN, Check, Finding
from .echo_test import EchoListener
from .other_routers import others_text

# Round trips that are measured, one after another
SAMPLES = 10
# Median round trip, in seconds, above which events and waits are noticeably late
SLOW = 0.1

NO_ANSWER = Finding(FAIL, "no answer: its Klipper hangs, or is too busy. Restart its service")
BUSY = Finding(WARN, "not tested: its G-code is busy. Try again when that macro or print has ended")


class RoundTrips:
    """Measures how long a peer takes to answer, several times in a row."""

    def __init__(self, timers: Timers, peer: RemotePrinter, check: Check) -> None:
        self._now, self._peer, self._check = timers.now, peer, check
        self._times: List[float] = []
        self._sent_at = 0.0

    def start(self) -> None:
        """Send a request; the check ends with the last answer."""
        self._sent_at = self._now()
        try:
            self._peer.call_endpoint("info", {}, self._answered)
        except RouterError as e:
            self._check.found(FAIL, str(e))

    def _answered(self, _result: Any, error: Failure) -> None:
        if error is not None:
            self._check.found(FAIL, str(error))
            return
        self._times.append(self._now() - self._sent_at)
        if self._check.finding is not None:
            return  # too late
        if len(self._times) < SAMPLES:
            self.start()
            return
        low, middle, high = (sorted(self._times)[i] * 1000.0 for i in (0, SAMPLES // 2, -1))
        text = "%.1f ms (%.1f to %.1f, %d samples)" % (middle, low, high, SAMPLES)
        if middle > SLOW * 1000.0:
            self._check.found(WARN, text + ": slow. Its machine is busy, or the tunnel is")
        else:
            self._check.found(OK, text)


class EchoChecks(EchoListener):
    """The checks that an echo test of a peer ends: of the echo, and of other routers."""

    def __init__(self, peer: Printer, echo: Check, others: Check) -> None:
        self._peer, self._echo, self._others = peer, echo, others

    def came_back(self, seconds: float) -> None:
        self._echo.found(OK, "there and back in %.1f ms" % (seconds * 1000.0,))

    def failed(self, text: str) -> None:
        self._echo.found(FAIL, text)
        self._others.found(WARN, "not known: the echo did not come back")

    def ended(self, others: List[str], is_certain: bool) -> None:
        if others:
            self._others.found(WARN, others_text(self._peer.name, others))
        elif is_certain:
            self._others.found(OK, "none: only this router answers its calls")
        else:
            self._others.found(*BUSY)

    def busy(self) -> None:
        """Another test is running."""
        self._echo.found(*BUSY)
        self._others.found(*BUSY)
