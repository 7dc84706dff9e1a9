# The console output of a script, and the failures that only the output shows
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
from typing import List, Optional

from ..errors import RouterError
from ..sanitize import printable
from .printer import Follower

# Klipper prints this, but then reports success (klippy/gcode.py, cmd_default)
_UNKNOWN_COMMAND = re.compile(r'// (Unknown command:".*")')
# Klippy prints this when it shuts down; it may report the script that caused it as a success
_SHUTDOWN = "// Klipper state: Shutdown"
_MARKS = re.compile(r"^(// |!! |echo: )")
# Characters by which an error line is recognized in the error that follows
_RECOGNIZED = 100


class ScriptOutput:
    """The console text of one script, from its first command to its last.

    follower: gets the text, except a line that only repeats the error of the script.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._error_line = ""  # held back: it may be the error with which the script ends
        self.unknown = ""  # the first unknown command, in Klipper's words
        self.has_shut_down = False

    def add(self, text: str) -> None:
        """A console message (// ..., !! ..., echo: ...) of one or more lines."""
        shown: List[str] = []
        for line in text.split("\n"):
            shown += self._take_error_line()
            if line == _SHUTDOWN:
                self.has_shut_down = True
            if not self.unknown:
                found = _UNKNOWN_COMMAND.match(line)
                if found is not None:
                    self.unknown = printable(found.group(1))
                    continue
            if line.startswith("!! "):
                self._error_line = line
            else:
                shown.append(_unmarked(line))
        self._show(shown)

    def end(self, error: Optional[RouterError]) -> None:
        """The script has ended; error: why it failed, if it did."""
        if error is not None and _unmarked(self._error_line)[:_RECOGNIZED] in str(error):
            self._error_line = ""
        self._show(self._take_error_line())
        self._follower.ended()

    def _take_error_line(self) -> List[str]:
        line, self._error_line = self._error_line, ""
        return [_unmarked(line)] if line else []

    def _show(self, lines: List[str]) -> None:
        if lines:
            self._follower.printed("\n".join(lines))


def _unmarked(line: str) -> str:
    return printable(_MARKS.sub("", line))
