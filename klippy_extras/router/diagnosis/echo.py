# The echo test: the router runs a macro of the peer, and that macro calls the router back
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# _ROUTER_ECHO of router_api.cfg calls two remote methods. router/echo shows that calls arrive.
# router/printers/list is answered by every program that has registered it on that peer: each one
# runs _ROUTER_ECHO_BACK there, which calls router/echo again, with the printers that this program
# knows. This finds another router or the old daemon, as Klipper has no list of its API clients.
import os
from typing import Any, Callable, Collection, Dict, List, Mapping, Optional

from ..errors import RouterError
from ..gcode.parameters import command
from ..klippy.guard import guarded
from ..printers.printer import Failure, Job, Order, Printer
from ..sanitize import printable

ECHO_METHOD = "router/echo"
ECHO_MACRO = "_ROUTER_ECHO"
# Answers to one test that are kept
MAX_ANSWERS = 8


class Echo:
    """One test of a peer.

    on_news: called whenever an answer arrives, or when the test fails or has given way. gives_way:
    whether the next one can begin at any time, and ends this one.
    """

    def __init__(self, peer: Printer, on_news: Callable[[], None], gives_way: bool) -> None:
        self.peer, self.on_news, self.gives_way = peer, on_news, gives_way
        self.token = os.urandom(8).hex()  # distinguishes it from the tests of other routers
        self.is_back = False
        self.answers: List[str] = []  # one per router: the names of the printers that it knows
        self.error: Optional[RouterError] = None  # why the macro failed
        self.has_run = False
        self.is_over = False  # further answers are ignored

    def submit(self) -> None:
        """Run the macro. Raises NotReady."""
        self.peer.submit(Job(self._text, self._done, order=Order.FIRST))

    @property
    def has_left(self) -> bool:
        """Whether it is over, and its macro is no longer in the peer's queue."""
        return self.is_over and self.has_run

    def _text(self) -> str:
        if self.is_over:
            return ""  # too late
        return command(ECHO_MACRO, {"TOKEN": self.token}, self.peer.old_parser)

    def _done(self, _result: Any, error: Failure) -> None:
        self.has_run, self.error = True, error
        if error is not None and not self.is_over:
            self.on_news()


class Echoes:
    """The latest test of each peer. The next one waits until its macro has left the queue.

    printers: the names of all printers of this router.
    """

    def __init__(self, printers: Collection[str]) -> None:
        self._printers = printers
        self._tests: Dict[Printer, Echo] = {}

    @property
    def own_answer(self) -> str:
        """The answer of this router itself: its printers, as a macro gets them."""
        return printable(",".join(self._printers))

    def start(
        self, peer: Printer, on_news: Callable[[], None], gives_way: bool = False
    ) -> Optional[Echo]:
        """Begin a test; None while the previous one is still waiting. Raises NotReady."""
        latest = self._tests.get(peer)
        if latest is not None and not latest.has_left and not latest.gives_way:
            return None
        echo = Echo(peer, on_news, gives_way)
        echo.submit()
        self._tests[peer] = echo
        if latest is not None and not latest.is_over:
            latest.is_over = True
            guarded(latest.on_news)
        return echo

    def received(self, caller: Printer, params: Mapping[str, Any]) -> None:
        """A peer called router/echo."""
        echo = self._tests.get(caller)
        if echo is None or echo.is_over or params.get("token") != echo.token:
            return  # for the test of another router, or for one that is over
        if "printers" not in params:
            echo.is_back = True
        elif len(echo.answers) < MAX_ANSWERS:
            echo.answers.append(printable(params["printers"]))
        guarded(echo.on_news)
