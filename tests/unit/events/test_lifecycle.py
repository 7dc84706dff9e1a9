"""Which macros run on whom when a printer connects, is ready, shuts down or is lost."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.events.lifecycle import Lifecycle
from klippy_extras.router.klippy.timers import MAX_TIMERS_TIME, Timers
from tests.unit.fake_printer import FakePrinter
from tests.unit.fake_reactor import FakeReactor

MACROS = (
    "ROUTER_ON_READY",
    "ROUTER_ON_CONNECTED",
    "ROUTER_ON_DISCONNECTED",
    "ROUTER_ON_SHUTDOWN",
)


class Trio:
    def __init__(self, **on_connect):
        self.main, self.led, self.afc = map(FakePrinter, ("main", "led", "afc"))
        self.reactor = FakeReactor()
        self.all = [self.main, self.led, self.afc]
        scripts = {printer: on_connect.get(printer.name, "") for printer in self.all}
        self.lifecycle = Lifecycle(self.all, scripts, Timers(self.reactor))
        for printer in self.all:
            printer.listeners.append(self.lifecycle)

    def take(self):
        """What each has been sent since the last call, by its first letter."""
        return {printer.name: printer.take_sent() for printer in self.all if printer.sent}


@pytest.fixture
def trio():
    return Trio()


def connected(name):
    return f"ROUTER_ON_CONNECTED PRINTER='{name}'"


def disconnected(name, reason):
    return f"ROUTER_ON_DISCONNECTED PRINTER='{name}' REASON='{reason}'"


def test_each_printer_is_notified_of_each_other_once(trio):
    trio.main.connects(*MACROS)
    assert trio.take() == {"main": ["ROUTER_ON_READY"]}
    trio.led.connects(*MACROS)
    assert trio.take() == {
        "main": [connected("led")],
        "led": ["ROUTER_ON_READY", connected("main")],
    }
    trio.afc.connects(*MACROS)
    assert trio.take() == {
        "main": [connected("afc")],
        "led": [connected("afc")],
        "afc": ["ROUTER_ON_READY", connected("main"), connected("led")],
    }


def test_on_connect_runs_first_whenever_the_printer_becomes_ready():
    trio = Trio(led="SET_LED\nM118 hi")
    for _ in range(2):
        trio.led.connects(*MACROS)
        assert trio.take() == {"led": ["SET_LED\nM118 hi", "ROUTER_ON_READY"]}
        trio.led.disconnects()


def test_only_macros_that_exist_are_run(trio):
    trio.main.connects()
    trio.led.connects("ROUTER_ON_READY")
    trio.afc.connects("ROUTER_ON_CONNECTED")
    assert trio.take() == {
        "led": ["ROUTER_ON_READY"],
        "afc": [connected("main"), connected("led")],
    }


@pytest.mark.parametrize("reason", ["disconnected", "timeout", "shutdown"])
def test_a_loss_is_reported_to_those_notified_of_the_connection(trio, reason):
    for printer in trio.all:
        printer.connects(*MACROS)
    trio.take()
    trio.lifecycle.lost(trio.led, reason)
    assert trio.take() == {name: [disconnected("led", reason)] for name in ("main", "afc")}
    trio.lifecycle.lost(trio.led, reason)
    assert trio.take() == {}


def test_a_short_loss_that_was_not_reported_is_not_a_new_connection(trio):
    for printer in (trio.main, trio.led):
        printer.connects(*MACROS)
    trio.take()
    trio.led.disconnects()
    trio.led.connects(*MACROS)
    # Only the one that was lost is notified again
    assert trio.take() == {"led": ["ROUTER_ON_READY", connected("main")]}


def test_after_a_loss_it_connects_again(trio):
    for printer in (trio.main, trio.led):
        printer.connects(*MACROS)
    trio.led.disconnects()
    trio.lifecycle.lost(trio.led, "timeout")
    trio.take()
    assert trio.lifecycle.was_notified_of_loss(trio.main, trio.led)
    trio.led.connects(*MACROS)
    assert trio.take()["main"] == [connected("led")]
    assert not trio.lifecycle.was_notified_of_loss(trio.main, trio.led)


def test_a_printer_that_was_not_ready_during_a_loss_is_not_notified_of_it(trio):
    for printer in trio.all:
        printer.connects(*MACROS)
    trio.main.is_in("shutdown", "M112")
    trio.led.disconnects()
    trio.take()
    trio.lifecycle.lost(trio.led, "timeout")
    assert trio.take() == {"afc": [disconnected("led", "timeout")]}
    trio.main.connects(*MACROS)
    assert trio.take()["main"] == ["ROUTER_ON_READY", connected("afc")]


def test_a_shutdown_is_reported_with_its_first_line(trio):
    for printer in trio.all:
        printer.connects(*MACROS)
    trio.take()
    trio.led.shuts_down("\nMCU 'mcu' shutdown: Timer too close\nOnce the underlying")
    sent = trio.take()
    assert set(sent) == {"main", "afc"}
    for (script,) in sent.values():
        assert script.startswith("ROUTER_ON_SHUTDOWN PRINTER='led' MESSAGE=")
        assert script.endswith("shutdown: Timer too close'")


def test_a_loss_script_is_written_once_and_only_for_those_with_the_macro(trio):
    trio.main.connects(*MACROS)
    trio.led.connects(*MACROS)
    trio.afc.connects("ROUTER_ON_READY")
    loss_script = trio.lifecycle.loss_script
    assert loss_script(trio.led, trio.main, "restart") == disconnected("main", "restart")
    assert loss_script(trio.led, trio.main, "restart") == ""
    assert loss_script(trio.afc, trio.main, "restart") == ""
    assert trio.lifecycle.was_notified_of_loss(trio.afc, trio.main)


def test_a_macro_that_was_not_run_is_logged(trio):
    trio.main.connects(*MACROS)
    trio.main.disconnects()
    assert trio.main.logged == ["did not run a macro: main is not connected"]


def test_a_full_queue_is_logged_too(trio):
    trio.main.connects(*MACROS)
    for _ in range(300):
        trio.led.connects(*MACROS)
        trio.lifecycle.lost(trio.led, "timeout")
        trio.led.disconnects()
    assert any("is busy" in line for line in trio.main.logged)


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["up", "down", "lost"])), max_size=25))
def test_connected_and_disconnected_alternate_for_whoever_stays_ready(steps):
    """However printers connect and disconnect, no printer is notified twice of the same."""
    trio = Trio()
    told = {}
    for number, step in steps:
        printer = trio.all[number]
        if step == "up":
            printer.connects(*MACROS)
        elif step == "down":
            printer.disconnects()
        elif not printer.ready:
            trio.lifecycle.lost(printer, "timeout")
        for name, sent in trio.take().items():
            for script in sent:
                macro, _, rest = script.partition(" ")
                if macro == "ROUTER_ON_READY":
                    told[name] = {}
                    continue
                other = rest.split("'")[1]
                assert told[name].get(other, "ROUTER_ON_DISCONNECTED") != macro
                told[name][other] = macro
        for one in trio.all:
            for other in trio.all:
                if one.ready and other.ready and one is not other:
                    assert told[one.name][other.name] == "ROUTER_ON_CONNECTED"


def test_a_crowd_is_notified_in_turn_and_in_order(trio):
    for printer in trio.all:
        printer.connects(*MACROS)
    trio.take()
    submit = type(trio.led).submit

    def slow_submit(self, job):
        trio.reactor.now += MAX_TIMERS_TIME
        submit(self, job)

    patch = pytest.MonkeyPatch()
    patch.setattr(type(trio.led), "submit", slow_submit)
    trio.led.disconnects()
    trio.lifecycle.lost(trio.led, "disconnected")
    trio.led.connects(*MACROS)
    lost = disconnected("led", "disconnected")
    own = ["ROUTER_ON_READY", connected("main"), connected("afc")]
    assert trio.take() == {"main": [lost], "led": own}
    trio.reactor.run()
    assert trio.take() == {"main": [connected("led")], "afc": [lost, connected("led")]}
    # Of what is over before its turn came, nobody is notified
    trio.main.disconnects()
    trio.lifecycle.lost(trio.main, "disconnected")
    trio.led.disconnects()
    trio.reactor.run()
    patch.undo()
    assert connected("main") not in trio.take().get("afc", [])
