# Temperatures of a peer as temperature_sensor objects of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, Tuple

from .plain import plain
from .printer import Printer, PrinterListener, Status


class RemoteSensor(PrinterListener):
    """The object temperature_sensor NAME, as klippy/extras/temperature_sensor.py makes it.

    It is no sensor_type: no heater or fan of this printer can be steered by it. Temperatures are
    in degrees Celsius, 0.0 while the peer does not tell one.
    """

    closed = False

    def __init__(self, name: str, source_object: str, source_field: str) -> None:
        self._name = name
        self._object, self._field = source_object, source_field
        self._temperature = 0.0
        self._measured_min, self._measured_max = 99999999.0, 0.0

    # -- what the peer tells

    def update(self, eventtime: float, status: Status) -> None:
        value = status.get(self._object, {}).get(self._field)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # plain(): what is no number for a JSON encoder, such as infinity, is None
        self._temperature = value = float((plain(value) if is_number else None) or 0.0)
        if value:
            self._measured_min = min(self._measured_min, self._temperature)
            self._measured_max = max(self._measured_max, self._temperature)

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        if not printer.connected:
            self._temperature = 0.0

    # -- what Klipper wants of a sensor

    def get_temp(self, eventtime: float) -> Tuple[float, float]:
        return self._temperature, 0.0

    def stats(self, eventtime: float) -> Tuple[bool, str]:
        return False, "%s: temp=%.1f" % (self._name, self._temperature)

    def get_status(self, eventtime: float) -> Dict[str, float]:
        return {
            "temperature": round(self._temperature, 2),
            "measured_min_temp": round(self._measured_min, 2),
            "measured_max_temp": round(self._measured_max, 2),
        }

    # -- what register_sensor of klippy/extras/heaters.py wants of a config section

    def get_name(self) -> str:
        return "temperature_sensor " + self._name

    def get(self, option: str, default: Any = None) -> Any:
        return default  # gcode_id: none was written

    def register(self, config: Any) -> None:
        """Make it known to macros, TEMPERATURE_WAIT and the user interfaces."""
        printer = config.get_printer()
        printer.add_object(self.get_name(), self)
        printer.load_object(config, "heaters").register_sensor(self, self)
