# Makes the devices of all peers, and registers them with Klippy
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Iterable, List, Mapping

from ..option_lists import DeviceSettings
from ..printers.printer import Printer
from ..settings import PeerSettings
from .device import Device
from .device_settings import DeviceSections
from .heaters import SET_TEMPERATURE, Heater, Heaters
from .kinds import CLAIMED, CLAIMED_MODULES, KINDS, UNKNOWN, kind_of
from .lights import Light
from .macros import Macro


class Devices:
    """The devices of all peers, in the order of the config. peers: by name."""

    def __init__(self, peers: Mapping[str, Printer], settings: Iterable[PeerSettings]) -> None:
        self.all = [_device(peers[peer.name], one) for peer in settings for one in peer.objects]
        self.heaters = Heaters([d for d in self.all if isinstance(d, Heater)])
        self.sections = DeviceSections(self.all)

    def register(self, config: Any) -> None:
        """Make them objects of this printer, with their settings.

        Those with a name that Klippy's modules may give an object without a section of that name
        (statistics, bme280 NAME) follow at klippy:connect, when all of these exist. Raises the
        config error, now or then, for a device that would take the place of something in this
        printer.
        """
        for device in self.all:
            _check_name(config, device)
        others = [d for d in self.all if d.kind is UNKNOWN or d.kind.is_single]
        _register([d for d in self.all if d not in others], config)
        printer = config.get_printer()
        printer.register_event_handler("klippy:connect", lambda: _register(others, config))
        self.sections.register(printer.lookup_object("configfile"))


def _device(peer: Printer, settings: DeviceSettings) -> Device:
    if settings.source_name and settings.module == "heater_generic":
        return Heater(peer, settings)
    if settings.module == "gcode_macro":
        return Macro(peer, settings)
    if "color_data" in kind_of(settings.module).at_rest:
        return Light(peer, settings)
    return Device(peer, settings)


def _register(devices: List[Device], config: Any) -> None:
    for device in devices:
        if config.get_printer().lookup_object(device.full_name, None) is not None:
            raise taken(config, device, "this printer has an object of this name")
        device.register(config)


def _check_name(config: Any, device: Device) -> None:
    settings = device.settings
    kind = device.kind
    if not settings.source_name and settings.module in KINDS and not kind.is_single:
        raise config.error(
            "Object '%s' in %s has no name: write '%s NAME', with the name that it has on that"
            " printer" % (settings.source, device.title, settings.module)
        )
    if settings.source_name and settings.module in CLAIMED_MODULES:
        raise config.error(
            "Object '%s' in %s cannot be an object of this printer, which would use it as a %s of"
            " its own: name it in option 'mirror'"
            % (settings.source, device.title, settings.module)
        )
    if settings.full_name in CLAIMED:
        raise config.error(
            "Object '%s' in %s cannot have this name, because this printer uses the object of this"
            " name as its own: write '%s as %s_%s'"
            % (settings.full_name, device.title, settings.source, device.peer.name, settings.name)
        )
    if settings.module.startswith("tmc") and config.has_section(settings.name):
        # klippy/extras/endstop_phase.py and angle.py try the names of all drivers
        raise taken(config, device, "it would be the driver of section '%s'" % (settings.name,))
    for section in _same_commands(device):
        if config.has_section(section):
            raise taken(config, device, "its commands are those of section '%s'" % (section,))


def taken(config: Any, device: Device, reason: str) -> Exception:
    """The config error for a device whose name is in use."""
    settings = device.settings
    error: Exception = config.error(
        "Object '%s' in %s cannot be registered: %s. Give it another name, as in '%s as %s_%s'"
        % (
            settings.full_name,
            device.title,
            reason,
            settings.source,
            device.peer.name,
            settings.name,
        )
    )
    return error


def _same_commands(device: Device) -> List[str]:
    """The sections whose objects would have the same name in the same commands."""
    name = device.settings.name
    names = {command.name for command in device.kind.commands}
    modules = [m for m, kind in KINDS.items() if names & {c.name for c in kind.commands}]
    # Those of extruders and of heater_bed name their heaters
    return ["%s %s" % (m, name) for m in modules] + [name] * (SET_TEMPERATURE in names)
