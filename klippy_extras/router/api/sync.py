# SYNC=1: acts in step with this printer's moves, which Klipper plans ahead of time
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Collection, List, Optional

from ..klippy.guard import guarded
from ..klippy.klippy import Klippy
from ..printers.printer import Printer

# Seconds ahead of which an action is sent, and is tried again if a clock was not known the first
# time. A peer needs 0.25 (BUFFER_TIME_START in klippy/toolhead.py); what was sent cannot be taken
# back.
LEADS = (0.5, 0.3)
# Seconds ahead of which its targets' clocks are read again: what was read when the command was run
# may be out of date behind a long move or dwell, or was read of a Klippy that has restarted since
CLOCK_LEAD = 1.0

# The printers on which something acts; None: it does not act on a printer
Targets = Callable[[], Collection[Optional[Printer]]]


class Action:
    """Something that is to act when the toolhead gets to its place in the G-code.

    run(act_at): sends it, to act at this reactor time; None: at once. command: its G-code line.
    is_requested: whether that asks for SYNC=1, so that the user must know where it is not possible.
    """

    def __init__(
        self,
        run: Callable[[Optional[float]], None],
        targets: Targets,
        command: str,
        is_requested: bool = True,
    ) -> None:
        self.run, self.targets, self.command = run, targets, command
        self.is_requested = is_requested
        self.due = 0.0  # in reactor time

    def can_be_sent_ahead(self) -> bool:
        """Whether all of its targets can act at a time."""
        targets = self.targets()
        return bool(targets) and all(t is not None and t.can_act_at_a_time for t in targets)


class SyncQueue:
    """Sends actions for the time when the toolhead gets to them, without stopping motion."""

    def __init__(self, klippy: Klippy) -> None:
        self._klippy = klippy
        self._latest = 0.0  # reactor time at which the last action is due
        self._actions: List[Action] = []  # that were not sent yet, in the order of add()

    def add(self, action: Action) -> None:
        """Act when the toolhead has made the moves queued so far, in the order of add().

        Sources: klippy/toolhead.py, register_lookahead_callback (the print time at which the moves
        so far end) and check_busy (the print time at which the planned moves end); klippy/mcu.py,
        estimated_print_time (the current print time).
        """
        self._actions.append(action)
        toolhead: Any = self._klippy.printer.lookup_object("toolhead")
        end, now, is_planned = toolhead.check_busy(self._klippy.timers.now())
        if end > now or not is_planned:
            self._expect(action)
        if is_planned:
            # Not register_lookahead_callback: it would wake an idle toolhead, and idle_timeout
            # would report Printing
            self._planned(action, end)
            return
        toolhead.register_lookahead_callback(
            lambda print_time: guarded(self._planned, action, print_time)
        )

    def drop_all(self) -> None:
        """This printer shuts down: drop and report the actions that were not sent yet."""
        actions, self._actions = self._actions, []
        for action in actions:
            self._klippy.report(
                "not done, because the printer shut down first: %s" % (action.command,)
            )

    def _planned(self, action: Action, print_time: float) -> None:
        now = self._klippy.timers.now()
        mcu: Any = self._klippy.printer.lookup_object("mcu")
        due = now + max(0.0, print_time - mcu.estimated_print_time(now))
        # Rounding must not swap two actions after the same move
        action.due = self._latest = max(due, self._latest)
        if action.due <= now:
            # No moves: like this printer's own toolhead, that of a peer begins 0.25 s from now
            self._send(action)
            return
        self._klippy.timers.after(action.due - CLOCK_LEAD - now, lambda: self._expect(action))
        for lead in LEADS:
            self._klippy.timers.after(action.due - lead - now, lambda: self._send_ahead(action))
        self._klippy.timers.after(action.due - now, lambda: self._send(action))

    def _expect(self, action: Action) -> None:
        for target in action.targets() if action in self._actions else ():
            if target is not None:
                target.expect_timed_jobs(action.is_requested)

    # In order, however their timers are rounded: the actions before one are due no later

    def _send_ahead(self, action: Action) -> None:
        for one in self._up_to(action):
            if one.can_be_sent_ahead():
                self._actions.remove(one)
                one.run(one.due)

    def _send(self, action: Action) -> None:
        for one in self._up_to(action):
            self._actions.remove(one)
            one.run(None)

    def _up_to(self, action: Action) -> List[Action]:
        if action not in self._actions:
            return []
        return self._actions[: self._actions.index(action) + 1]
