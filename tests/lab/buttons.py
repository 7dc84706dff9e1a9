"""A group of input pins that an emulated MCU reports by itself: buttons, filament sensors."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Dict, Mapping

MAX_REPORTS = 8  # as in the firmware, src/buttons.c


class Buttons:
    """The pins by their places, and the states of them that the host has not acknowledged yet."""

    def __init__(self) -> None:
        self._pins: Dict[int, int] = {}  # place -> pin
        self._released = self._state = 0
        self.reports = b""
        """States not acknowledged, one byte each, oldest first: a bit for each place."""
        self.ack_count = 0

    def add(self, place: int, pin: int) -> None:
        self._pins[place] = pin

    def start(self, released: int) -> None:
        """Start again; released: the state in which no button is pressed."""
        self._released = self._state = released
        self.reports, self.ack_count = b"", 0

    def read(self, levels: Mapping[int, float]) -> bool:
        """Read the pins, and return whether there is a new state to report.

        A pin without a level reads as a button that is not pressed.
        """
        state = 0
        for place, pin in self._pins.items():
            released = self._released >> place & 1
            state |= int(bool(levels.get(pin, released))) << place
        if state == self._state or len(self.reports) == MAX_REPORTS:
            return False
        self._state = state
        self.reports += bytes([state])
        return True

    def acknowledge(self, count: int) -> None:
        """The host has the `count` oldest reports."""
        self.reports = self.reports[count:]
        self.ack_count = self.ack_count + count & 0xFF
