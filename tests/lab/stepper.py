"""The motor of an emulated MCU."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import collections
from typing import Deque, NamedTuple, Optional


class _Move(NamedTuple):
    """One queue_step: so many steps, the first after `interval` ticks, each `add` ticks longer."""

    start: int
    end: int
    interval: int
    add: int
    steps: int
    direction: int


class Stepper:
    """The moves queued for a motor, by the clock; its position is worked out on demand."""

    def __init__(self) -> None:
        self._moves: Deque[_Move] = collections.deque()
        self._position = 0
        self.direction = -1
        self.end: Optional[int] = None
        """The clock of the last step; None once stopped, until a new clock is set."""

    def stop(self, clock: int) -> None:
        """Drop the steps that are not done at this clock."""
        self._position = self.position_at(clock)
        self._moves.clear()
        self.direction, self.end = -1, None

    def is_idle(self, now: int) -> bool:
        """Whether it has no steps left at this clock, and waits for no new clock."""
        return self.end is not None and (not self._moves or self.end < now)

    def queue_step(self, interval: int, count: int, add: int, now: int) -> None:
        """Append a move behind `end`, which is not None."""
        assert self.end is not None
        while self._moves and self._moves[0].end <= now:  # forget what is over
            done = self._moves.popleft()
            self._position += done.steps * done.direction
        start = self.end
        self.end += count * interval + add * count * (count - 1) // 2
        self._moves.append(_Move(start, self.end, interval, add, count, self.direction))

    def position_at(self, clock: int) -> int:
        position = self._position
        for start, end, interval, add, count, direction in self._moves:
            if end > clock:  # only some of its steps
                count = sum(
                    start + n * interval + add * n * (n - 1) // 2 <= clock
                    for n in range(1, count + 1)
                )
            position += count * direction
        return position
