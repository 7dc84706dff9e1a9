# The checks of a peer: its socket, its Klippy, its includes
#
# Copyright (C) 2026  Klipper Router contributors
#
# This file may be distributed under the terms of the GNU GPLv3 license.
import os
from typing import Iterator

from ..events.heartbeat import HEARTBEAT_MACRO
from ..klippy.timers import Timers
from ..printers.printer import Printer
from ..printers.remote_printer import RemotePrinter
from ..sanitize import printable
from ..version import VERSION
from .answer_checks import BUSY, NO_ANSWER, EchoChecks, RoundTrips
from .checks import FAIL, OK, WARN, CheckList, Finding
from .echo import ECHO_MACRO, Echoes
from .echo_test import EchoTest
from .printer_checks import Registrations, check_objects, check_queue
from .socket_checks import check_file, check_listener, probe

_ROOT = os.path.abspath(
    os.path.join(os.path.dirname(os.path.realpath(__file__)), os.pardir, os.pardir, os.pardir)
)


class PeerChecks:
    """Adds the checks of peers to a list."""

    def __init__(self, timers: Timers, registrations: Registrations, echoes: Echoes) -> None:
        self._timers, self._registrations, self._echoes = timers, registrations, echoes

    def add(self, peer: RemotePrinter, checks: CheckList) -> Iterator[None]:
        """Add all checks that make sense in the peer's state, one step at a time."""
        if not self._add_socket(peer, checks):
            return
        yield
        checks.note(peer.name, "klippy", check_klippy(peer))
        if not peer.connected:
            return
        queue = check_queue(peer, peer.unanswered)  # before it has our own requests
        trips = checks.add(peer.name, "round trip", NO_ANSWER)
        RoundTrips(self._timers, peer, trips).start()
        yield
        if peer.ready:
            yield from self._add_macros(peer, checks)
            checks.note(peer.name, "objects", check_objects(peer))
        checks.note(peer.name, "subscriptions", self._registrations.check(peer))
        checks.note(peer.name, "queue", queue)
        checks.note(peer.name, "last error", Finding(OK, printable(peer.last_error) or "none"))

    @staticmethod
    def _add_socket(peer: RemotePrinter, checks: CheckList) -> bool:
        """Returns whether a process listens there."""
        file = check_file(peer.sock)
        if file.result != OK and peer.connected:
            text = "still connected, but not a second time: RESTART that Klipper. " + file.text
            file = Finding(WARN, text)
        checks.note(peer.name, "socket", file)
        if file.result == FAIL:
            return False
        pid, failure = peer.listening_pid, None
        if pid is None:
            pid, failure = probe(peer.sock)
        checks.note(peer.name, "listener", failure or check_listener(pid, peer.klippy_pid))
        return failure is None

    def _add_macros(self, peer: RemotePrinter, checks: CheckList) -> Iterator[None]:
        methods = len(peer.methods.registered)
        if not peer.accepts_calls:
            why = "it has a router of its own" if peer.has_router else "accept_calls is False"
            text = "%s registered there: %s" % (methods or "none", why)
            checks.note(peer.name, "methods", Finding(OK, text))
            checks.note(peer.name, "other routers", check_exchange(peer))
            return
        checks.note(peer.name, "methods", Finding(OK, "%d registered there" % (methods,)))
        checks.note(peer.name, "include", check_include(peer))
        checks.note(peer.name, "watchdog", check_watchdog(peer))
        yield
        echo = checks.add(peer.name, "echo", BUSY)
        others = checks.add(peer.name, "other routers", BUSY)
        if ECHO_MACRO in peer.commands:
            self._start_echo(peer, EchoChecks(peer, echo, others), checks.seconds)
        else:
            why = "needs this version of router_api.cfg there"
            echo.found(WARN, "not tested: " + why)
            others.found(WARN, "not known: " + why)
        yield

    def _start_echo(self, peer: RemotePrinter, echo_checks: EchoChecks, seconds: float) -> None:
        test = EchoTest(self._timers, self._echoes, echo_checks)
        if test.start(peer):
            self._timers.after(seconds, test.stop)
        else:
            echo_checks.busy()


def check_klippy(peer: RemotePrinter) -> Finding:
    """The state of its Klippy, and what to do about it."""
    message = printable(peer.state_message.strip().split("\n")[0])
    if peer.ready:
        return Finding(OK, "ready, version %s" % (peer.software_version,))
    if peer.state == "shutdown":
        way_out = "Fix the cause, then ROUTER_RESTART TARGET=%s FIRMWARE=1" % (peer.name,)
        return Finding(FAIL, "shutdown: %s. %s" % (message, way_out))
    if peer.state == "error":
        way_out = "Fix its config, then ROUTER_RESTART TARGET=%s" % (peer.name,)
        return Finding(FAIL, "error: %s. %s" % (message, way_out))
    if peer.connected:
        return Finding(WARN, "%s: it is starting. Try again in a few seconds" % (peer.state,))
    if peer.listening_pid is not None:
        text = "accepts the connection, but does not answer: it is still starting, or hangs"
        return Finding(FAIL, text + ". If this persists, restart its service")
    text = "not connected yet; the router tries again every second"
    reason = printable(peer.last_error)
    return Finding(FAIL, "%s. The last connection ended: %s" % (text, reason) if reason else text)


def check_include(peer: Printer) -> Finding:
    """Whether router_api.cfg is included, in this router's version."""
    line = "[include %s]" % (os.path.join(_ROOT, "includes", "router_api.cfg"),)
    if "ROUTER_GCODE_SCRIPT" not in peer.commands:
        text = "router_api.cfg is not included. At the top of its printer.cfg write %s" % (line,)
    elif peer.include_version is None:
        text = (
            "it has ROUTER_ macros from another include, such as the old daemon's. Write %s instead"
            % (line,)
        )
    elif peer.include_version != VERSION:
        versions = (peer.include_version, VERSION, peer.name)
        text = (
            "router_api.cfg has version %s, the router %s: update both, then RESTART %s" % versions
        )
    else:
        return Finding(OK, "router_api.cfg, version %s" % (VERSION,))
    return Finding(WARN, text)


def check_exchange(peer: Printer) -> Finding:
    """How this router shares a peer with the one that takes its calls."""
    if not peer.has_router:
        return Finding(OK, "its calls are for another router: accept_calls is False")
    if peer.allow is not None and "event" not in peer.allow:
        return Finding(OK, "its own; option 'allow' keeps its events out")
    return Finding(OK, "its own, which exchanges events with this one")


def check_watchdog(peer: Printer) -> Finding:
    """Whether it notices when this printer's Klippy ends."""
    if HEARTBEAT_MACRO in peer.commands:
        return Finding(OK, "included")
    text = "not included, so it does not notice when this printer's Klippy ends. Include %s"
    return Finding(WARN, text % (os.path.join(_ROOT, "includes", "router_watchdog.cfg"),))
