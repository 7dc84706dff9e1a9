# The config sections [router] and [router NAME], read and checked in one place
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import math
import os
import re
from dataclasses import dataclass
from typing import Any, Dict, FrozenSet, List, Optional, Tuple

# What a peer may be allowed to do (option 'allow')
PERMISSIONS = ("gcode", "event", "status", "call")
# What the router does when a peer is lost (option 'on_disconnect')
ON_DISCONNECT = ("ignore", "warn", "pause")
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
# The largest power of two with which no message blocks the host for 5 ms. Measured: decoding the
# worst text of this length (many short floats) takes 4.5 ms, that of a typical status 1.9 ms.
DEFAULT_MAX_MESSAGE = 65536


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


@dataclass(frozen=True)
class PeerSettings:
    """One [router NAME] section. Times in seconds, sizes in bytes."""

    name: str
    sock: str
    on_connect: str
    mirror: Dict[str, Optional[List[str]]]  # object -> fields, None for all
    sensors: Tuple[SensorSettings, ...]
    objects: Tuple[DeviceSettings, ...]
    proxy_commands: Tuple[str, ...]
    proxy_patterns: Tuple[str, ...]  # the beginnings of names: MMU_ for MMU_*
    relay_methods: Tuple[str, ...]
    allow: FrozenSet[str]
    on_disconnect: str
    required: bool
    timeout: float
    disconnect_grace: float
    emergency_stop: bool
    max_message: int


@dataclass(frozen=True)
class RouterSettings:
    """The [router] section and its peers, in the order of the config file."""

    name: str
    status_interval: float
    on_connect: str
    peers: Tuple[PeerSettings, ...]


def gcode_prefix(name: str) -> str:
    """A printer's name as the beginning of a G-code parameter: my-led -> MY_LED."""
    return re.sub(r"[^A-Z0-9]+", "_", name.upper())


def read_settings(config: Any, own_sock: Optional[str]) -> RouterSettings:
    """Read all router sections. config: the [router] section; own_sock: this Klippy's API socket.

    Raises config.error, which names the section and option and says what to write instead.
    """
    if config.get_name() != "router":
        raise config.error(
            "Section '[%s]' has no name: write [router] for this printer, or [router NAME]"
            " for a peer" % (config.get_name(),)
        )
    name = _checked_name(config, config.get("name", "main"), "option 'name' in section 'router'")
    settings = RouterSettings(
        name=name,
        status_interval=_read_seconds(config, "status_interval", 0.25, 0.05, 10.0),
        on_connect=config.get("on_connect", "").strip(),
        peers=tuple(_read_peer(section) for section in config.get_prefix_sections("router ")),
    )
    _check_names(config, settings)
    _check_unique(config, settings)
    _check_sockets(config, settings, own_sock)
    return settings


def _read_peer(config: Any) -> PeerSettings:
    section = config.get_name()
    name = _checked_name(config, _peer_name(config), "section '[%s]'" % (section,))
    sock = config.get("sock", "~/printer_%s_data/comms/klippy.sock" % (name,)).strip()
    if not sock:
        raise config.error(
            "Option 'sock' in section '%s' is empty: write the path of that printer's API socket"
            " (Klippy's -a option), or leave the option out" % (section,)
        )
    devices, temperatures = _read_objects(config)
    commands, patterns = _read_proxies(config)
    return PeerSettings(
        name=name,
        sock=os.path.expanduser(sock),
        on_connect=config.get("on_connect", "").strip(),
        mirror=_read_mirror(config),
        sensors=tuple(_read_sensors(config) + temperatures),
        objects=tuple(devices),
        proxy_commands=tuple(commands),
        proxy_patterns=tuple(patterns),
        relay_methods=tuple(_read_relays(config)),
        allow=_read_allow(config),
        on_disconnect=_read_on_disconnect(config),
        required=config.getboolean("required", False),
        timeout=_read_seconds(config, "timeout", 5.0, 1.0, 60.0),
        disconnect_grace=_read_seconds(config, "disconnect_grace", 0.0, 0.0, 3600.0),
        emergency_stop=config.getboolean("emergency_stop", False),
        max_message=config.getint(
            "max_message", DEFAULT_MAX_MESSAGE, minval=16384, maxval=16777216
        ),
    )


def _peer_name(config: Any) -> str:
    name: str = config.get_name()[len("router ") :].strip()
    return name


def _read_seconds(
    config: Any, option: str, default: float, minimum: float, maximum: float
) -> float:
    seconds: float = config.getfloat(option, default, minval=minimum, maxval=maximum)
    if math.isnan(seconds):  # passes minval and maxval
        raise config.error(
            "Option '%s' in section '%s' must be a number of seconds" % (option, config.get_name())
        )
    return seconds


