# Registers this printer's commands with Klippy
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Collection, List

from ..errors import RouterError

# Commands that also work while Klippy is not ready
_WHEN_NOT_READY = ("ROUTER_STATUS", "ROUTER_PRINTERS_LIST", "ROUTER_DIAGNOSE", "ROUTER_RESTART")


class Command:
    """Wraps the handler of a command: its RouterError becomes an error of the command."""

    def __init__(self, handler: Callable[[Any], None]) -> None:
        self._handler = handler

    def run(self, gcmd: Any) -> None:
        try:
            self._handler(gcmd)
        except RouterError as e:
            raise gcmd.error(str(e)) from None


def register_commands(gcode: Any, objects: Collection[object], taken: Collection[str]) -> List[str]:
    """Register the methods cmd_NAME of these objects, each with its help text cmd_NAME_help.

    taken: names of the user's macros. Returns the commands that were left out because of them.
    """
    left_out = []
    for owner in objects:
        for attribute in sorted(dir(owner)):
            if not attribute.startswith("cmd_") or attribute.endswith("_help"):
                continue
            name = attribute[len("cmd_") :]
            if name in taken:
                left_out.append(name)
                continue
            gcode.register_command(
                name,
                Command(getattr(owner, attribute)).run,
                when_not_ready=name in _WHEN_NOT_READY,
                desc=getattr(owner, attribute + "_help"),
            )
    return left_out
