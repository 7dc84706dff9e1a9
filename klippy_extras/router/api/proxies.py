# Commands of peers as commands of this printer (option proxy_commands)
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Collection, Dict, List

from ..printers.printer import Follower, Printer
from ..settings import PeerSettings
from .command_calls import CommandCalls
from .registration import Command

# Shows a line on this printer's console
ShowLine = Callable[[str], None]


class _Output(Follower):
    """Shows what the command prints there on this printer's console."""

    def __init__(self, printer: Printer, show: ShowLine) -> None:
        self._name, self._show = printer.name, show

    def printed(self, line: str) -> None:
        self._show("%s: %s" % (self._name, line))


class ProxyCommand:
    """A command that runs the same line on another printer, without waiting.

    name: of the command there. A macro that wraps it may have renamed it here.
    """

    def __init__(self, calls: CommandCalls, show: ShowLine, name: str, target: str) -> None:
        self._calls, self._show = calls, show
        self._name, self._target = name, target

    def run(self, gcmd: Any) -> None:
        """Raises UsageError and NotAllowed."""
        script = ("%s %s" % (self._name, gcmd.get_raw_command_parameters())).rstrip()
        params = {"target": self._target, "script": script}
        self._calls.call(gcmd, "router/gcode/script", params, follow=self._follow)

    def _follow(self, printer: Printer) -> Follower:
        return _Output(printer, self._show)


class Proxies:
    """All proxy commands. show: shows a line on this printer's console.

    owners: {command: the peer it runs on}; macros: the commands that the user's macros define,
    except those that wrap an existing command (rename_existing).
    """

    def __init__(self, config: Any, gcode: Any, calls: CommandCalls, show: ShowLine) -> None:
        self._config, self._gcode, self._calls, self._show = config, gcode, calls, show
        self.owners: Dict[str, str] = {}
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
        self.owners = {name: peer.name for peer in peers for name in peer.proxy_commands}
        for name in self.owners:
            if name in self.macros:
                raise self._error(name, "it is a macro of this printer")
        # A macro that wraps a command needs it to exist. The others are registered when all
        # sections are loaded, so that the router finds a command that already exists.
        self._register_all([name for name in self.owners if name in self._wrapped])
        others = [name for name in self.owners if name not in self._wrapped]
        self._config.get_printer().register_event_handler(
            "klippy:connect", lambda: self._register_all(others)
        )

    def register_command(self, name: str, peer_name: str, help_text: str) -> None:
        """Register one command. Raises the config error if it exists, or has an invalid name."""
        command = Command(ProxyCommand(self._calls, self._show, name, peer_name).run)
        self._gcode.register_command(name, command.run, desc=help_text)

    def _register_all(self, names: Collection[str]) -> None:
        for name in names:
            peer_name = self.owners[name]
            try:
                self.register_command(name, peer_name, "Run %s on %s" % (name, peer_name))
            except self._config.error as e:
                raise self._error(name, str(e)) from None

    def _error(self, name: str, reason: str) -> Exception:
        error: Exception = self._config.error(
            "Command '%s' in option 'proxy_commands' of section 'router %s' cannot be registered:"
            " %s. Leave it out, or rename the other one" % (name, self.owners[name], reason)
        )
        return error
