# A call there and back: from here to a macro of the peer, and from that macro to the router
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# _ROUTER_ECHO of router_api.cfg calls two remote methods. router/echo proves the way. And whoever
# has registered router/printers/list on that peer runs _ROUTER_ECHO_BACK there, which calls
# router/echo once more with the printers that this one knows: that is how another router, or the
# old daemon, shows itself, for Klipper lists no clients.
import os
from typing import Any, Callable, Dict, List, Mapping, Optional

from ..errors import RouterError
from ..gcode.parameters import command
from ..klippy.guard import guarded
from ..printers.printer import Job, Order, Printer
from ..sanitize import printable

ECHO_METHOD = "router/echo"
ECHO_MACRO = "_ROUTER_ECHO"
# Answers to one test that are kept
MAX_ANSWERS = 8


class Echo:
    """One test of a peer. on_news: called whenever something came back, or it failed."""

    def __init__(self, peer: Printer, on_news: Callable[[], None]) -> None:
        self.peer, self.on_news = peer, on_news
        self.token = os.urandom(8).hex()  # other routers make tests as well
        self.is_back = False
        self.answers: List[str] = []  # of every router there: the names of the printers it knows
        self.error: Optional[RouterError] = None  # why the macro failed
        self.has_run = False
        self.is_over = False

    def render(self) -> str:
        """The script for the peer; empty where it is too late for it."""
        if self.is_over:
            return ""
        return command(ECHO_MACRO, {"TOKEN": self.token}, self.peer.old_parser)


class Echoes:
    """All tests in progress: of each peer one, for they wait in its queue."""

    def __init__(self) -> None:
        self._tests: Dict[Printer, Echo] = {}

    def start(self, peer: Printer, on_news: Callable[[], None]) -> Optional[Echo]:
        """Begin a test; None while the one before it still waits. Raises NotReady."""
        if peer in self._tests:
            return None
        echo = Echo(peer, on_news)

        def done(_result: Any, error: Optional[RouterError]) -> None:
            echo.has_run, echo.error = True, error
            if echo.is_over:
                del self._tests[peer]
            elif error is not None:
                echo.on_news()

        peer.submit(Job(echo.render, done, order=Order.FIRST))
        self._tests[peer] = echo
        return echo

    def end(self, echo: Echo) -> None:
        """Nothing of this test is of interest any more."""
        if not echo.is_over:
            echo.is_over = True
            if echo.has_run:
                del self._tests[echo.peer]

    def received(self, caller: Printer, params: Mapping[str, Any]) -> None:
        """A peer called router/echo."""
        echo = self._tests.get(caller)
        if echo is None or echo.is_over or params.get("token") != echo.token:
            return  # of a test of somebody else, or of one that is over
        if "printers" not in params:
            echo.is_back = True
        elif len(echo.answers) < MAX_ANSWERS:
            echo.answers.append(printable(params["printers"]))
        guarded(echo.on_news)
