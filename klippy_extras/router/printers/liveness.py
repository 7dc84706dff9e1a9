# Detects whether a peer still answers: when to ping it, and when it has timed out
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import NamedTuple, Optional

from ..errors import TimedOut
from ..sanitize import counted


class Check(NamedTuple):
    """The result of a check. next_time: of the next check, in reactor seconds."""

    is_ping_due: bool
    next_time: float


class Liveness:
    """Whether a peer still answers. timeout: seconds without an answer until it has timed out.

    All times are reactor seconds.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self.latency: Optional[float] = None  # seconds, of the last ping
        self.received_at = 0.0  # when something was last received
        self._asked_at: Optional[float] = None

    def opened(self, now: float) -> None:
        """Connected; the first request counts as a ping."""
        self.received_at = self._asked_at = now

    def closed(self) -> None:
        """The connection is lost."""
        self.latency = self._asked_at = None

    def asked(self, now: float) -> None:
        """A ping was sent."""
        self._asked_at = now

    def answered(self, is_timed: bool = False) -> None:
        """The ping was answered. is_timed: whether the time that it took is the latency."""
        if is_timed and self._asked_at is not None:
            self.latency = self.received_at - self._asked_at
        self._asked_at = None

    def check(self, now: float) -> Check:
        """Whether to send a ping now. Raises TimedOut if the peer has not answered in time."""
        half = self._timeout * 0.5
        if self._asked_at is None:
            if now < self.received_at + half:
                return Check(False, self.received_at + half)
            return Check(True, now + half)
        # However late the ping was sent, the peer has half of the timeout to answer
        deadline = max(self.received_at + self._timeout, self._asked_at + half)
        if now < deadline:
            return Check(False, deadline)
        if now < deadline + half:
            raise TimedOut("did not answer within %s" % (counted(self._timeout, "second"),))
        # This process must have been paused to be so late, and perhaps the peer was too: ping again
        return Check(True, now + half)
