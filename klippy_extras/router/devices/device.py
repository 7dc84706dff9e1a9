# One object of a peer as an object of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, Mapping, Optional

from ..klippy.guard import guarded
from ..option_lists import DeviceSettings
from ..printers.printer import Printer, Status
from ..printers.receiver import Receiver
from ..sanitize import encodable
from .kinds import UNKNOWN, kind_of
from .temperature import TemperatureObject, number_of


class Device(TemperatureObject, Receiver):
    """A peer's object with its whole status, under the name that the option 'objects' gives it.

    While the peer is offline nothing of it is stale: what a user interface shows is off, and all
    else is None.
    """

    def __init__(self, peer: Printer, settings: DeviceSettings) -> None:
        super().__init__(peer, settings.full_name, "objects", settings.source)
        self.peer, self.settings = peer, settings
        self.kind = kind_of(settings.module)
        self._is_listed = False
        # Every change makes a new dict: Klippy finds changes by comparing with the last one
        self._status: Dict[str, Any] = dict(self.kind.at_rest)

    def temperature(self) -> Optional[float]:
        return number_of(self._status.get("temperature"))

    def target_temperature(self) -> float:
        return number_of(self._status.get("target")) or 0.0

    def get_status(self, eventtime: float) -> Dict[str, Any]:
        return self._status

    # -- what the peer reports

    def update(self, eventtime: float, status: Status) -> None:
        changes = encodable(status.get(self.settings.source, {}))
        # A field that the peer's object no longer has is None
        at_rest = {f: self.at_rest(f) for f, value in changes.items() if value is None}
        self._status = {**self._status, **changes, **at_rest}
        guarded(self._list_if_sensor)

    def at_rest(self, field: str) -> Any:
        """The value of a field while the peer is offline."""
        return self.kind.at_rest.get(field)

    def state_changed(self, printer: Printer, was_ready: bool) -> None:
        super().state_changed(printer, was_ready)
        if not printer.connected:
            self._status = {field: self.at_rest(field) for field in self._status}

    # -- for its commands

    def ran(self, params: Mapping[str, str]) -> None:
        """The peer has run a command of ours for it. params: of that command."""

    # -- registration

    def register(self, config: Any) -> None:
        super().register(config)
        if self.kind.is_sensor:
            self.check_unused(config)
        self._list_if_sensor()

    def _list_if_sensor(self) -> None:
        """List it with the temperature sensors, once.

        An object of unknown kind is one when its temperature is first seen, which may be before it
        is registered: a peer that is already ready sends its status while this Klippy connects.
        Others may have such a field without being one: a macro with a variable of this name.
        """
        is_sensor = self.kind.is_sensor
        if self.kind is UNKNOWN:
            is_sensor = self.temperature() is not None
        if is_sensor and self.is_registered and not self._is_listed:
            self._is_listed = True
            self.list_as_sensor()
