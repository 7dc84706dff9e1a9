# The options of [router NAME] that list objects, commands and methods
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Tuple

# Klipper's rule for extended commands (klippy/gcode.py, register_command), or one like M150
COMMAND_RULE = re.compile(r"[A-Z_][A-Z_][A-Z0-9_]*|[A-Z][0-9]+")
# Klipper registers these for as long as it needs them, and shuts down if it cannot. Sources:
# klippy/extras/manual_probe.py, bed_screws.py, temperature_probe.py and load_cell.py.
TEMPORARY_COMMANDS = (
    "ABORT", "ACCEPT", "ADJUSTED", "CALIBRATE", "NEXT", "TARE", "TESTZ",
    "TEMPERATURE_PROBE_COMPLETE", "TEMPERATURE_PROBE_NEXT",
)  # fmt: skip
# The beginning of such a name
PATTERN_RULE = re.compile(r"[A-Z_][A-Z0-9_]*")
NAME_RULE = re.compile(r"[A-Za-z0-9_-]+")
OBJECT_RULE = re.compile(r"([\w.-]+)(?:\s+(?!as\s)([\w.-]+))?(?:\s+as\s+([A-Za-z0-9_-]+))?")
# Heaters of a peer's own extruders and bed: here they are only temperatures
TEMPERATURE_RULE = re.compile(r"extruder\d*|heater_bed")
REMOTE_METHOD_RULE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*")


@dataclass(frozen=True)
class SensorSettings:
    """One line of option 'sensors': the name here, and the object and field of the peer."""

    name: str
    source_object: str
    source_field: str
    option: str = "sensors"


@dataclass(frozen=True)
class DeviceSettings:
    """One line of option 'objects': an object of the peer, and its name here.

    source: the object there, such as 'neopixel strip'; module and source_name: its two words (the
    second is empty where it has only one). full_name: the object here, such as 'neopixel cabinet';
    name: its last word.
    """

    source: str
    module: str
    source_name: str
    full_name: str
    name: str


def peer_name(config: Any) -> str:
    name: str = config.get_name()[len("router ") :].strip()
    return name


def _read_lines(config: Any, option: str) -> List[str]:
    lines = (line.strip() for line in config.get(option, "").split("\n"))
    return [line for line in lines if line]


def read_words(config: Any, option: str, default: str = "") -> List[str]:
    words = (word.strip() for word in config.get(option, default).replace("\n", ",").split(","))
    return [word for word in words if word]


def read_mirror(config: Any) -> Dict[str, Optional[List[str]]]:
    mirror: Dict[str, Optional[List[str]]] = {}
    for line in _read_lines(config, "mirror"):
        name, colon, listed = (part.strip() for part in line.partition(":"))
        fields = [field.strip() for field in listed.split(",") if field.strip()]
        if not name or (colon and not fields) or name in mirror:
            raise config.error(
                "Invalid line '%s' in option 'mirror' of section '%s': write one object per line,"
                " as in 'print_stats: state, filename', or 'toolhead' for all its fields"
                % (line, config.get_name())
            )
        mirror[name] = fields or None
    return mirror


def read_sensors(config: Any) -> List[SensorSettings]:
    sensors = []
    for line in _read_lines(config, "sensors"):
        name, _colon, source = (part.strip() for part in line.partition(":"))
        source_object, _dot, field = source.partition(".")
        if not NAME_RULE.fullmatch(name) or not source_object.strip():
            raise config.error(
                "Invalid line '%s' in option 'sensors' of section '%s': write"
                " 'name: object' or 'name: object.field', as in 'chamber: heater_generic chamber'"
                % (line, config.get_name())
            )
        if config.has_section("temperature_sensor " + name):
            raise config.error(
                "Sensor '%s' in option 'sensors' of section '%s' already exists: rename it, or"
                " section 'temperature_sensor %s'" % (name, config.get_name(), name)
            )
        sensors.append(SensorSettings(name, source_object.strip(), field.strip() or "temperature"))
    return sensors


def read_objects(config: Any) -> Tuple[List[DeviceSettings], List[SensorSettings]]:
    devices, temperatures = [], []
    for line in _read_lines(config, "objects"):
        match = OBJECT_RULE.fullmatch(line)
        if match is None:
            raise config.error(
                "Invalid line '%s' in option 'objects' of section '%s': write one object per line,"
                " as in 'heater_generic chamber' or 'neopixel strip as cabinet'"
                % (line, config.get_name())
            )
        module, source_name, new_name = match.groups("")
        name = new_name or source_name or module
        if not source_name and TEMPERATURE_RULE.fullmatch(module):
            temperatures.append(SensorSettings(name, module, "temperature", "objects"))
            full_name = "temperature_sensor " + name
        else:
            source = " ".join(filter(None, [module, source_name]))
            full_name = "%s %s" % (module, name) if source_name else name
            devices.append(DeviceSettings(source, module, source_name, full_name, name))
        if config.has_section(full_name):
            raise config.error(
                "Object '%s' in option 'objects' of section '%s' already exists in this printer:"
                " give it another name, as in '%s as %s_%s'"
                % (full_name, config.get_name(), line.split(" as ")[0], peer_name(config), name)
            )
    return devices, temperatures


def read_proxies(config: Any) -> Tuple[List[str], List[str]]:
    """The commands, and the beginnings of the names of others (what is before a '*')."""
    commands: List[str] = []
    patterns: List[str] = []
    for name in [word.upper() for word in read_words(config, "proxy_commands")]:
        if name.endswith("*"):
            patterns.append(_checked_pattern(config, name))
        elif COMMAND_RULE.fullmatch(name) and name not in TEMPORARY_COMMANDS:
            commands.append(name)
        else:
            raise config.error(
                "Invalid command '%s' in option 'proxy_commands' of section '%s': %s"
                % (name, config.get_name(), _command_advice(name))
            )
    return commands, patterns


def _command_advice(name: str) -> str:
    if name in TEMPORARY_COMMANDS:
        return "Klipper registers it itself, during a calibration: leave it out"
    return (
        "write names of commands, separated by commas; a '*' at the end of a name matches the rest,"
        " as in MMU_*"
    )


def _checked_pattern(config: Any, pattern: str) -> str:
    """What is before the '*'."""
    beginning = pattern[:-1]
    if not beginning:
        reason = "it would match all commands: write the beginning of their names before it"
    elif beginning.startswith("ROUTER_"):
        reason = "the router has these commands itself"
    elif not PATTERN_RULE.fullmatch(beginning):
        reason = "write '*' only at the end of a name, as in MMU_*"
    else:
        return beginning
    raise config.error(
        "Invalid '%s' in option 'proxy_commands' of section '%s': %s"
        % (pattern, config.get_name(), reason)
    )


def read_relays(config: Any) -> List[str]:
    names = list(dict.fromkeys(read_words(config, "relay_methods")))
    for name in names:
        where = "'%s' in option 'relay_methods' of section '%s'" % (name, config.get_name())
        if not REMOTE_METHOD_RULE.fullmatch(name):
            raise config.error(
                "Invalid remote method %s: write names of remote methods, separated by commas"
                % (where,)
            )
        if name.startswith("router/"):
            raise config.error(
                "Remote method %s is the router's own: remove it, as every peer has it" % (where,)
            )
    return names
