# Heaters of a peer as heaters of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, List, Mapping

from ..gcode.parameters import command
from ..klippy.klippy import Klippy
from ..printers.printer import Done, Failure, Job, Order, Printer
from .device import Device
from .temperature import CONTROL_OPTIONS

SET_TEMPERATURE = "SET_HEATER_TEMPERATURE"
# Options of heater_fan, controller_fan, homing_heaters and extruders that name a heater
HEATER_OPTIONS = ("heater", "heaters", "shared_heater")


class Heater(Device):
    """A heater whose targets are forwarded. Its limits and verify_heater are those of the peer.

    Off is never refused, and it is the last word: a target that still waits in the peer's queue is
    not sent after it.
    """

    control_options = (*CONTROL_OPTIONS, *HEATER_OPTIONS)
    is_set = False  # whether this printer has set a target that it has not turned off since
    _is_off_due = False  # whether it must be turned off as soon as that is possible
    _times_off = 0  # how often it was turned off

    def start(self, klippy: Klippy, beat: Callable[[Printer], str]) -> None:
        """Use this Klippy's toolhead and console. beat: makes the heartbeat for a peer."""
        self._klippy, self._beat = klippy, beat

    # -- targets

    def set_target(self, params: Mapping[str, str], done: Done) -> None:
        """Run SET_HEATER_TEMPERATURE with these parameters on the peer.

        Raises NotReady or Busy; done is not called then.
        """
        if not self.peer.ready:
            raise self.peer.not_ready()
        # Before it is sent: the heartbeat that is sent with it names the heaters that are set
        self.is_set, self._is_off_due = True, False
        job = _Target(self, self._times_off, params)
        self.peer.submit(Job(job.text, done))
        self._klippy.reset_idle_timeout()

    def turn_off(self) -> None:
        """Set the target to 0, now or when the peer is ready again. Never raises."""
        self._times_off += 1
        self._is_off_due = self._is_off_due or self.is_set
        self.is_set = False
        self._send_off()

    def was_off_since(self, times_off: int) -> bool:
        """Whether it was turned off more often than this."""
        return times_off != self._times_off

    def script(self, params: Mapping[str, str]) -> str:
        """The G-code that sets a target: the peer's watchdog must know it before it is set."""
        return "\n".join(filter(None, [self._beat(self.peer), self._command(params)]))

    def off_script(self) -> str:
        """The G-code that turns it off; empty if this printer has not set it."""
        return self._command({"TARGET": "0"}) if self.is_set or self._is_off_due else ""

    def _command(self, params: Mapping[str, object]) -> str:
        params = {**params, "HEATER": self.settings.source_name}
        return command(SET_TEMPERATURE, params, self.peer.old_parser)

    def _send_off(self) -> None:
        if self.peer.ready:
            # With a heartbeat, so that the watchdog does not turn it off again later
            lines = [self._command({"TARGET": "0"}), self._beat(self.peer)]
            script = "\n".join(filter(None, lines))
            self.peer.submit(Job(script, self._turned_off, order=Order.FIRST))

    def _turned_off(self, _result: Any, error: Failure) -> None:
        if error is None:
            self._is_off_due = False
        else:
            self._klippy.report("%s was not turned off: %s" % (self.full_name, error))

    # -- what the peer reports

    def klippy_restarted(self, printer: Printer) -> None:
        self.is_set = self._is_off_due = False  # its target is 0

    def became_ready(self, printer: Printer) -> None:
        if self._is_off_due:
            self._send_off()

    # -- what Klipper asks of a heater

    def set_temp(self, degrees: float) -> None:
        """Called with 0 by TURN_OFF_HEATERS and before a restart (klippy/extras/heaters.py)."""
        self.turn_off()

    def register(self, config: Any) -> None:
        super().register(config)
        verifying = "verify_heater " + self.settings.name
        if config.has_section(verifying):
            raise config.error(
                "Section '%s' cannot verify '%s', a heater of printer '%s': that printer verifies"
                " it; remove the section here" % (verifying, self.full_name, self.peer.name)
            )
        # Not under its own name: modules such as verify_heater and PID_CALIBRATE look that up
        key = "%s of %s" % (self.full_name, self.peer.name)
        self._heaters.heaters[key] = self

    def list_as_heater(self) -> None:
        """Add it to the heaters of the user interfaces, when Klippy's modules have taken theirs.

        homing_heaters takes all that there are at klippy:connect, and would turn this one off.
        """
        self._heaters.available_heaters = [*self._heaters.available_heaters, self.full_name]


class _Target:
    """One target, which is not sent if the heater was turned off in the meantime."""

    def __init__(self, heater: Heater, times_off: int, params: Mapping[str, str]) -> None:
        self._heater, self._times_off, self._params = heater, times_off, params

    def text(self) -> str:
        if self._heater.was_off_since(self._times_off):
            return ""
        return self._heater.script(self._params)


class Heaters:
    """The heaters of all peers. They must not go on when this printer cannot control them."""

    def __init__(self, heaters: List[Heater]) -> None:
        self._heaters = heaters

    def start(self, klippy: Klippy, beat: Callable[[Printer], str]) -> None:
        """Let them use this Klippy. beat: makes the heartbeat for a peer."""
        for heater in self._heaters:
            heater.start(klippy, beat)

    def set_on(self, peer: Printer) -> List[str]:
        """The names on this peer of the heaters that this printer has set."""
        return [h.settings.source_name for h in self._heaters if h.peer is peer and h.is_set]

    def off_script(self, peer: Printer) -> str:
        """The G-code that turns off what this printer has set on this peer."""
        scripts = [h.off_script() for h in self._heaters if h.peer is peer]
        return "\n".join(filter(None, scripts))

    def turn_off_all(self) -> None:
        """This printer has shut down: turn off what it has set."""
        for heater in self._heaters:
            if heater.is_set:
                heater.turn_off()

    def list_all(self) -> None:
        """Klippy is ready: show them."""
        for heater in self._heaters:
            heater.list_as_heater()
