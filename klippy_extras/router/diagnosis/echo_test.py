# One echo test of a peer: does it come back, and which other programs answer?
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import List, Optional

from ..errors import RouterError
from ..klippy.timers import Timers
from ..printers.printer import Printer
from ..sanitize import printable
from .echo import ECHO_MACRO, Echo, Echoes

# Seconds that other routers have to answer, after the echo came back
LISTEN = 1.0


class EchoListener:
    """Is notified of how an echo test goes. The defaults do nothing."""

    def came_back(self, seconds: float) -> None:
        """The echo came back after this time."""

    def failed(self, text: str) -> None:
        """The macro did not run. Nothing follows."""

    def ended(self, others: List[str], is_certain: bool) -> None:
        """Other programs have sent these answers. Nothing follows.

        is_certain: whether this router's own answer arrived, and so those of the others.
        """


class EchoTest:
    """Runs a macro of the peer that calls back, and waits for answers of other programs."""

    def __init__(self, timers: Timers, echoes: Echoes, listener: EchoListener) -> None:
        self._timers, self._echoes, self._listener = timers, echoes, listener
        self._echo: Optional[Echo] = None
        self._began = 0.0
        self._is_listening = False

    def start(self, peer: Printer, gives_way: bool = False) -> bool:
        """Begin. Returns False if another test is running; gives_way: as in Echo."""
        self._began = self._timers.now()
        try:
            self._echo = self._echoes.start(peer, self._on_news, gives_way)
        except RouterError as e:
            self._listener.failed(str(e))
            return True
        return self._echo is not None

    def stop(self) -> None:
        """End it, without another notification."""
        if self._echo is not None:
            self._echo.is_over = True

    def _on_news(self) -> None:
        echo = self._echo
        assert echo is not None
        if echo.is_over:  # it has given way
            self._listener.ended([], False)
        elif echo.error is not None:
            self.stop()
            self._listener.failed("%s did not run: %s" % (ECHO_MACRO, printable(echo.error)))
        elif echo.is_back and not self._is_listening:
            self._is_listening = True
            self._listener.came_back(self._timers.now() - self._began)
            self._timers.after(LISTEN, self._listened)

    def _listened(self) -> None:
        echo = self._echo
        assert echo is not None
        if echo.is_over:
            return
        self.stop()
        answers = list(echo.answers)
        has_own = self._echoes.own_answer in answers
        if has_own:
            answers.remove(self._echoes.own_answer)
        self._listener.ended(answers, has_own)
