# The checks of this printer (the host), from inside its own Klippy
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
import sys
from typing import Collection, Iterator, Tuple

from ..events.reports import Reports
from ..klippy.klippy import Klippy
from ..printers.link import peer_pid
from ..printers.local_printer import LocalPrinter
from ..sanitize import printable
from ..version import VERSION
from .checks import FAIL, OK, WARN, CheckList, Finding
from .printer_checks import Registrations, check_objects, check_queue
from .socket_checks import check_file, command_line

# Other clients that are listed
MAX_OTHERS = 3
# Files of this package that are checked in one step
FILES_PER_STEP = 8
_FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# The number of files, and the time of the latest change in nanoseconds since the epoch
Code = Tuple[int, int]


def _code_on_disk() -> Iterator[Code]:
    """Look at the files of this package, one step at a time; the last value is the result.

    (0, 0) if there are no files.
    """
    count = latest = 0
    try:
        for folder, _folders, names in os.walk(_FOLDER):
            for name in names:
                if name.endswith(".py"):
                    count += 1
                    latest = max(latest, os.stat(os.path.join(folder, name)).st_mtime_ns)
                    if count % FILES_PER_STEP == 0:
                        yield count, latest
    except OSError:
        pass  # a removed file shows in the count
    yield count, latest


# The code that this process runs. A module variable on purpose: RESTART makes new objects, but does
# not load modules again, which is exactly what check_code() detects.
*_, _LOADED = _code_on_disk()


class HostChecks:
    """Adds the checks of this printer to a list. shadowed: commands that macros replace."""

    def __init__(
        self, klippy: Klippy, printer: LocalPrinter, registrations: Registrations, reports: Reports
    ) -> None:
        self._klippy, self._printer = klippy, printer
        self._registrations, self._reports = registrations, reports
        self.shadowed: Collection[str] = ()

    def add(self, checks: CheckList) -> Iterator[None]:
        """Add all of them, one step at a time."""
        code = _LOADED
        for so_far in _code_on_disk():
            code = so_far
            yield
        checks.note(self._printer.name, "router", check_code(_LOADED, code))
        for name, find in (
            ("klippy", self._check_klippy),
            ("socket", self._check_socket),
            ("commands", self._check_commands),
            ("other routers", self._check_others),
            ("objects", self._check_objects),
            ("subscriptions", self._check_subscriptions),
            ("queue", self._check_queue),
            ("last error", self._check_last_error),
        ):
            checks.note(self._printer.name, name, find())
            yield

    def _check_klippy(self) -> Finding:
        state, message = self._klippy.state()
        info = self._klippy.info()
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
        return Finding(FAIL, "%s: %s. Fix the cause, then %s" % (text, line, way_out))

    def _check_socket(self) -> Finding:
        path = self._klippy.own_sock
        if path is None:
            return Finding(WARN, "this Klipper runs without -a: no Moonraker, no API clients")
        return check_file(path)

    def _check_commands(self) -> Finding:
        if not self.shadowed:
            return Finding(OK, "all are the router's own")
        return Finding(
            WARN,
            "macros in this printer's config replace %s, so that WAIT=1, SYNC=1 and so on have no"
            " effect: remove the include of the old daemon, or of router_api.cfg, from it"
            % (", ".join(sorted(self.shadowed)),),
        )

    def _check_others(self) -> Finding:
        others = self._klippy.other_clients(lambda method: method.startswith("router/"))
        pids = [peer_pid(sock) for sock in others]
        if not pids:
            return Finding(OK, "none: only this router answers calls of this printer's macros")
        named = sorted(pids)[:MAX_OTHERS]
        who = ", and ".join("pid %d, %s" % (pid, command_line(pid)) for pid in named)
        return Finding(
            WARN,
            "the calls of this printer's macros also go to %s: stop and disable the old daemon, or"
            " update the other router" % (who,),
        )

    def _check_objects(self) -> Finding:
        return check_objects(self._printer)

    def _check_subscriptions(self) -> Finding:
        return self._registrations.check(self._printer)

    def _check_queue(self) -> Finding:
        return check_queue(self._printer, 0)

    def _check_last_error(self) -> Finding:
        return Finding(OK, printable(self._reports.last_error) or "none")


def check_code(loaded: Code, on_disk: Code) -> Finding:
    """Whether the code that runs is the code that is installed."""
    text = "version %s" % (VERSION,)
    if on_disk == (0, 0):
        text += ", but its files are missing: Klipper will not start again. Run install.sh"
        return Finding(FAIL, text)
    if on_disk != loaded:
        text += ", but its files have changed since: restart Klipper's service, not only RESTART"
        return Finding(WARN, text)
    return Finding(OK, text)
