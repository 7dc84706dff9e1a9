# LEDs of a peer as LEDs of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import math
from typing import Any, List, Mapping

from ..errors import RouterError
from ..printers.printer import Failure
from .device import Device

# The parameters of SET_LED, in the order in which color_data has them (klippy/extras/led.py)
_COLORS = ("RED", "GREEN", "BLUE", "WHITE")


class Light(Device):
    """LEDs, which show a new color as soon as the peer has run the SET_LED.

    A change of status takes up to 250 ms from the peer and again up to 250 ms from here to a user
    interface. Mainsail sends the whole color that it has seen last when one channel of it changes,
    so a second change within that time would undo the first.
    """

    _commands = 0  # that the peer has run
    _asked_after = 0  # of these, when the query was sent whose answer is awaited
    _is_asking = False

    def at_rest(self, field: str) -> Any:
        if field != "color_data":
            return super().at_rest(field)
        return [[0.0] * len(_COLORS) for _led in self._colors()]

    def ran(self, params: Mapping[str, str]) -> None:
        try:
            color = [float(params.get(name, 0.0)) for name in _COLORS]
            colors, index = self._colors(), int(params.get("INDEX", 0))
        except ValueError:
            return  # the peer has reported it
        if not all(map(math.isfinite, color)):
            return  # Klipper's minval and maxval let nan pass, which JSON does not have
        self._status = {
            **self._status,
            "color_data": [
                color if index in (0, i) else other for i, other in enumerate(colors, 1)
            ],
        }
        self._commands += 1
        self._ask()

    def _colors(self) -> List[Any]:
        colors = self._status.get("color_data")
        return colors if isinstance(colors, list) else list(self.kind.at_rest["color_data"])

    # What is shown is a guess: the peer sends no change if the LEDs did not change

    def _ask(self) -> None:
        if self._is_asking:
            return
        self._asked_after = self._commands
        source = self.settings.source
        try:
            self.peer.query_objects({source: ["color_data"]}, self._answered)
        except RouterError:
            return  # disconnected, or busy: the next change of the LEDs is sent in any case
        self._is_asking = True

    def _answered(self, result: Any, error: Failure) -> None:
        self._is_asking = False
        if error is not None:
            return
        if self._asked_after != self._commands:
            self._ask()
        else:
            self.update(0.0, result["status"])
