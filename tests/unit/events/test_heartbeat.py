"""Heartbeats for peers with the macro: how often, and what they report about the host."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.errors import RouterError
from klippy_extras.router.events.heartbeat import HEARTBEAT_MACRO, INTERVAL, Heartbeat
from klippy_extras.router.events.lifecycle import Lifecycle
from klippy_extras.router.klippy.timers import Timers
from klippy_extras.router.printers.printer import Job
from tests.unit.fake_printer import FakePrinter
from tests.unit.fake_reactor import FakeReactor

LOST = "ROUTER_ON_DISCONNECTED"


class Host:
    def __init__(self):
        self.reactor = FakeReactor()
        self.timers = Timers(self.reactor)
        self.main, self.led, self.afc = map(FakePrinter, ("main", "led", "afc"))
        printers = [self.main, self.led, self.afc]
        self.lifecycle = Lifecycle(printers, {}, self.timers)
        self.heaters = []  # of a peer, set by the host
        self.heartbeat = Heartbeat(
            self.timers, self.main, printers[1:], self.lifecycle, lambda peer: self.heaters
        )
        for printer in printers:
            printer.listeners += [self.lifecycle, self.heartbeat]

    def beats(self, peer):
        """The heartbeats that it was sent since the last call."""
        return [script for script in peer.take_sent() if script.startswith(HEARTBEAT_MACRO)]


def beat(ready, told):
    return f"{HEARTBEAT_MACRO} PRINTER='main' READY='{ready}' TOLD='{told}'"


@pytest.fixture
def host():
    host = Host()
    host.main.connects()
    return host


def test_a_peer_with_the_macro_gets_one_at_once_and_then_one_per_interval(host):
    host.heartbeat.start()
    host.led.connects(HEARTBEAT_MACRO)
    host.afc.connects("SOMETHING_ELSE")
    assert host.beats(host.led) == [beat(1, 0)]
    for _ in range(5):
        host.reactor.advance(INTERVAL)
        assert host.beats(host.led) == [beat(1, 0)]
    assert host.afc.sent == []


def test_no_heartbeat_is_sent_while_one_is_unanswered(host):
    host.heartbeat.start()
    host.led.connects(HEARTBEAT_MACRO)
    host.reactor.advance(20 * INTERVAL)
    assert host.led.sent == [beat(1, 0)] and host.led.queue_length == 0
    host.led.finish()
    host.reactor.advance(INTERVAL)
    assert len(host.led.sent) == 2


def test_a_heartbeat_goes_before_queued_scripts(host):
    host.heartbeat.start()
    host.led.connects(HEARTBEAT_MACRO)
    host.beats(host.led)
    host.led.submit(Job("RUNS"))
    host.led.submit(Job("WAITS"))
    host.reactor.advance(INTERVAL)
    assert host.led.take_sent() == ["RUNS", beat(1, 0), "WAITS"]


def test_a_heartbeat_reports_at_once_that_the_host_is_not_ready(host):
    host.heartbeat.start()
    host.led.connects(HEARTBEAT_MACRO)
    host.beats(host.led)
    host.main.shuts_down()
    assert host.beats(host.led) == [beat(0, 0)]
    host.main.connects()
    assert host.beats(host.led) == [beat(1, 0)]


def test_a_change_while_a_heartbeat_is_in_flight_is_reported(host):
    host.led.connects(HEARTBEAT_MACRO)
    host.main.shuts_down()
    assert host.led.sent == [beat(1, 0)]
    assert host.beats(host.led) == [beat(1, 0), beat(0, 0)]
    # A failed heartbeat is not repeated before the next one is due
    host.main.connects()
    host.main.shuts_down()
    host.led.finish(RouterError("no"))
    assert not host.led.is_busy


def test_a_heartbeat_says_that_the_peer_was_notified_until_the_host_is_ready_again(host):
    host.led.connects(HEARTBEAT_MACRO, LOST)
    host.beats(host.led)
    host.main.shuts_down()
    host.lifecycle.lost(host.main, "shutdown")
    host.beats(host.led)
    assert host.heartbeat.heartbeat(host.led) == beat(0, 1)
    host.main.connects()
    assert host.beats(host.led) == [beat(1, 0)]
    assert host.heartbeat.heartbeat(host.afc) == ""


def test_no_heartbeat_when_the_timers_are_closed(host):
    host.heartbeat.start()
    host.led.connects(HEARTBEAT_MACRO)
    host.beats(host.led)
    host.timers.close()
    host.reactor.advance(10 * INTERVAL)
    assert host.beats(host.led) == []


def test_a_peer_that_is_not_ready_gets_none_and_no_error(host):
    host.heartbeat.start()
    host.led.connects(HEARTBEAT_MACRO)
    host.led.disconnects()
    host.reactor.advance(5 * INTERVAL)
    assert len(host.led.sent) == 1
    host.led.connects(HEARTBEAT_MACRO)
    assert len(host.led.sent) == 2
