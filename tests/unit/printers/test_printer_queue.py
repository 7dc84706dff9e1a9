"""The queue of a printer: which scripts may wait, for how long, and why others are refused."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.errors import Busy, NotReady
from klippy_extras.router.printers.printer import (
    MAX_QUEUE,
    Job,
    Order,
    PrinterListener,
    is_stream,
)
from tests.unit.fake_printer import FakePrinter


class Ends:
    """How scripts ended: (name, error or None), in order."""

    def __init__(self):
        self.all = []

    def of(self, name):
        return lambda result, error: self.all.append((name, error and str(error)))


@pytest.fixture
def led():
    return FakePrinter().connects()


@pytest.fixture
def ends():
    return Ends()


@given(st.lists(st.sampled_from(["in turn", "first", "finish"]), max_size=30))
def test_each_script_ends_once_and_priority_scripts_go_to_the_front(steps):
    led, ends = FakePrinter().connects(), Ends()
    waiting, running, expected = [], [], []

    def begin():
        if waiting and not running:
            running.append(waiting.pop(0))

    for number, step in enumerate(steps):
        name = f"S{number}"
        if step == "finish":
            if running:
                expected.append((running.pop(), None))
                led.finish()
        else:
            order = Order.FIRST if step == "first" else Order.IN_TURN
            led.submit(Job(name, ends.of(name), order=order))
            waiting.insert(0 if order is Order.FIRST else len(waiting), name)
        begin()
        assert ends.all == expected
        assert led.queue_length == len(waiting)
    led.take_sent()
    assert ends.all == expected + [(name, None) for name in running + waiting]


def test_a_full_queue_refuses_scripts_but_no_priority_ones(led, ends):
    for number in range(MAX_QUEUE + 1):  # one of them runs
        led.submit(Job(f"S{number}", ends.of(number)))
    with pytest.raises(Busy, match=f"^led is busy: {MAX_QUEUE} scripts are waiting for it$"):
        led.submit(Job("LATE", ends.of("late")))
    led.submit(Job("FIRST", ends.of("first"), order=Order.FIRST))
    led.submit(Job("STATUS", ends.of("status"), order=Order.STATUS))
    assert led.queue_length == MAX_QUEUE + 2
    sent = led.take_sent()
    assert sent[:2] == ["S0", "FIRST"] and sent[-1] == "STATUS" and "LATE" not in sent
    assert "late" not in dict(ends.all)


@pytest.mark.parametrize(
    ("state", "message", "why"),
    [
        ("disconnected", "", "led is not connected"),
        ("ready", "", "led is not ready (still connecting)"),
        ("startup", "Printer is not ready\nThe klippy host", "startup: Printer is not ready"),
        ("shutdown", "\nMCU 'mcu' shutdown\nOnce", "shutdown: MCU 'mcu' shutdown"),
        ("error", "", "led is not ready (error)"),
    ],
)
def test_a_printer_that_is_not_ready_says_why_and_queues_nothing(ends, state, message, why):
    led = FakePrinter()
    led.is_in(state, message)
    with pytest.raises(NotReady) as error:
        led.submit(Job("S", ends.of("s")))
    assert why in str(error.value) and "\n" not in str(error.value)
    led.connects()
    assert led.take_sent() == [] and ends.all == []


def test_queued_scripts_fail_as_soon_as_the_printer_is_lost(led, ends):
    for name in "abc":
        led.submit(Job(name, ends.of(name)))
    led.shuts_down("Lost communication\nmore")
    why = "led is not ready (shutdown: Lost communication)"
    assert sorted(ends.all) == [(name, why) for name in "abc"]
    led.connects()
    assert led.take_sent() == ["a"]


def test_a_failed_caller_may_submit_again_and_is_refused(led):
    errors = []

    def again(result, error):
        with pytest.raises(NotReady) as refused:
            led.submit(Job("AGAIN"))
        errors.append(refused.value)

    led.submit(Job("RUNS"))
    led.submit(Job("WAITS", again))
    led.disconnects()
    assert [str(error) for error in errors] == ["led is not connected"]


def test_a_script_is_rendered_when_its_turn_comes(led, ends):
    values = ["old"]
    led.submit(Job("RUNS"))
    led.submit(Job(lambda: f"SHOW {values[-1]}", ends.of("late")))
    values.append("new")
    assert led.take_sent() == ["RUNS", "SHOW new"]


class Listener(PrinterListener):
    def __init__(self, seen, name):
        self.seen, self.name = seen, name

    def became_ready(self, printer):
        self.seen.append((self.name, "ready", printer.state))

    def state_changed(self, printer, was_ready):
        self.seen.append((self.name, printer.state, was_ready))


def test_listeners_are_notified_in_order_and_of_changes_only():
    led, seen = FakePrinter(), []
    led.listeners += [Listener(seen, "first"), Listener(seen, "second")]
    led.is_in("startup")
    led.is_in("startup", "another message is no change")
    assert seen == [("first", "startup", False), ("second", "startup", False)]
    del seen[:]
    led.connects()
    led.connects()
    assert seen == [("first", "ready", "ready"), ("second", "ready", "ready")]
    del seen[:]
    led.disconnects()
    assert seen == [("first", "disconnected", True), ("second", "disconnected", True)]


def test_listeners_find_the_queue_empty_when_the_printer_is_lost(led, ends):
    seen = []

    class Watcher(PrinterListener):
        def state_changed(self, printer, was_ready):
            seen.append((printer.queue_length, len(ends.all)))

    led.listeners.append(Watcher())
    led.submit(Job("RUNS"))
    led.submit(Job("WAITS", ends.of("waits")))
    led.shuts_down()
    assert seen == [(0, 1)]


def test_it_describes_itself(led):
    assert led.describe() == ["ready"]
    led.submit(Job("RUNS"))
    led.submit(Job("WAITS"))
    assert led.describe() == ["ready", "1 script waiting"]
    led.submit(Job("WAITS"))
    assert led.describe() == ["ready", "2 scripts waiting"]
    led.disconnects()
    assert led.describe() == ["not connected"]
    led.is_in("error", "Unable to open config file")
    assert led.describe() == ["not ready (error: Unable to open config file)"]


@pytest.mark.parametrize(
    ("endpoint", "params", "expected"),
    [
        ("info", {}, False),
        ("objects/subscribe", {}, True),
        ("gcode/subscribe_output", {}, True),
        ("register_remote_method", {}, True),
        ("adxl345/dump_adxl345", {}, True),
        ("bed_mesh/dump_mesh", {}, False),
        ("anything", {"response_template": {}}, True),
    ],
)
def test_streaming_endpoints(endpoint, params, expected):
    assert is_stream(endpoint, params) is expected
