# What this printer's console says about its peers by itself
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Callable, Dict, Optional

from .printer import Printer, PrinterListener
from .version import VERSION


class Notices(PrinterListener):
    """A listener of peers. console: prints a message on this printer's console."""

    def __init__(self, console: Callable[[str], None]) -> None:
        self._console = console
        # The latest version of each peer's include file, so that a mismatch is said once
        self._include_versions: Dict[Printer, Optional[str]] = {}

    def became_ready(self, printer: Printer) -> None:
        version = printer.include_version
        last = self._include_versions.get(printer)
        self._include_versions[printer] = version
        if version not in (None, VERSION, last):
            self._console(
                "Router: %s has router_api.cfg of version %s, the router is version %s: after an"
                " update RESTART %s, and restart the Klipper service of this printer"
                % (printer.name, version, VERSION, printer.name)
            )
