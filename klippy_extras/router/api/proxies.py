# Commands of peers as commands of this printer (option proxy_commands)
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Callable, Collection, List, Tuple

from ..settings import PeerSettings


class Proxies:
    """proxy: registers the command of this name that runs on the printer of this name.

    macros: the commands that macros of the user define, but for those that wrap an existing
    command (rename_existing).
    """

    def __init__(self, proxy: Callable[[str, str], None], config: Any) -> None:
        self._proxy, self._config = proxy, config
        self.macros: List[str] = []
        self._wrapped: List[str] = []
        for section in config.get_prefix_sections("gcode_macro "):
            wraps = section.get("rename_existing", None, note_valid=False) is not None
            name = section.get_name().split()[-1].upper()
            (self._wrapped if wraps else self.macros).append(name)

    def register(self, peers: Collection[PeerSettings]) -> None:
        """Register the commands of these peers, now and at klippy:connect.

        Raises the config error for a command that exists already, then or now.
        """
        names = [(name, peer.name) for peer in peers for name in peer.proxy_commands]
        for name, peer_name in names:
            if name in self.macros:
                raise self._error(name, peer_name, "it is a macro of this printer")
        # A macro that wraps a command needs it to exist. The others are registered when every
        # section is loaded, so that it is us who notice that a command exists already.
        self._register([n for n in names if n[0] in self._wrapped])
        others = [n for n in names if n[0] not in self._wrapped]
        self._config.get_printer().register_event_handler(
            "klippy:connect", lambda: self._register(others)
        )

    def _register(self, names: Collection[Tuple[str, str]]) -> None:
        for name, peer_name in names:
            try:
                self._proxy(name, peer_name)
            except self._config.error as e:
                raise self._error(name, peer_name, str(e)) from None

    def _error(self, name: str, peer_name: str, reason: str) -> Exception:
        error: Exception = self._config.error(
            "Command '%s' in option 'proxy_commands' of section 'router %s' cannot be made: %s."
            " Leave it out, or rename the other one" % (name, peer_name, reason)
        )
        return error
