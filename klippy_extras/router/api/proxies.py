# Commands of peers as commands of this printer (option proxy_commands)
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Collection, Dict, List, NamedTuple

from ..printers.printer import Follower, Printer
from ..settings import PeerSettings
from .command_calls import CommandCalls
from .console import output_text
from .registration import Command

# Shows one or more lines on this printer's console
ShowLines = Callable[[str], None]


class PeerOutput(Follower):
    """Shows what a command prints there on this printer's console."""

    def __init__(self, printer: Printer, show: ShowLines) -> None:
        self._name, self._show = printer.name, show

    def printed(self, text: str) -> None:
        self._show(output_text(self._name, text))


class Proxied(NamedTuple):
    """What a command of this printer stands for: a command of a peer, and what names it."""

    peer_name: str
    command: str
    source: str
    way_out: str = "Leave it out"


class ProxyCommand:
    """A command that runs the same line on another printer, without waiting.

    name: of the command there. A macro that wraps it may have renamed it here.
    """

    def __init__(self, calls: CommandCalls, show: ShowLines, name: str, target: str) -> None:
        self._calls, self._show = calls, show
        self._name, self._target = name, target

    def run(self, gcmd: Any) -> None:
        """Raises UsageError and NotAllowed."""
        script = ("%s %s" % (self._name, gcmd.get_raw_command_parameters())).rstrip()
        params = {"target": self._target, "script": script}
        self._calls.call(gcmd, "router/gcode/script", params, follow=self._follow)

    def _follow(self, printer: Printer) -> Follower:
        return PeerOutput(printer, self._show)


class Proxies:
    """All proxy commands. show: shows a line on this printer's console.

    proxied: {command: what it stands for}; macros: the commands that the user's macros define,
    except those that wrap an existing command (rename_existing).
    """

    def __init__(self, config: Any, gcode: Any, calls: CommandCalls, show: ShowLines) -> None:
        self._config, self._gcode, self._calls, self._show = config, gcode, calls, show
        self.proxied: Dict[str, Proxied] = {}
        self.macros: List[str] = []
        self._wrapped: List[str] = []
        for section in config.get_prefix_sections("gcode_macro "):
            wraps = section.get("rename_existing", None, note_valid=False) is not None
            name = section.get_name().split()[-1].upper()
            (self._wrapped if wraps else self.macros).append(name)

    def register(self, peers: Collection[PeerSettings]) -> None:
        """Register the commands of these peers, now and at klippy:connect, but for patterns.

        Raises the config error for a command that already exists, now or then.
        """
        for peer in peers:
            for name in peer.proxy_commands:
                source = "Command '%s' in option 'proxy_commands'" % (name,)
                self._add(name, Proxied(peer.name, name, source))
            for device in peer.objects:
                if device.module == "gcode_macro":
                    source = "Object '%s' in option 'objects'" % (device.full_name,)
                    way_out = "Give it another name, as in '%s as NAME'" % (device.source,)
                    proxied = Proxied(peer.name, device.source_name.upper(), source, way_out)
                    self._add(device.name.upper(), proxied)
        # A macro that wraps a command needs it to exist. The others are registered when all
        # sections are loaded, so that the router finds a command that already exists.
        self._register_all([name for name in self.proxied if name in self._wrapped])
        others = [name for name in self.proxied if name not in self._wrapped]
        self._config.get_printer().register_event_handler(
            "klippy:connect", lambda: self._register_all(others)
        )

    def register_command(self, name: str, proxied: Proxied, help_text: str) -> None:
        """Register one command. Raises the config error if it exists, or has an invalid name."""
        proxy = ProxyCommand(self._calls, self._show, proxied.command, proxied.peer_name)
        self._gcode.register_command(name, Command(proxy.run).run, desc=help_text)

    def _add(self, name: str, proxied: Proxied) -> None:
        if name in self.macros:
            raise self._error(proxied, "it is a macro of this printer")
        other = self.proxied.get(name, proxied)
        if other[:2] != proxied[:2]:
            reason = "section 'router %s' has this command" % (other.peer_name,)
            raise self._error(proxied, reason)
        self.proxied[name] = proxied

    def _register_all(self, names: Collection[str]) -> None:
        for name in names:
            proxied = self.proxied[name]
            try:
                help_text = "Run %s on %s" % (proxied.command, proxied.peer_name)
                self.register_command(name, proxied, help_text)
            except self._config.error as e:
                raise self._error(proxied, str(e)) from None

    def _error(self, proxied: Proxied, reason: str) -> Exception:
        error: Exception = self._config.error(
            "%s of section 'router %s' cannot be registered: %s. %s, or rename the other one"
            % (proxied.source, proxied.peer_name, reason, proxied.way_out)
        )
        return error
