"""A printer is lost at the end of its disconnect_grace, unless it is back before."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.events.disconnect_grace import DisconnectGrace
from klippy_extras.router.klippy.timers import Timers
from klippy_extras.router.printers.printer import PrinterListener
from tests.unit.fake_printer import FakePrinter
from tests.unit.fake_reactor import FakeReactor


class Losses(PrinterListener):
    def __init__(self):
        self.seen = []

    def lost(self, printer, reason):
        self.seen.append((printer.name, reason))


class Watched:
    def __init__(self, grace):
        self.reactor = FakeReactor()
        self.grace = DisconnectGrace(Timers(self.reactor))
        self.led, self.losses = FakePrinter("led", grace), Losses()
        self.led.listeners += [self.grace, self.losses]


@pytest.mark.parametrize("reason", ["disconnected", "timeout"])
def test_without_grace_a_printer_is_lost_at_once(reason):
    watched = Watched(0.0)
    watched.led.connects()
    assert watched.grace.counts_as_ready(watched.led)
    watched.led.disconnects(reason)
    assert watched.losses.seen == [("led", reason)]
    assert not watched.grace.counts_as_ready(watched.led)


@pytest.mark.parametrize("state", ["shutdown", "error", "startup"])
def test_the_reason_is_the_state_of_its_klippy(state):
    watched = Watched(0.0)
    watched.led.connects()
    watched.led.is_in(state)
    assert watched.losses.seen == [("led", state)]


def test_a_printer_is_lost_once_at_the_end_of_its_grace():
    watched = Watched(5.0)
    watched.led.connects()
    watched.led.shuts_down()
    watched.led.disconnects()
    watched.reactor.advance(4.9)
    assert watched.losses.seen == [] and watched.grace.counts_as_ready(watched.led)
    watched.reactor.advance(0.2)
    # Why it was lost first
    assert watched.losses.seen == [("led", "shutdown")]
    assert not watched.grace.counts_as_ready(watched.led)
    watched.reactor.advance(100.0)
    assert len(watched.losses.seen) == 1


def test_a_printer_back_within_its_grace_was_never_lost():
    watched = Watched(5.0)
    for _ in range(3):
        watched.led.connects()
        watched.led.disconnects()
        watched.reactor.advance(4.0)
    watched.led.connects()
    watched.reactor.advance(100.0)
    assert watched.losses.seen == []
    watched.led.disconnects()
    watched.reactor.advance(5.1)
    assert watched.losses.seen == [("led", "disconnected")]


def test_a_printer_that_was_never_ready_cannot_be_lost():
    watched = Watched(0.0)
    watched.led.is_in("startup")
    watched.led.is_in("error")
    watched.led.disconnects()
    assert watched.losses.seen == []
    assert not watched.grace.counts_as_ready(watched.led)
