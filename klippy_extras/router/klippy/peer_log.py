# Lines about one printer in klippy.log, at a limited rate
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging

from ..rates import Bucket
from ..sanitize import counted, printable
from .klippy import Klippy

# Lines at once (a printer that connects causes several); after them, one per second
BURST = 6


class PeerLog:
    """Logs lines about one printer, but not so many that other problems are hard to find."""

    def __init__(self, name: str, klippy: Klippy) -> None:
        self._name, self._klippy = name, klippy
        self._bucket = Bucket(BURST, 1.0, klippy.timers.now)

    def write(self, text: str) -> None:
        """One line, "router: NAME text"."""
        if not self._bucket.take():
            return
        count = self._bucket.take_left_out()
        left_out = " (%s left out)" % (counted(count, "line"),) if count else ""
        self._klippy.log(logging.INFO, printable("%s %s" % (self._name, text)) + left_out)
