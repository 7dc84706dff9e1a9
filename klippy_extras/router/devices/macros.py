# Macros of a peer as macros of this printer
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any

from .device import Device


class Macro(Device):
    """A macro. Its command runs on the peer.

    Kalico's RELOAD_GCODE_MACROS reloads the template of each gcode_macro object that has a section
    in the config file: also of this one, if a section of its name was added. A missing attribute
    would shut this printer down.
    """

    @property
    def template(self) -> "Macro":
        return self

    def reload(self, script_type: Any, script: Any) -> None:
        """Raises the command error."""
        raise self._error(
            "Section '%s' has the name of an object in %s: give one of them another name"
            % (self.full_name, self.title)
        )
