# The checks that wait for answers of a peer: round trips, echo, other routers
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, List, Optional

from ..errors import RouterError
from ..klippy.timers import Timers
from ..printers.printer import Failure
from ..printers.remote_printer import RemotePrinter
from ..sanitize import printable
from .checks import FAIL, OK, WARN, Check, Finding
from .echo import ECHO_MACRO, Echo, Echoes

# Round trips that are measured, one after another
SAMPLES = 10
# Median round trip, in seconds, above which events and waits are noticeably late
SLOW = 0.1
# Seconds that other routers have to answer, after the echo came back
LISTEN = 1.0

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


class EchoTest:
    """Runs a macro of the peer that calls back, and waits for answers of other programs.

    check: of the echo; others: of other routers.
    """

    def __init__(self, timers: Timers, echoes: Echoes, check: Check, others: Check) -> None:
        self._timers, self._echoes = timers, echoes
        self._check, self._others = check, others
        self._echo: Optional[Echo] = None
        self._began = 0.0
        self._is_listening = False

    def start(self, peer: RemotePrinter, seconds: float) -> None:
        """Begin, and end after this many seconds at the latest."""
        self._began = self._timers.now()
        try:
            self._echo = self._echoes.start(peer, self._on_news)
        except RouterError as e:
            self._fail(str(e))
            return
        if self._echo is None:
            self._check.found(*BUSY)
            self._others.found(*BUSY)
            return
        self._timers.after(seconds, self._stop)

    def _on_news(self) -> None:
        echo = self._echo
        assert echo is not None
        if echo.error is not None:
            self._fail("%s did not run: %s" % (ECHO_MACRO, printable(echo.error)))
        elif echo.is_back and not self._is_listening:
            self._is_listening = True
            now = self._timers.now()
            self._check.found(OK, "there and back in %.1f ms" % ((now - self._began) * 1000.0,))
            self._timers.after(LISTEN, self._listened)

    def _fail(self, text: str) -> None:
        self._check.found(FAIL, text)
        self._others.found(WARN, "not known: the echo did not come back")
        self._stop()

    def _listened(self) -> None:
        self._stop()
        assert self._echo is not None
        answers = list(self._echo.answers)
        has_own = self._echoes.own_answer in answers
        if has_own:
            answers.remove(self._echoes.own_answer)
        if answers:
            self._others.found(WARN, others_text(self._echo.peer.name, answers))
        elif has_own:
            self._others.found(OK, "none: only this router answers its calls")
        else:
            self._others.found(*BUSY)

    def _stop(self) -> None:
        if self._echo is not None:
            self._echo.is_over = True


def others_text(peer: str, answers: List[str]) -> str:
    """The routers that sent these answers, as far as they can be known, and what to do."""
    counted: Dict[str, int] = {}
    for answer in answers:
        counted[answer] = counted.get(answer, 0) + 1
    known = ", or ".join(
        "%s%s" % (answer, " (%d times)" % (n,) if n > 1 else "") for answer, n in counted.items()
    )
    return (
        "another router, or the old daemon, answers its calls as well, so that all of them run"
        " twice. It knows the printers %s. Stop and disable the old daemon, or write accept_calls:"
        " False in section [router %s] of one of the main printers" % (known, peer)
    )
