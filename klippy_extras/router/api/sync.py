# SYNC=1: acting in step with this printer's moves, of which Klipper reads a second or more ahead
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, List, NamedTuple

from ..klippy.guard import guarded
from ..klippy.klippy import Klippy


class _Step(NamedTuple):
    act: Callable[[], None]
    command: str


class Motion:
    """Runs actions when the toolhead gets to them, without stopping motion."""

    def __init__(self, klippy: Klippy) -> None:
        self._klippy = klippy
        self._latest = 0.0  # reactor time of the action that is due last
        self._steps: List[_Step] = []

    def in_step(self, act: Callable[[], None], command: str) -> None:
        """Call act when the moves that were queued so far have been made, in the order of calls.

        command: the line that this is for, which is reported if this printer shuts down before.
        Sources: klippy/toolhead.py, register_lookahead_callback (the print time at which the moves
        so far end), check_busy (the print time at which what is planned ends); klippy/mcu.py,
        estimated_print_time (the print time of now).
        """
        step = _Step(act, command)
        self._steps.append(step)
        toolhead: Any = self._klippy.printer.lookup_object("toolhead")
        end, _now, is_planned = toolhead.check_busy(self._klippy.timers.now())
        if is_planned:
            # Not register_lookahead_callback: it would wake a toolhead that stands still, and
            # idle_timeout would report Printing
            self._planned(step, end)
            return
        toolhead.register_lookahead_callback(
            lambda print_time: guarded(self._planned, step, print_time)
        )

    def drop_all(self) -> None:
        """This printer shuts down: what is not due yet never happens."""
        steps, self._steps = self._steps, []
        for step in steps:
            self._klippy.report("not done, the printer shut down before: %s" % (step.command,))

    def _planned(self, step: _Step, print_time: float) -> None:
        now = self._klippy.timers.now()
        mcu: Any = self._klippy.printer.lookup_object("mcu")
        due = now + max(0.0, print_time - mcu.estimated_print_time(now))
        # Two actions after one move: rounding must not swap them
        self._latest = max(due, self._latest)
        self._klippy.timers.after(self._latest - now, lambda: self._act(step))

    def _act(self, step: _Step) -> None:
        # In order, whatever the rounding of their timers: those before it are due no later
        while step in self._steps:
            self._steps.pop(0).act()
