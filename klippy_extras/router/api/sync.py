# SYNC=1: runs commands in step with this printer's moves, which Klipper plans ahead of time
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, List, NamedTuple

from ..klippy.guard import guarded
from ..klippy.klippy import Klippy


class _Action(NamedTuple):
    run: Callable[[], None]
    command: str


class SyncQueue:
    """Runs actions when the toolhead gets to them, without stopping motion."""

    def __init__(self, klippy: Klippy) -> None:
        self._klippy = klippy
        self._latest = 0.0  # reactor time at which the last action is due
        self._actions: List[_Action] = []

    def add(self, run: Callable[[], None], command: str) -> None:
        """Call run() when the toolhead has made the moves queued so far, in the order of add().

        command: the G-code line, which is reported if this printer shuts down before.
        Sources: klippy/toolhead.py, register_lookahead_callback (the print time at which the moves
        so far end) and check_busy (the print time at which the planned moves end); klippy/mcu.py,
        estimated_print_time (the current print time).
        """
        action = _Action(run, command)
        self._actions.append(action)
        toolhead: Any = self._klippy.printer.lookup_object("toolhead")
        end, _now, is_planned = toolhead.check_busy(self._klippy.timers.now())
        if is_planned:
            # Not register_lookahead_callback: it would wake an idle toolhead, and idle_timeout
            # would report Printing
            self._planned(action, end)
            return
        toolhead.register_lookahead_callback(
            lambda print_time: guarded(self._planned, action, print_time)
        )

    def drop_all(self) -> None:
        """This printer shuts down: drop and report the actions that are not due yet."""
        actions, self._actions = self._actions, []
        for action in actions:
            self._klippy.report(
                "not done, because the printer shut down first: %s" % (action.command,)
            )

    def _planned(self, action: _Action, print_time: float) -> None:
        now = self._klippy.timers.now()
        mcu: Any = self._klippy.printer.lookup_object("mcu")
        due = now + max(0.0, print_time - mcu.estimated_print_time(now))
        # Rounding must not swap two actions after the same move
        self._latest = max(due, self._latest)
        self._klippy.timers.after(self._latest - now, lambda: self._run(action))

    def _run(self, action: _Action) -> None:
        # In order, however their timers are rounded: the actions before it are due no later
        while action in self._actions:
            self._actions.pop(0).run()
