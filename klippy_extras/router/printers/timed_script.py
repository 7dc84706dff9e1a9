# A script that acts on a peer at a given time, and says on the console here when it is late
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Callable

from ..rates import ALIKE_BURST, ALIKE_INTERVAL, Bucket
from .printer import Follower

# The macro of a peer that includes router_api.cfg, which lets its toolhead wait for a print time
SYNC_MACRO = "_ROUTER_SYNC"
# What it prints if that is over
_LATE = "SYNC=1 is "


def at_print_time(script: str, print_time: float) -> str:
    """The script, with the command before it that waits for this print time of the peer."""
    return "%s PRINT_TIME=%.6f\n%s" % (SYNC_MACRO, print_time, script)


class LateNotices:
    """Reports how late scripts were, at a limited rate. show: shows a line on the console here."""

    def __init__(self, name: str, show: Callable[[str], None], now: Callable[[], float]) -> None:
        self._name, self._show = name, show
        self._rate = Bucket(ALIKE_BURST, ALIKE_INTERVAL, now)

    def printed(self, text: str) -> bool:
        """Whether the peer's macro has printed this; it is reported then."""
        if not text.startswith(_LATE) or "\n" in text:
            return False
        if self._rate.take():
            self._show("%s: %s" % (self._name, text))
        return True


class TimedFollower(Follower):
    """Follows a script that acts at a time, for another follower."""

    def __init__(self, follower: Follower, notices: LateNotices) -> None:
        self._follower, self._notices = follower, notices

    @property
    def given_up(self) -> bool:
        return self._follower.given_up

    def sent(self) -> None:
        self._follower.sent()

    def began(self) -> None:
        self._follower.began()

    def printed(self, text: str) -> None:
        if not self._notices.printed(text):
            self._follower.printed(text)

    def ended(self) -> None:
        self._follower.ended()
