# Lines about one printer in klippy.log, at a bounded rate
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging
from typing import Callable

from .plain import counted, printable

# Lines at once (a printer comes and goes with several), and after them one a second
BURST = 6


class PeerLog:
    """What a printer does may not fill the log: others look for their own troubles there."""

    def __init__(self, name: str, monotonic: Callable[[], float]) -> None:
        self._name, self._monotonic = name, monotonic
        self._allowed, self._at = float(BURST), monotonic()
        self._left_out = 0

    def write(self, text: str) -> None:
        """One line, "router: NAME text"."""
        now = self._monotonic()
        self._allowed = min(BURST, self._allowed + now - self._at)
        self._at = now
        if self._allowed < 1.0:
            self._left_out += 1
            return
        self._allowed -= 1.0
        left_out = ""
        if self._left_out:
            left_out = " (%s left out)" % (counted(self._left_out, "line"),)
            self._left_out = 0
        logging.info("router: %s%s", printable("%s %s" % (self._name, text)), left_out)
