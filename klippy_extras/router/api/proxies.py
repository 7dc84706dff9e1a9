# Commands of peers as commands of this printer (option proxy_commands)
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Collection, List, Tuple

from ..settings import PeerSettings
from .command_calls import CommandCalls
from .registration import Command


class ProxyCommand:
    """A command that runs the same line on another printer, without waiting.

    name: of the command there. A macro that wraps it may have renamed it here.
    """

    def __init__(self, calls: CommandCalls, name: str, target: str) -> None:
        self._calls, self._name, self._target = calls, name, target

    def run(self, gcmd: Any) -> None:
        """Raises UsageError and NotAllowed."""
        script = ("%s %s" % (self._name, gcmd.get_raw_command_parameters())).rstrip()
        self._calls.call(gcmd, "router/gcode/script", {"target": self._target, "script": script})


class Proxies:
    """All proxy commands. macros: the commands that the user's macros define, except those that
    wrap an existing command (rename_existing).
    """

    def __init__(self, config: Any, gcode: Any, calls: CommandCalls) -> None:
        self._config, self._gcode, self._calls = config, gcode, calls
        self.macros: List[str] = []
        self._wrapped: List[str] = []
        for section in config.get_prefix_sections("gcode_macro "):
            wraps = section.get("rename_existing", None, note_valid=False) is not None
            name = section.get_name().split()[-1].upper()
            (self._wrapped if wraps else self.macros).append(name)

    def register(self, peers: Collection[PeerSettings]) -> None:
        """Register the commands of these peers, now and at klippy:connect.

        Raises the config error for a command that already exists, now or then.
        """
        names = [(name, peer.name) for peer in peers for name in peer.proxy_commands]
        for name, peer_name in names:
            if name in self.macros:
                raise self._error(name, peer_name, "it is a macro of this printer")
        # A macro that wraps a command needs it to exist. The others are registered when all
        # sections are loaded, so that the router finds a command that already exists.
        self._register([n for n in names if n[0] in self._wrapped])
        others = [n for n in names if n[0] not in self._wrapped]
        self._config.get_printer().register_event_handler(
            "klippy:connect", lambda: self._register(others)
        )

    def _register(self, names: Collection[Tuple[str, str]]) -> None:
        for name, peer_name in names:
            command = Command(ProxyCommand(self._calls, name, peer_name).run)
            try:
                self._gcode.register_command(
                    name, command.run, desc="Run %s on %s" % (name, peer_name)
                )
            except self._config.error as e:
                raise self._error(name, peer_name, str(e)) from None

    def _error(self, name: str, peer_name: str, reason: str) -> Exception:
        error: Exception = self._config.error(
            "Command '%s' in option 'proxy_commands' of section 'router %s' cannot be registered:"
            " %s. Leave it out, or rename the other one" % (name, peer_name, reason)
        )
        return error
