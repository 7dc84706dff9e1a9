# What can be checked of this printer, from inside its own Klippy
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import sys
from typing import Collection, Optional, Tuple

from .checks import FAIL, OK, WARN, CheckList, Finding
from .events import Events
from .host import Host
from .link import peer_pid
from .local_printer import LocalPrinter
from .peer_checks import check_queue, check_subscriptions
from .plain import printable
from .reports import Reports
from .socket_checks import check_file, command_line
from .subscriptions import Subscriptions
from .version import VERSION

# Other clients that are named
MAX_OTHERS = 3


def _code_on_disk() -> Optional[Tuple[int, int]]:
    """The number of this package's files and the time of the latest; None without any."""
    try:
        with os.scandir(os.path.dirname(os.path.abspath(__file__))) as entries:
            times = [e.stat().st_mtime_ns for e in entries if e.name.endswith(".py")]
    except OSError:
        return None
    return (len(times), max(times)) if times else None


# When this process loaded it: a RESTART does not load it again
_LOADED = _code_on_disk()


class HostChecks:
    """Adds the checks of this printer to a list. shadowed: commands that are macros here."""

    def __init__(
        self,
        host: Host,
        printer: LocalPrinter,
        subscriptions: Subscriptions,
        events: Events,
        reports: Reports,
    ) -> None:
        self._host, self._printer, self._reports = host, printer, reports
        self._subscriptions, self._events = subscriptions, events
        self.shadowed: Collection[str] = ()

    def add(self, checks: CheckList) -> None:
        """All of them."""
        printer = self._printer
        subscriptions = check_subscriptions(printer, self._subscriptions, self._events)
        for name, finding in (
            ("router", check_code(_LOADED, _code_on_disk())),
            ("klippy", self._check_klippy()),
            ("socket", check_own_socket(self._host.own_sock)),
            ("commands", self._check_commands()),
            ("other routers", self._check_others()),
            ("subscriptions", subscriptions),
            ("queue", check_queue(printer, 0)),
            ("last error", Finding(OK, printable(self._reports.last_error) or "none")),
        ):
            checks.note(printer.name, name, finding)

    def _check_klippy(self) -> Finding:
        state, message = self._host.state()
        info = self._host.info()
        text = "%s, %s %s, Python %s" % (
            state,
            info.get("app", "Klipper"),
            printable(info.get("software_version", "")),
            sys.version.split()[0],
        )
        if state == "ready":
            return Finding(OK, text)
        if state == "startup":
            return Finding(WARN, text + ": try again when it has started")
        way_out = "FIRMWARE_RESTART" if state == "shutdown" else "RESTART"
        line = printable(message.strip().split("\n")[0])
        return Finding(FAIL, "%s: %s. Mend the cause, then %s" % (text, line, way_out))

    def _check_commands(self) -> Finding:
        if not self.shadowed:
            return Finding(OK, "all of them are the router's own")
        return Finding(
            WARN,
            "macros of this printer's config take the place of %s, so that WAIT=1, SYNC=1 and so on"
            " do nothing there: take the include of the old daemon, or router_api.cfg, out of it"
            % (", ".join(sorted(self.shadowed)),),
        )

    def _check_others(self) -> Finding:
        pids = [peer_pid(sock) for sock in self._host.other_clients("router/")]
        if not pids:
            return Finding(OK, "none: only this one answers calls of this printer's macros")
        named = sorted(pids)[:MAX_OTHERS]
        who = ", and ".join("pid %d, %s" % (pid, command_line(pid)) for pid in named)
        return Finding(
            WARN,
            "the calls of this printer's macros also go to %s: stop and disable the old daemon, or"
            " take this printer out of the other host's config" % (who,),
        )


def check_code(loaded: Optional[Tuple[int, int]], on_disk: Optional[Tuple[int, int]]) -> Finding:
    """Whether what runs is what is installed."""
    text = "version %s" % (VERSION,)
    if on_disk is None:
        text += ", but its files are gone: Klipper will not start again. Run install.sh"
        return Finding(FAIL, text)
    if on_disk != loaded:
        text += ", but its files have changed since: restart Klipper's service, not only RESTART"
        return Finding(WARN, text)
    return Finding(OK, text)


def check_own_socket(path: Optional[str]) -> Finding:
    """The API socket of this Klippy."""
    if path is None:
        return Finding(WARN, "this Klipper runs without -a: no Moonraker, no API clients")
    return check_file(path)
