# Commands of peers whose names match a pattern in option proxy_commands, such as MMU_*
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
from functools import partial
from typing import Any, Callable, Dict, List, Mapping, Set, Tuple

from ..klippy.klippy import Klippy
from ..option_lists import COMMAND_RULE, TEMPORARY_COMMANDS
from ..printers.printer import Printer, PrinterListener
from ..sanitize import printable
from .proxies import Proxied, Proxies

# Commands of one peer that are registered because of patterns
MAX_COMMANDS = 256
# Characters of the name of such a command
MAX_COMMAND_NAME = 64
# Commands of a peer that are compared with the patterns in one step
LOOKED_AT_ONCE = 128
# Names in one message
MAX_NAMES_SHOWN = 5
# The beginning of the router's own commands
OWN_PREFIX = "ROUTER_"


class PatternProxies(PrinterListener):
    """Registers the commands that match, whenever a peer has become ready.

    A command of this printer, or one that runs on another peer, is never replaced. Once registered,
    a command is kept. host: this printer; patterns: the beginnings of the names, by peer.
    """

    def __init__(
        self,
        klippy: Klippy,
        proxies: Proxies,
        host: Printer,
        patterns: Mapping[Printer, Tuple[str, ...]],
    ) -> None:
        self._klippy, self._proxies, self._host = klippy, proxies, host
        self._patterns = patterns
        self._owners: Dict[str, Printer] = {}  # of the commands that are registered
        # Commands that are left out because of the second printer, and were not reported yet
        self._conflicts: Dict[Tuple[Printer, Printer], List[str]] = {}
        self._reported: Set[Tuple[Printer, str]] = set()

    def became_ready(self, printer: Printer) -> None:
        # Not before this printer is ready: until then it registers commands of its own
        if printer.is_local:
            for peer in self._patterns:
                if peer.ready:
                    self._add_commands(peer)
        elif self._host.ready:
            self._add_commands(printer)

    def _add_commands(self, peer: Printer) -> None:
        self._look_at(peer, list(peer.commands), [])

    def _look_at(self, peer: Printer, names: List[str], matching: List[str]) -> None:
        """Find those of these commands that match, some now and the rest soon, and add them."""
        patterns = self._patterns[peer]
        for name in names[:LOOKED_AT_ONCE]:
            is_new = name.startswith(patterns) and self._owners.get(name) is not peer
            if is_new and self._can_be_added(name):
                matching.append(name)
        if len(names) > LOOKED_AT_ONCE and len(matching) <= MAX_COMMANDS:
            self._soon(self._look_at, peer, names[LOOKED_AT_ONCE:], matching)
            return
        room = self._room_for(peer)
        if len(matching) > room:
            self._report_too_many(peer)
        # One callback for each: whenever one is registered, Klipper makes its list of all commands
        # again (klippy/gcode.py, _build_status_commands)
        for name in sorted(matching[:room]):
            self._soon(self._add, peer, name)
        self._soon(self._report_conflicts, peer)

    def _soon(self, call: Callable[..., None], *args: Any) -> None:
        self._klippy.timers.soon(partial(call, *args))

    def _room_for(self, peer: Printer) -> int:
        """How many more of its commands may be registered."""
        return MAX_COMMANDS - sum(owner is peer for owner in self._owners.values())

    def _can_be_added(self, name: str) -> bool:
        return (
            name not in self._proxies.proxied
            and name not in TEMPORARY_COMMANDS
            and not name.startswith(OWN_PREFIX)
            and len(name) <= MAX_COMMAND_NAME
            and COMMAND_RULE.fullmatch(name) is not None
        )

    def _add(self, peer: Printer, name: str) -> None:
        if self._owners.get(name) is peer or not self._room_for(peer):
            return  # it has become ready twice in a short time
        text = _help_text(peer.commands.get(name), name, peer.name)
        try:
            source = "a pattern in option 'proxy_commands'"
            self._proxies.register_command(name, Proxied(peer.name, name, source), text)
            self._owners[name] = peer
        except self._klippy.config_error:
            self._left_out(peer, name)

    def _left_out(self, peer: Printer, name: str) -> None:
        if (peer, name) not in self._reported:
            self._reported.add((peer, name))
            owner = self._owners.get(name, self._host)
            self._conflicts.setdefault((peer, owner), []).append(name)

    # -- messages

    def _report_conflicts(self, peer: Printer) -> None:
        for (other_peer, owner), names in list(self._conflicts.items()):
            if other_peer is not peer:
                continue
            del self._conflicts[peer, owner]
            if owner.is_local:
                whose = "this printer"
                way_out = "To use those of %s, rename the ones of this printer"
            else:
                whose = "section 'router %s'" % (owner.name,)
                way_out = "To use those of %s, write their full names there"
            self._report(
                peer,
                "does not replace commands of %s: %s. %s"
                % (whose, _listed(names), way_out % (peer.name,)),
            )

    def _report_too_many(self, peer: Printer) -> None:
        if (peer, "") not in self._reported:
            self._reported.add((peer, ""))
            what = "takes no more than %d commands: write narrower patterns" % (MAX_COMMANDS,)
            self._report(peer, what)

    def _report(self, peer: Printer, what: str) -> None:
        where = "Option 'proxy_commands' in section 'router %s'" % (peer.name,)
        self._klippy.report("%s %s" % (where, what))


def _listed(names: List[str]) -> str:
    shown = ", ".join(names[:MAX_NAMES_SHOWN])
    more = len(names) - MAX_NAMES_SHOWN
    return "%s and %d more" % (shown, more) if more > 0 else shown


def _help_text(text: Any, name: str, peer_name: str) -> str:
    """The help text here of a command that has this text there."""
    text = printable(text) if isinstance(text, str) else ""
    return "%s (on %s)" % (text, peer_name) if text else "Run %s on %s" % (name, peer_name)
