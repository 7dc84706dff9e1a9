# Temperatures of a peer as temperature_sensor objects of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, Optional, Tuple

from ..printers.printer import Printer, PrinterListener, Status
from ..printers.receiver import Receiver
from ..sanitize import plain

# Options that let a sensor control a heater or fan: temperature_combined, and
# Kalico's MPC and dual loop PID
CONTROL_OPTIONS = ("sensor_list", "ambient_temp_sensor", "inner_sensor_name")


class RemoteSensor(PrinterListener, Receiver):
    """The object temperature_sensor NAME, as klippy/extras/temperature_sensor.py makes it.

    It is not a sensor_type, so it cannot control a heater or fan of this printer. Temperatures are
    in degrees Celsius, and None while unknown: a number would look like a measurement.
    """

    def __init__(self, name: str, peer: Printer, source_object: str, source_field: str) -> None:
        self.title = "option 'sensors' in section 'router %s'" % (peer.name,)
        self._name, self._peer = name, peer
        self._object, self._field = source_object, source_field
        self._temperature: Optional[float] = None
        self._measured_min: Optional[float] = None
        self._measured_max: Optional[float] = None

    # -- what the peer reports

    def update(self, eventtime: float, status: Status) -> None:
        value = status.get(self._object, {}).get(self._field)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # plain() turns numbers that JSON lacks, such as infinity, into None
        number = plain(value) if is_number else None
        self._temperature = None if number is None else float(number)
        # Klipper's own sensors, too, report 0.0 before their first measurement
        if self._temperature:
            known = [t for t in (self._measured_min, self._measured_max) if t is not None]
            self._measured_min = min(known + [self._temperature])
            self._measured_max = max(known + [self._temperature])

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        if not printer.connected:
            self._temperature = None

    # -- what Klipper asks of a sensor

    def get_temp(self, eventtime: float) -> Tuple[float, float]:
        """The temperature and a target of 0.

        Raises the command error while the temperature is unknown, which ends a TEMPERATURE_WAIT.
        """
        if not self._peer.ready:
            raise self._error(str(self._peer.not_ready()))
        if self._temperature is None:
            raise self._error(
                "%s: %s.%s is not known" % (self._peer.name, self._object, self._field)
            )
        return self._temperature, 0.0

    def stats(self, eventtime: float) -> Tuple[bool, str]:
        if self._temperature is None:
            return False, ""
        return False, "%s: temp=%.1f" % (self._name, self._temperature)

    def get_status(self, eventtime: float) -> Dict[str, Optional[float]]:
        return {
            "temperature": _rounded(self._temperature),
            "measured_min_temp": _rounded(self._measured_min),
            "measured_max_temp": _rounded(self._measured_max),
        }

    # -- what register_sensor of klippy/extras/heaters.py asks of a config section

    def get_name(self) -> str:
        return "temperature_sensor " + self._name

    def get(self, option: str, default: Any = None) -> Any:
        return default  # gcode_id, which a remote sensor does not have

    def register(self, config: Any) -> None:
        """Add it to Klippy, for macros, TEMPERATURE_WAIT and the user interfaces.

        Raises the config error if a section would control a heater or fan with it.
        """
        klippy_printer = config.get_printer()
        self._error = klippy_printer.command_error
        self._check_unused(config)
        klippy_printer.add_object(self.get_name(), self)
        klippy_printer.load_object(config, "heaters").register_sensor(self, self)

    def _check_unused(self, config: Any) -> None:
        for section in config.get_prefix_sections(""):
            for option in CONTROL_OPTIONS:
                value = section.get(option, "", note_valid=False)
                names = {name.strip() for name in str(value).split(",")}
                if names & {self._name, self.get_name()}:
                    raise config.error(
                        "Option '%s' in section '%s' cannot use '%s': it is a sensor of printer"
                        " '%s', which may be offline (option 'sensors' in section 'router %s')"
                        % (option, section.get_name(), self.get_name(), *[self._peer.name] * 2)
                    )


def _rounded(value: Optional[float]) -> Optional[float]:
    return None if value is None else round(value, 2)
