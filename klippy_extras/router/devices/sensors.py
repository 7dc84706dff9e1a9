# Temperatures of a peer as temperature_sensor objects of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, Optional, Tuple

from ..printers.printer import Printer, Status
from ..printers.receiver import Receiver
from .temperature import TemperatureObject, number_of


class RemoteSensor(TemperatureObject, Receiver):
    """The object temperature_sensor NAME, as klippy/extras/temperature_sensor.py makes it."""

    def __init__(
        self, name: str, peer: Printer, source_object: str, source_field: str, option: str
    ) -> None:
        source = "%s.%s" % (source_object, source_field)
        super().__init__(peer, "temperature_sensor " + name, option, source)
        self._name = name
        self._object, self._field = source_object, source_field
        self._temperature: Optional[float] = None
        self._measured_min: Optional[float] = None
        self._measured_max: Optional[float] = None

    def temperature(self) -> Optional[float]:
        return self._temperature

    # -- what the peer reports

    def update(self, eventtime: float, status: Status) -> None:
        self._temperature = number_of(status.get(self._object, {}).get(self._field))
        # Klipper's own sensors, too, report 0.0 before their first measurement
        if self._temperature:
            known = [t for t in (self._measured_min, self._measured_max) if t is not None]
            self._measured_min = min(known + [self._temperature])
            self._measured_max = max(known + [self._temperature])

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        super().state_changed(printer, was_ready)
        if not printer.connected:
            self._temperature = None

    # -- what Klipper asks of a sensor

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

    def register(self, config: Any) -> None:
        self.check_unused(config)
        super().register(config)
        self.list_as_sensor()


def _rounded(value: Optional[float]) -> Optional[float]:
    return None if value is None else round(value, 2)
