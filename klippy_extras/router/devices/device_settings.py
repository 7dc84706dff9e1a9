# The settings of a peer's devices in what this printer's configfile reports
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, List, Mapping

from ..errors import RouterError
from ..printers.printer import Failure, Printer, PrinterListener
from ..sanitize import encodable
from .device import Device

Sections = Dict[str, Dict[str, Any]]


class DeviceSections(PrinterListener):
    """Adds the devices to printer.configfile.settings and .config, as if each had a section here.

    The user interfaces read limits and kinds there. A section has the defaults of its kind until
    its printer has answered, and then what that printer's own configfile reports.
    """

    def __init__(self, devices: List[Device]) -> None:
        self._devices = devices
        self._sections: Sections = {
            d.full_name: {**d.kind.defaults, **d.kind.added} for d in devices
        }
        self._unread = {d.peer for d in devices}
        # What was reported last, so that it is the same object as long as nothing changes
        self._status: Dict[str, Any] = {}
        self._sources: List[Any] = []

    def register(self, configfile: Any) -> None:
        """Report them from now on. configfile: Klippy's object.

        Its status is the only thing that all Klippers have in common: how they keep the settings
        differs, and no peer has answered when they do.
        """
        self._configfile_status = configfile.get_status
        configfile.get_status = self.get_status

    def get_status(self, eventtime: float) -> Dict[str, Any]:
        """The status of configfile."""
        status: Dict[str, Any] = self._configfile_status(eventtime)
        sources = [status["settings"], status["config"]]
        if not self._status or any(a is not b for a, b in zip(sources, self._sources)):
            self._sources = sources
            self._status = {
                "settings": {**{n.lower(): s for n, s in self._sections.items()}, **sources[0]},
                "config": {**{n: _text(s) for n, s in self._sections.items()}, **sources[1]},
            }
        return {**status, **self._status}

    # -- what peers report

    def klippy_restarted(self, printer: Printer) -> None:
        self._unread.add(printer)

    def became_ready(self, printer: Printer) -> None:
        if printer in self._unread:
            answer = _Answer(self, printer)
            try:
                printer.query_objects({"configfile": ["settings"]}, answer.received)
            except RouterError as e:
                answer.received(None, e)

    def read(self, printer: Printer, settings: Mapping[str, Any]) -> None:
        """These are the settings of this printer: take those of its devices."""
        self._unread.discard(printer)
        for device in self._devices:
            if device.peer is printer:
                own = settings.get(device.settings.source.lower())
                own = encodable(own) if isinstance(own, dict) else device.kind.defaults
                self._sections[device.full_name] = {**own, **device.kind.added}
        self._status = {}


class _Answer:
    """The answer of a peer to the query of its settings."""

    def __init__(self, sections: DeviceSections, printer: Printer) -> None:
        self._sections, self._printer = sections, printer

    def received(self, result: Any, error: Failure) -> None:
        if error is None:
            settings = result["status"].get("configfile", {}).get("settings")
            self._sections.read(self._printer, settings if isinstance(settings, dict) else {})
        elif self._printer.ready:
            self._printer.hints.say(
                "option 'objects' in section 'router %s': user interfaces show its devices with"
                " default limits, because its settings were not read: %s"
                % (self._printer.name, error)
            )


def _text(section: Mapping[str, Any]) -> Dict[str, str]:
    """The options as text, as the section of a config file has them."""
    return {
        option: ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        for option, value in section.items()
    }