def _read_lines(config: Any, option: str) -> List[str]:
    lines = (line.strip() for line in config.get(option, "").split("\n"))
    return [line for line in lines if line]


def _read_words(config: Any, option: str, default: str = "") -> List[str]:
    words = (word.strip() for word in config.get(option, default).replace("\n", ",").split(","))
    return [word for word in words if word]


def _read_mirror(config: Any) -> Dict[str, Optional[List[str]]]:
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


def _read_sensors(config: Any) -> List[SensorSettings]:
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


def _read_objects(config: Any) -> Tuple[List[DeviceSettings], List[SensorSettings]]:
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
                % (full_name, config.get_name(), line.split(" as ")[0], _peer_name(config), name)
            )
    return devices, temperatures


def _read_proxies(config: Any) -> Tuple[List[str], List[str]]:
    """The commands, and the beginnings of the names of others (what is before a '*')."""
    commands: List[str] = []
    patterns: List[str] = []
    for name in [word.upper() for word in _read_words(config, "proxy_commands")]:
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


def _read_relays(config: Any) -> List[str]:
    names = list(dict.fromkeys(_read_words(config, "relay_methods")))
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


def _read_allow(config: Any) -> FrozenSet[str]:
    allowed = _read_words(config, "allow", ", ".join(PERMISSIONS))
    for word in allowed:
        if word not in PERMISSIONS:
            raise config.error(
                "Unknown word '%s' in option 'allow' of section '%s': use words from %s, or leave"
                " it empty" % (word, config.get_name(), ", ".join(PERMISSIONS))
            )
    return frozenset(allowed)


def _read_on_disconnect(config: Any) -> str:
    word: str = config.get("on_disconnect", "warn").strip()
    if word not in ON_DISCONNECT:
        raise config.error(
            "Unknown word '%s' in option 'on_disconnect' of section '%s': write one of %s"
            % (word, config.get_name(), ", ".join(ON_DISCONNECT))
        )
    return word


def _checked_name(config: Any, name: str, where: str) -> str:
    if not NAME_RULE.fullmatch(name):
        raise config.error(
            "Invalid printer name '%s' in %s: use letters, digits, '_' and '-' only" % (name, where)
        )
    return name


def _check_names(config: Any, settings: RouterSettings) -> None:
    taken: Dict[str, str] = {gcode_prefix(settings.name): settings.name}
    for peer in settings.peers:
        section = "router " + peer.name
        if peer.name == settings.name:
            raise config.error(
                "Section '%s' has the name of this printer: rename that section, or set option"
                " 'name' in section 'router'" % (section,)
            )
        prefix = gcode_prefix(peer.name)
        if prefix in taken:
            raise config.error(
                "Section '%s': the names '%s' and '%s' are both %s in G-code parameters: rename one"
                % (section, taken[prefix], peer.name, prefix)
            )
        taken[prefix] = peer.name


def _check_unique(config: Any, settings: RouterSettings) -> None:
    taken: Dict[str, str] = {}
    for peer in settings.peers:
        for key, what, way_out in _defined(peer):
            if key in taken:
                raise config.error(
                    "The %s of section 'router %s' already exists, in section 'router %s': define"
                    " it only once%s" % (what, peer.name, taken[key], way_out)
                )
            taken[key] = peer.name


def _defined(peer: PeerSettings) -> List[Tuple[str, str, str]]:
    """What this printer gets from a peer: (unique name, what it is, another way out)."""
    rename = ", or give it another name, as in '%%s as %s_%%s'" % (peer.name,)
    defined = [
        (c, "command '%s' in option 'proxy_commands'" % (c,), "") for c in peer.proxy_commands
    ]
    for s in peer.sensors:
        is_object = s.option == "objects"
        way_out = rename % (s.source_object, s.name) if is_object else ""
        what = "sensor '%s' in option '%s'" % (s.name, s.option)
        defined.append(("temperature_sensor " + s.name, what, way_out))
    for o in peer.objects:
        what = "object '%s' in option 'objects'" % (o.full_name,)
        defined.append((o.full_name, what, rename % (o.source, o.name)))
    return defined


def _check_sockets(config: Any, settings: RouterSettings, own_sock: Optional[str]) -> None:
    taken: Dict[str, str] = {}
    own = os.path.realpath(own_sock) if own_sock else None
    for peer in settings.peers:
        path = os.path.realpath(peer.sock)
        section = "router " + peer.name
        if path == own:
            raise config.error(
                "Option 'sock' in section '%s' is this printer's own API socket (%s): write the"
                " path of the other printer's socket" % (section, peer.sock)
            )
        if path in taken:
            raise config.error(
                "Option 'sock' in section '%s' is also the socket of section 'router %s' (%s):"
                " each printer has a socket of its own" % (section, taken[path], peer.sock)
            )
        taken[path] = peer.name
