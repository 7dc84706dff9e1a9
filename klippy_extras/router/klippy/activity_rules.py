# The rules of printer.router.activity: which word, and when a printer homes, probes or heats
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Dict, NamedTuple, Optional

# States of print_stats that last until the next print, or SDCARD_RESET_FILE
ENDED = ("complete", "cancelled", "error")
# Seconds for which homing or probing lasts after its last move: between two axes or points Klipper
# begins the next one as soon as it has queued the moves to there
MOVE_HOLD = 1.0
# Seconds that homing an axis may take between two of its homing moves (Kalico changes the current
# of the motors). After that it has failed: Klipper sends no event then.
RAILS_TIMEOUT = 10.0
# Degrees below its target at which a heater begins to heat, and those at which it has finished.
# Heaters with control: watermark, and those of a fast print, stay within the former.
HEATING_BELOW = 5.0
HEATED_BELOW = 2.0


class Facts(NamedTuple):
    """What is known of a printer. state: Klippy's; print_state: that of print_stats."""

    state: str
    motion: Optional[str]  # homing or probing
    print_state: str
    is_paused: bool  # pause_resume
    is_heating: bool
    serial_port_is_busy: bool


def word_of(facts: Facts) -> str:
    """The word: the first of these that is true."""
    state = facts.print_state
    if facts.state != "ready":
        return "startup" if facts.state == "startup" else "shutdown"
    if facts.motion is not None:
        return facts.motion
    if state == "paused" or (facts.is_paused and state not in ("printing", *ENDED)):
        return "paused"  # the latter is a print over the serial port
    if state in ENDED and not facts.serial_port_is_busy:
        return state
    if facts.is_heating:
        return "heating"
    return "printing" if state == "printing" or facts.serial_port_is_busy else "idle"


class Motion:
    """Whether the printer homes or probes, from Klipper's events. Times in seconds.

    An axis that homes to an endstop is between rails_begin() and rails_end(); in current Klipper
    one that homes with the probe is not (klippy/extras/homing.py, _do_home_z_via_probe).
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._word: Optional[str] = None
        self._is_moving = self._in_rails = self._homes_with_probe = False
        self._changed_at = 0.0

    def rails_begin(self, now: float) -> None:
        """The homing of one or more axes begins."""
        self._word, self._in_rails, self._changed_at = "homing", True, now

    def rails_end(self, now: float) -> None:
        """It has ended. Does not follow if it has failed."""
        self._in_rails, self._changed_at = False, now

    def move_begin(self, now: float, is_forced: bool) -> None:
        """A move to an endstop or until the probe triggers begins.

        is_forced: from a position beyond the limits, as Klipper assumes only to home an axis.
        """
        since = now - self._changed_at
        self._in_rails = self._in_rails and since < RAILS_TIMEOUT
        if self._in_rails:
            is_homing = True
        else:
            # The second move is from within the limits
            is_homing = is_forced or (self._homes_with_probe and since < MOVE_HOLD)
            self._homes_with_probe = is_homing
        self._word, self._is_moving = "homing" if is_homing else "probing", True

    def move_end(self, now: float) -> None:
        """It has ended, even if the endstop did not trigger."""
        self._is_moving, self._changed_at = False, now

    def moved(self) -> None:
        """Klipper has moved by itself, as between the points of a bed mesh, but not in homing."""
        self._homes_with_probe = False

    def motors_off(self) -> None:
        """The motors were turned off, as they are when homing has failed."""
        self._forget()

    def word(self, now: float) -> Optional[str]:
        """homing, probing or None."""
        since = now - self._changed_at
        hold = RAILS_TIMEOUT if self._in_rails else MOVE_HOLD
        return self._word if self._is_moving or since < hold else None


class Heating:
    """Whether any heater heats up: two thresholds, so that it does not change to and fro."""

    def __init__(self) -> None:
        self._is_heating: Dict[str, bool] = {}

    def update(self, heater: str, temperature: object, target: object) -> bool:
        """The values of a heater, in degrees; returns whether it heats up."""
        below = -1.0
        if isinstance(temperature, (int, float)) and isinstance(target, (int, float)) and target:
            below = target - temperature
        limit = HEATED_BELOW if self._is_heating.get(heater) else HEATING_BELOW
        is_heating = self._is_heating[heater] = below > limit
        return is_heating
