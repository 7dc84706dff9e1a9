# Finds another router, or the old daemon, that takes the calls of a peer as well
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# Each peer is tested once, a few seconds after it became ready: by then the other programs have
# connected to it as well.
import random
from typing import Callable, Dict, List, Set

from ..klippy.timers import Timers
from ..printers.printer import Printer, PrinterListener
from .echo import ECHO_MACRO, Echoes
from .echo_test import EchoListener, EchoTest

# Seconds until a peer that became ready is tested, at least and at most. A random time in between,
# because two routers that run the macro at the same moment take each other's answers.
MIN_DELAY = 2.0
MAX_DELAY = 5.0
# Tests of one peer, if other ones disturb them
ATTEMPTS = 3


class OtherRouters(PrinterListener):
    """Tests peers that become ready. report: shows and logs what was found, once for each peer."""

    def __init__(self, timers: Timers, echoes: Echoes, report: Callable[[str], None]) -> None:
        self._timers, self._echoes, self._report = timers, echoes, report
        self._searches: Dict[Printer, _Search] = {}  # the latest one of each peer
        self._reported: Set[Printer] = set()

    def became_ready(self, printer: Printer) -> None:
        if not printer.accepts_calls or ECHO_MACRO not in printer.commands:
            return
        if printer not in self._reported:
            self._searches[printer] = search = _Search(self, printer)
            self.plan(search)

    def plan(self, search: "_Search") -> None:
        """Test its peer in a few seconds."""
        self._timers.after(random.uniform(MIN_DELAY, MAX_DELAY), lambda: self._start(search))

    def found(self, printer: Printer, others: List[str]) -> None:
        """Other programs have answered."""
        if printer not in self._reported:
            self._reported.add(printer)
            self._report("%s: %s" % (printer.name, others_text(printer.name, others)))

    def _start(self, search: "_Search") -> None:
        if search is not self._searches[search.peer] or not search.peer.ready:
            return  # the connection was lost; it is tested when it is ready again
        test = EchoTest(self._timers, self._echoes, search)
        if not test.start(search.peer, gives_way=True):
            search.ended([], False)


class _Search(EchoListener):
    """The search on one peer, from the moment it became ready."""

    def __init__(self, routers: OtherRouters, peer: Printer) -> None:
        self._routers, self.peer = routers, peer
        self._left = ATTEMPTS

    def failed(self, text: str) -> None:
        self.peer.log("it is not known whether other routers take its calls: %s" % (text,))

    def ended(self, others: List[str], is_certain: bool) -> None:
        self._left -= 1
        if others:
            self._routers.found(self.peer, others)
        elif not is_certain and self._left:
            self._routers.plan(self)


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
