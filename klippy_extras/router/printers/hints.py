# Hints about one printer on the main printer's console, each shown once
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Callable, Set

from ..sanitize import printable

# Hints about one printer until its Klippy restarts
MAX_HINTS = 32


class Hints:
    """The hints about one printer. show: shows and logs a message on the main printer."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._said: Set[str] = set()

    def say(self, sentence: str) -> None:
        """Show it, unless it was shown since the printer's Klippy started."""
        if self.is_new(sentence):
            self._show("Router: %s" % (printable(sentence),))

    def is_new(self, sentence: str) -> bool:
        """Whether it was not shown yet. From now on it counts as shown."""
        if sentence in self._said or len(self._said) >= MAX_HINTS:
            return False
        self._said.add(sentence)
        return True

    def klippy_restarted(self) -> None:
        """The printer's Klippy was restarted: all hints may be shown again."""
        self._said.clear()
