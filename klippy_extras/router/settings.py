# The config sections [router] and [router NAME], read and checked in one place
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import re
from dataclasses import dataclass
from typing import Any, Dict, Optional, Tuple

NAME_RULE = re.compile(r"[A-Za-z0-9_-]+")
# Measured: json decodes the worst usable text of this length (many small lists) in under 5 ms
DEFAULT_MAX_MESSAGE = 262144


@dataclass(frozen=True)
class PeerSettings:
    """One [router NAME] section. Times in seconds, sizes in bytes."""

    name: str
    sock: str
    on_connect: str
    timeout: float
    disconnect_grace: float
    max_message: int


@dataclass(frozen=True)
class RouterSettings:
    """The [router] section and its peers, in the order of the config file."""

    name: str
    status_interval: float
    peers: Tuple[PeerSettings, ...]


def gcode_prefix(name: str) -> str:
    """What a printer's name becomes in a G-code parameter: my-led -> MY_LED."""
    return re.sub(r"[^A-Z0-9]+", "_", name.upper())


def read_settings(config: Any, own_sock: Optional[str]) -> RouterSettings:
    """Read all router sections. config: the [router] section; own_sock: this Klippy's API socket.

    Raises config.error, naming section and option, and what to write instead.
    """
    if config.get_name() != "router":
        raise config.error(
            "Section '[%s]' has no name: write [router] for this printer, or [router NAME]"
            " for a peer" % (config.get_name(),)
        )
    name = _checked_name(config, config.get("name", "main"), "option 'name' in section 'router'")
    settings = RouterSettings(
        name=name,
        status_interval=config.getfloat("status_interval", 0.25, minval=0.05, maxval=10.0),
        peers=tuple(_read_peer(section) for section in config.get_prefix_sections("router ")),
    )
    _check_names(config, settings)
    _check_sockets(config, settings, own_sock)
    return settings


def _read_peer(config: Any) -> PeerSettings:
    section = config.get_name()
    name = _checked_name(config, section[len("router ") :].strip(), "section '[%s]'" % (section,))
    sock = config.get("sock", "~/printer_%s_data/comms/klippy.sock" % (name,)).strip()
    if not sock:
        raise config.error(
            "Option 'sock' in section '%s' is empty: write the path of that printer's API socket"
            " (Klippy's -a option), or leave the option out" % (section,)
        )
    return PeerSettings(
        name=name,
        sock=os.path.expanduser(sock),
        on_connect=config.get("on_connect", "").strip(),
        timeout=config.getfloat("timeout", 5.0, minval=1.0, maxval=60.0),
        disconnect_grace=config.getfloat("disconnect_grace", 0.0, minval=0.0, maxval=3600.0),
        max_message=config.getint(
            "max_message", DEFAULT_MAX_MESSAGE, minval=16384, maxval=16777216
        ),
    )


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
