# What this printer does, in one word from Klippy's own state: printer.router.activity
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import logging
from typing import Any, Callable, List, Optional

from .activity_rules import Facts, Heating, Motion, word_of
from .guard import guarded
from .klippy import Klippy

# Seconds for which the serial port counts as busy after it was: between two lines it is not
SERIAL_HOLD = 2.0
# Millimetres that a position may be beyond the limits, because of rounding
POSITION_TOLERANCE = 0.001


class Activity:
    """Reads the word whenever it is asked for. has_section: whether this config has a section."""

    def __init__(self, klippy: Klippy, has_section: Callable[[str], bool]) -> None:
        self._klippy, self._has_section = klippy, has_section
        self._now = klippy.timers.now
        self._motion, self._heating = Motion(), Heating()
        self._heaters: Optional[List[str]] = None  # read when Klippy is ready
        self._serial_busy_at = -SERIAL_HOLD
        self._last = "startup"
        self._has_failed = False
        register = klippy.printer.register_event_handler
        register("homing:home_rails_begin", self._handle_home_rails_begin)
        register("homing:home_rails_end", self._handle_home_rails_end)
        register("homing:homing_move_begin", self._handle_homing_move_begin)
        register("homing:homing_move_end", self._handle_homing_move_end)
        register("toolhead:manual_move", self._motion.moved)
        register("stepper_enable:motor_off", self._handle_motor_off)

    def read(self, eventtime: float) -> str:
        """The word. Never pauses or raises."""
        try:
            self._last = word_of(self._facts(eventtime))
        except Exception:
            if not self._has_failed:  # once: it is read several times a second
                logging.exception("router: internal error (please report it)")
            self._has_failed = True
        return self._last

    def _facts(self, eventtime: float) -> Facts:
        state, _message = self._klippy.state()
        if state != "ready":
            # Some objects do not exist yet
            return Facts(state, None, "", False, False, False)
        motion = self._motion.word(eventtime)
        if motion is None and self._status("manual_probe", eventtime).get("is_active"):
            motion = "probing"
        return Facts(
            state,
            motion,
            str(self._status("print_stats", eventtime).get("state")),
            bool(self._status("pause_resume", eventtime).get("is_paused")),
            self._is_heating(eventtime),
            self._serial_port_is_busy(eventtime),
        )

    def _status(self, name: str, eventtime: float) -> Any:
        return self._klippy.object_status(name, eventtime)

    def _is_heating(self, eventtime: float) -> bool:
        if self._heaters is None:
            # Those of peers have no section of their own here
            names = self._status("heaters", eventtime).get("available_heaters", ())
            self._heaters = [name for name in names if self._has_section(name)]
        is_heating = False
        for name in self._heaters:
            status = self._status(name, eventtime)
            if self._heating.update(name, status.get("temperature"), status.get("target")):
                is_heating = True
        return is_heating

    def _serial_port_is_busy(self, eventtime: float) -> bool:
        if self._klippy.serial_port_is_busy:
            self._serial_busy_at = eventtime
        return eventtime - self._serial_busy_at < SERIAL_HOLD

    # -- Klipper's events. Only the toolhead counts: steppers of a filament changer home, too

    def _is_toolhead(self, homing: Any) -> bool:
        """homing: Klipper's Homing or HomingMove (klippy/extras/homing.py)."""
        toolhead: Any = self._klippy.printer.lookup_object("toolhead", None)
        return toolhead is not None and getattr(homing, "toolhead", None) is toolhead

    def _handle_home_rails_begin(self, homing: Any, rails: Any) -> None:
        if self._is_toolhead(homing):
            self._motion.rails_begin(self._now())

    def _handle_home_rails_end(self, homing: Any, rails: Any) -> None:
        if self._is_toolhead(homing):
            self._motion.rails_end(self._now())

    def _handle_homing_move_begin(self, homing: Any) -> None:
        if self._is_toolhead(homing):
            guarded(self._move_begin, homing.toolhead)

    def _handle_homing_move_end(self, homing: Any) -> None:
        if self._is_toolhead(homing):
            self._motion.move_end(self._now())

    def _handle_motor_off(self, *print_time: float) -> None:
        # Current Klipper passes no time
        self._motion.motors_off()

    def _move_begin(self, toolhead: Any) -> None:
        now = self._now()
        limits = toolhead.get_kinematics().get_status(now)
        is_forced = any(
            not low - POSITION_TOLERANCE <= position <= high + POSITION_TOLERANCE
            for position, low, high in zip(
                toolhead.get_position()[:3], limits["axis_minimum"], limits["axis_maximum"]
            )
        )
        self._motion.move_begin(now, is_forced)
