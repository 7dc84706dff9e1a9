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

from .option_lists import (
    NAME_RULE,
    DeviceSettings,
    SensorSettings,
    peer_name,
    read_mirror,
    read_objects,
    read_proxies,
    read_relays,
    read_sensors,
    read_words,
)

# What a peer may be allowed to do (option 'allow')
PERMISSIONS = ("gcode", "event", "status", "call")
# What the router does when a peer is lost (option 'on_disconnect')
ON_DISCONNECT = ("ignore", "warn", "pause")
# Not because of decoding, which is done in pieces (printers/piecewise.py), but because Klippy takes
# up to 5 ms of CPU to encode a message of this length for an API client (tests/README.md, the
# longest callback).
DEFAULT_MAX_MESSAGE = 65536


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
    accept_calls: bool
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
    name = _checked_name(config, peer_name(config), "section '[%s]'" % (section,))
    sock = config.get("sock", "~/printer_%s_data/comms/klippy.sock" % (name,)).strip()
    if not sock:
        raise config.error(
            "Option 'sock' in section '%s' is empty: write the path of that printer's API socket"
            " (Klippy's -a option), or leave the option out" % (section,)
        )
    devices, temperatures = read_objects(config)
    commands, patterns = read_proxies(config)
    return PeerSettings(
        name=name,
        sock=os.path.expanduser(sock),
        on_connect=config.get("on_connect", "").strip(),
        mirror=read_mirror(config),
        sensors=tuple(read_sensors(config) + temperatures),
        objects=tuple(devices),
        proxy_commands=tuple(commands),
        proxy_patterns=tuple(patterns),
        relay_methods=tuple(read_relays(config)),
        allow=_read_allow(config),
        on_disconnect=_read_on_disconnect(config),
        required=config.getboolean("required", False),
        accept_calls=_read_accept_calls(config),
        timeout=_read_seconds(config, "timeout", 5.0, 1.0, 60.0),
        disconnect_grace=_read_seconds(config, "disconnect_grace", 0.0, 0.0, 3600.0),
        emergency_stop=config.getboolean("emergency_stop", False),
        max_message=config.getint(
            "max_message", DEFAULT_MAX_MESSAGE, minval=16384, maxval=16777216
        ),
    )


def _read_seconds(
    config: Any, option: str, default: float, minimum: float, maximum: float
) -> float:
    seconds: float = config.getfloat(option, default, minval=minimum, maxval=maximum)
    if math.isnan(seconds):  # passes minval and maxval
        raise config.error(
            "Option '%s' in section '%s' must be a number of seconds" % (option, config.get_name())
        )
    return seconds


def _read_allow(config: Any) -> FrozenSet[str]:
    allowed = read_words(config, "allow", ", ".join(PERMISSIONS))
    for word in allowed:
        if word not in PERMISSIONS:
            raise config.error(
                "Unknown word '%s' in option 'allow' of section '%s': use words from %s, or leave"
                " it empty" % (word, config.get_name(), ", ".join(PERMISSIONS))
            )
    return frozenset(allowed)


def _read_accept_calls(config: Any) -> bool:
    accept_calls: bool = config.getboolean("accept_calls", True)
    if not accept_calls and read_relays(config):
        raise config.error(
            "Section '%s' has both 'relay_methods' and 'accept_calls: False': remove one of them,"
            " as relayed methods are calls of that printer" % (config.get_name(),)
        )
    return accept_calls


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
