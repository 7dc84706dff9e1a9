"""The print time of a peer as a function of the time of this machine."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from klippy_extras.router.errors import Busy, RouterError
from klippy_extras.router.printers.peer_clock import (
    MAX_READING_AGE,
    READING_INTERVAL,
    PeerClock,
)
from tests.unit.fake_printer import FakePrinter

OFFSET = 30.0  # print time minus the time of this machine


class Peer(FakePrinter):
    """A peer that answers a query when a test says so."""

    def __init__(self):
        super().__init__()
        self.waiting = []
        self.refuses = False

    def query_objects(self, objects, done):
        if self.refuses:
            raise Busy("led is busy")
        self.waiting.append(done)


class Read:
    def __init__(self):
        self.now, self.peer = 100.0, Peer()
        self.clock = PeerClock(self.peer, lambda: self.now)

    def answer(self, rate=1.0, after=0.1, eventtime=None, state="standby", **toolhead):
        """The peer answers, so many seconds after the query."""
        self.now += after
        eventtime = self.now - after / 2 if eventtime is None else eventtime
        print_time = 100.0 + OFFSET + (eventtime - 100.0) * rate
        toolhead = toolhead or {"estimated_print_time": print_time}
        status = {"toolhead": toolhead, "print_stats": {"state": state}}
        self.peer.waiting.pop(0)({"eventtime": eventtime, "status": status}, None)


@pytest.fixture
def read():
    read = Read()
    read.clock.read()
    return read


def test_it_is_unknown_until_it_was_read(read):
    assert read.clock.print_time(read.now) is None
    read.answer()
    assert read.clock.print_time(read.now + 1.0) == pytest.approx(read.now + 1.0 + OFFSET)


def test_it_is_read_again_only_after_a_while_and_never_twice_at_a_time(read):
    read.clock.read()
    assert len(read.peer.waiting) == 1
    read.answer()
    read.clock.read()
    assert read.peer.waiting == []
    read.now += READING_INTERVAL
    read.clock.read()
    assert len(read.peer.waiting) == 1


def test_two_readings_show_how_fast_it_runs(read):
    read.answer(1.0001)
    read.now += 3.0
    read.clock.read()
    read.answer(1.0001)
    later = read.now + 5.0
    assert read.clock.print_time(later) == pytest.approx(130.0 + (later - 100.0) * 1.0001, abs=1e-6)


def test_a_rate_that_no_clock_has_is_not_used(read):
    read.answer()
    read.now += 3.0
    read.clock.read()
    read.answer(1.01)
    known = read.clock.print_time(read.now)
    assert read.clock.print_time(read.now + 1.0) == pytest.approx(known + 1.0)


def test_an_old_reading_is_not_used(read):
    read.answer()
    read.now += MAX_READING_AGE + 0.1
    assert read.clock.print_time(read.now) is None


@pytest.mark.parametrize("state", ["standby", "printing"])
@pytest.mark.parametrize("eventtime", [99.9, 100.2, 5000.0])
def test_the_clock_of_another_machine_is_unknown(read, eventtime, state):
    found = []
    # Somebody else, who does not care, has asked first
    read.clock.read(lambda: found.append("foreign"))
    read.clock.read()
    read.answer(eventtime=eventtime, state=state)
    assert read.clock.print_time(read.now) is None
    assert found == ["foreign"]
    # That does not change soon
    read.clock.read()
    assert read.peer.waiting == []
    read.now += READING_INTERVAL
    read.clock.read()
    assert len(read.peer.waiting) == 1


def test_the_clock_of_this_machine_is_not_foreign():
    read, found = Read(), []
    read.clock.read(lambda: found.append("foreign"))
    read.answer()
    assert found == []


def test_a_peer_that_prints_cannot_wait(read):
    read.answer(state="printing")
    assert read.clock.print_time(read.now) is None


@pytest.mark.parametrize("value", [None, "1.0", True])
def test_what_is_no_time_is_ignored(read, value):
    read.answer(estimated_print_time=value)
    assert read.clock.print_time(read.now) is None


def test_it_is_forgotten_when_the_peer_disconnects(read):
    read.answer()
    read.clock.forget()
    assert read.clock.print_time(read.now) is None


def test_a_failure_ends_nothing(read):
    read.peer.waiting.pop()(None, RouterError("led: connection lost"))
    read.peer.refuses = True
    read.clock.read()
    read.peer.refuses = False
    read.clock.read()
    read.answer()
    assert read.clock.print_time(read.now) is not None
