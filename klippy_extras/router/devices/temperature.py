# A temperature of a peer among the temperature sensors of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from abc import ABC, abstractmethod
from typing import Any, Optional, Tuple

from ..printers.printer import Printer, PrinterListener
from ..sanitize import plain

# Options that let a sensor control a heater or fan: temperature_combined, and Kalico's MPC and dual
# loop PID
CONTROL_OPTIONS = ("sensor_list", "ambient_temp_sensor", "inner_sensor_name")
# Seconds between two reads of one TEMPERATURE_WAIT, which reads once a second
WAIT_INTERVAL = 2.0


class TemperatureObject(PrinterListener, ABC):
    """An object of this printer that is listed in heaters.available_sensors.

    It is not a sensor_type, so it cannot control a heater or fan of this printer. peer: the printer
    that measures. full_name: of the object here. option: the one that names it. source: what the
    peer calls the temperature.
    """

    control_options: Tuple[str, ...] = CONTROL_OPTIONS

    def __init__(self, peer: Printer, full_name: str, option: str, source: str) -> None:
        self.full_name = full_name
        self.title = "option '%s' in section 'router %s'" % (option, peer.name)
        self._peer, self._source = peer, source
        self._heaters: Any = None
        self._was_lost = False
        self._read_at = 0.0

    @abstractmethod
    def temperature(self) -> Optional[float]:
        """In degrees Celsius; None while unknown: a number would look like a measurement."""

    def target_temperature(self) -> float:
        """The target in degrees Celsius; 0 where it has none."""
        return 0.0

    # -- what the peer reports

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        self._was_lost = self._was_lost or was_ready

    # -- what Klipper asks of a sensor

    def get_temp(self, eventtime: float) -> Tuple[float, float]:
        """The temperature and the target.

        Only a TEMPERATURE_WAIT reads it. Raises the command error, which ends the wait, while the
        temperature is unknown or if the peer was not ready since the last read: its target is gone.
        """
        is_waiting = eventtime - self._read_at < WAIT_INTERVAL
        was_lost, self._was_lost = self._was_lost, False
        self._read_at = eventtime
        if not self._peer.ready:
            raise self._error(str(self._peer.not_ready()))
        if was_lost and is_waiting:
            raise self._error("%s was not ready during the wait" % (self._peer.name,))
        temperature = self.temperature()
        if temperature is None:
            raise self._error("%s: %s is not known" % (self._peer.name, self._source))
        return temperature, self.target_temperature()

    # -- what register_sensor of klippy/extras/heaters.py asks of a config section

    def get_name(self) -> str:
        return self.full_name

    def get(self, option: str, default: Any = None) -> Any:
        return default  # gcode_id, which it does not have

    def register(self, config: Any) -> None:
        """Make it an object of this printer.

        Raises the config error if there is one of this name.
        """
        klippy_printer = config.get_printer()
        self._error = klippy_printer.command_error
        klippy_printer.add_object(self.full_name, self)
        self._heaters = klippy_printer.load_object(config, "heaters")

    @property
    def is_registered(self) -> bool:
        return self._heaters is not None

    def list_as_sensor(self) -> None:
        """Add it to the temperature sensors, for TEMPERATURE_WAIT and the user interfaces."""
        # A new list, as Klippy sends a list to subscribers only if it is not equal to the last one
        self._heaters.available_sensors = list(self._heaters.available_sensors)
        self._heaters.register_sensor(self, self)

    def check_unused(self, config: Any) -> None:
        """Raise the config error if a section would control a heater or fan with it."""
        own_names = {self.full_name, self.full_name.split()[-1]}
        for section in config.get_prefix_sections(""):
            for option in self.control_options:
                value = section.get(option, "", note_valid=False)
                names = {name.strip() for name in str(value).split(",")} & own_names
                # Such as extruder: a section of exactly this name is what is meant
                if any(not config.has_section(name) for name in names):
                    raise config.error(
                        "Option '%s' in section '%s' cannot use '%s': it is measured by printer"
                        " '%s', which may be offline (%s)"
                        % (option, section.get_name(), self.full_name, self._peer.name, self.title)
                    )


def number_of(value: Any) -> Optional[float]:
    """A temperature that a peer has sent; None where it is no number that JSON has."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    number = plain(value)  # infinity and the like become None
    return None if number is None else float(number)
