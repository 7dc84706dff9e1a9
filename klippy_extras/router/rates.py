# Rate limits for the log, the console and error macros
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Callable, Dict, List, Optional, Tuple

# Reports of one kind that are let through at once; after them, one per ALIKE_INTERVAL seconds
ALIKE_BURST = 5
ALIKE_INTERVAL = 5.0
# The same for reports of all kinds together
ALL_BURST = 40
ALL_INTERVAL = 0.5
# Kinds that are counted separately; beyond that, the oldest one is dropped
MAX_KINDS = 16

Clock = Callable[[], float]
Kind = Tuple[str, ...]


class Bucket:
    """A token bucket: lets `burst` items through at once, then one per `interval` seconds."""

    def __init__(self, burst: int, interval: float, monotonic: Clock) -> None:
        self._burst, self._interval, self._monotonic = float(burst), interval, monotonic
        self._tokens, self._at = self._burst, monotonic()
        self.left_out = 0  # items not let through since the last take_left_out()

    def take(self) -> bool:
        """Whether one more item is let through; one that is not is counted."""
        self._fill()
        if self._tokens < 1.0:
            self.left_out += 1
            return False
        self._tokens -= 1.0
        return True

    def take_left_out(self) -> int:
        """How many were left out since the last call."""
        left_out, self.left_out = self.left_out, 0
        return left_out

    @property
    def is_full(self) -> bool:
        """Whether a whole burst would be let through again."""
        self._fill()
        return self._tokens >= self._burst

    def _fill(self) -> None:
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) / self._interval)
        self._at = now


class Repeats:
    """Limits the rate of reports, of each kind and of all kinds together."""

    def __init__(self, monotonic: Clock) -> None:
        self._monotonic = monotonic
        self._all = Bucket(ALL_BURST, ALL_INTERVAL, monotonic)
        self._kinds: Dict[Kind, Bucket] = {}

    def take(self, kind: Kind) -> bool:
        """Whether a report of this kind is let through; one that is not is counted."""
        bucket = self._kinds.get(kind)
        if bucket is None:
            if len(self._kinds) >= MAX_KINDS:
                oldest = self._kinds.pop(next(iter(self._kinds)))
                self._all.left_out += oldest.left_out
            bucket = Bucket(ALIKE_BURST, ALIKE_INTERVAL, self._monotonic)
            self._kinds[kind] = bucket
        return bucket.take() and self._all.take()

    def take_left_out(self) -> List[Tuple[Optional[Kind], int]]:
        """How many of each kind were left out since the last call. None: of various kinds."""
        counts: List[Tuple[Optional[Kind], int]] = []
        for kind, bucket in list(self._kinds.items()):
            counts.append((kind, bucket.take_left_out()))
            if bucket.is_full:
                del self._kinds[kind]
        counts.append((None, self._all.take_left_out()))
        return [(kind, count) for kind, count in counts if count]
