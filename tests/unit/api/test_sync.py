"""SYNC=1: scripts are sent when the toolhead reaches their move, in order, without stopping it."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.fake_klippy import CommandError
from tests.unit.fake_router import Network

SYNC = "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='SHOW N={}' SYNC=1"


class Toolhead:
    """Moves that are planned at once, or only when it is flushed; print time is reactor time."""

    def __init__(self, network):
        self.reactor = network.reactor
        self.end = 0.0  # of what is planned
        self.waiting = []  # lookahead callbacks, behind moves of so many seconds
        self.takes = []  # seconds that the next looks at the print time take
        self.errors = []  # of the next estimates of the print time, in seconds
        network.printer.objects.update(toolhead=self, mcu=self)

    def get_status(self, eventtime):
        return {}

    def check_busy(self, eventtime):
        return self.end, eventtime, not self.waiting

    def estimated_print_time(self, eventtime):
        self.reactor.now += self.takes.pop(0) if self.takes else 0.0
        return eventtime + (self.errors.pop(0) if self.errors else 0.0)

    def register_lookahead_callback(self, callback):
        self.waiting.append(callback)

    def move(self, seconds):
        """Add a move that is not planned yet."""
        self.waiting.append(seconds)

    def flush(self):
        """Plan all moves."""
        waiting, self.waiting = self.waiting, []
        self.end = max(self.end, self.reactor.now)
        for one in waiting:
            if callable(one):
                one(self.end)
            else:
                self.end += one


@pytest.fixture
def network():
    network = Network()
    network.toolhead = Toolhead(network)
    return network


def test_a_script_is_sent_when_the_toolhead_reaches_its_move(network):
    network.toolhead.move(2.0)
    network.run(SYNC.format(1))
    network.toolhead.move(3.0)
    network.run(SYNC.format(2))
    network.reactor.advance(1.0)
    assert network.led.sent == []
    network.toolhead.flush()
    network.reactor.advance(1.99)
    assert network.led.sent == []
    network.reactor.advance(0.02)
    assert network.led.take_sent() == ["SHOW N=1"]
    network.reactor.advance(3.0)
    assert network.led.take_sent() == ["SHOW N=2"]


def test_an_idle_toolhead_is_not_woken(network):
    network.run(SYNC.format(1))
    network.reactor.run()
    assert network.toolhead.waiting == [] and network.led.take_sent() == ["SHOW N=1"]


def test_planned_moves_are_waited_for(network):
    network.toolhead.end = network.reactor.now + 5.0
    network.run(SYNC.format(1))
    network.reactor.advance(4.9)
    assert network.led.sent == []
    network.reactor.advance(0.2)
    assert network.led.sent == ["SHOW N=1"]


@given(
    st.lists(
        st.one_of(st.just("sync"), st.just("flush"), st.floats(0.0, 2.0), st.just("wait")),
        max_size=20,
    )
)
def test_scripts_are_sent_in_order_each_once_and_never_early(steps):
    network = Network("[router]\n[router led]\n")
    toolhead = network.toolhead = Toolhead(network)
    due, sent, number = {}, [], 0

    def look():
        for script in network.led.take_sent():
            sent.append(script)
            assert network.reactor.now >= due[script] - 1e-6

    for step in steps:
        if step == "sync":
            number += 1
            planned = max(toolhead.end, network.reactor.now)
            moves = sum(move for move in toolhead.waiting if not callable(move))
            due[f"SHOW N={number}"] = planned + moves if toolhead.waiting else toolhead.end
            network.run(SYNC.format(number))
        elif step == "flush":
            toolhead.flush()
        elif step == "wait":
            network.reactor.advance(0.5)
        else:
            toolhead.move(step)
        look()
    toolhead.flush()
    network.reactor.advance(100.0)
    look()
    assert sent == [f"SHOW N={n + 1}" for n in range(number)]


@pytest.mark.parametrize(("takes", "errors"), [([0.001], []), ([], [0.0, 0.5]), ([], [0.0, -0.5])])
def test_scripts_stay_in_order_when_their_times_are_not_exact(network, takes, errors):
    network.toolhead.takes, network.toolhead.errors = takes, errors
    network.toolhead.move(2.0)
    for number in range(3):
        network.run(SYNC.format(number))
    network.toolhead.flush()
    network.reactor.advance(1.99)
    assert network.led.sent == []
    network.reactor.advance(1.0)
    assert network.led.take_sent() == [f"SHOW N={number}" for number in range(3)]


def test_a_shutdown_drops_what_is_not_due_and_reports_it(network):
    network.toolhead.move(2.0)
    network.run(SYNC.format(1))
    network.run("ROUTER_EVENT_TRIGGER EVENT=fed SYNC=1")
    network.toolhead.flush()
    network.take_console()
    network.shuts_down()
    network.reactor.advance(10.0)
    assert network.led.sent == []
    assert [line for line in network.take_console() if "not done" in line] == [
        "// Router: not done, because the printer shut down first: " + SYNC.format(1),
        "// Router: not done, because the printer shut down first:"
        " ROUTER_EVENT_TRIGGER EVENT=fed SYNC=1",
    ]


def test_events_can_be_synced_too(network):
    network.led.call_router("router/event/subscribe", event="fed", gcode="ON_FED")
    network.toolhead.move(2.0)
    network.run("ROUTER_EVENT_TRIGGER EVENT=fed LANE=2 SYNC=1")
    network.toolhead.flush()
    network.reactor.advance(1.9)
    assert network.led.sent == []
    network.reactor.advance(0.2)
    assert network.led.sent == ["ON_FED LANE='2'"]


def test_a_typo_is_an_error_at_once_and_a_later_failure_is_reported(network):
    with pytest.raises(CommandError, match="Unknown printer 'no'"):
        network.run("ROUTER_GCODE_SCRIPT TARGET=no SCRIPT=SHOW SYNC=1")
    network.toolhead.move(2.0)
    network.run(SYNC.format(1))
    network.toolhead.flush()
    network.led.disconnects()
    network.take_console()
    network.reactor.advance(3.0)
    assert network.take_console() == ["// Router: led is not connected"]


# -- ahead of time, for peers that can act at a time


def test_a_script_is_sent_half_a_second_ahead_with_its_time(network):
    network.led.acts_at_a_time = True
    network.toolhead.move(2.0)
    network.run(SYNC.format(1))
    network.toolhead.flush()
    due = network.reactor.now + 2.0
    network.reactor.advance(1.49)
    assert network.led.sent == []
    network.reactor.advance(0.02)
    assert network.led.take_sent() == ["SHOW N=1"]
    assert network.led.times == [pytest.approx(due)]
    network.reactor.advance(1.0)
    assert network.led.sent == []


def test_a_peer_whose_clock_becomes_known_late_is_tried_again(network):
    network.toolhead.move(2.0)
    network.run(SYNC.format(1))
    network.toolhead.flush()
    network.reactor.advance(1.6)
    network.led.acts_at_a_time = True
    network.reactor.advance(0.11)
    assert network.led.take_sent() == ["SHOW N=1"]


def test_the_clock_of_a_peer_is_read_again_before_a_command_behind_a_long_move(network):
    expected = []
    network.led.expect_timed_jobs = lambda _is_requested: expected.append(network.reactor.now)
    network.toolhead.move(20.0)
    network.run(SYNC.format(1))
    network.toolhead.flush()
    due = network.reactor.now + 20.0
    network.reactor.advance(21.0)
    assert len(expected) == 2
    assert expected[1] == pytest.approx(due - 1.0)


def test_without_moves_there_is_no_time(network):
    network.led.acts_at_a_time = True
    network.run(SYNC.format(1))
    network.reactor.run()
    assert network.led.take_sent() == ["SHOW N=1"] and network.led.times == [None]


def test_each_printer_of_a_list_gets_it_when_it_needs_it(network):
    network.led.acts_at_a_time = True
    network.toolhead.move(2.0)
    network.run("ROUTER_GCODE_SCRIPT TARGET=led,afc SCRIPT=SHOW SYNC=1")
    network.toolhead.flush()
    network.reactor.advance(1.6)
    assert (network.led.take_sent(), network.afc.take_sent()) == (["SHOW"], [])
    network.reactor.advance(0.5)
    assert (network.led.take_sent(), network.afc.take_sent()) == ([], ["SHOW"])


@pytest.mark.parametrize("others", ["", "afc", "main"])
def test_an_event_is_triggered_ahead_if_all_its_handlers_can_act_at_a_time(network, others):
    network.led.acts_at_a_time = True
    network.led.call_router("router/event/subscribe", event="fed", gcode="ON_FED")
    if others:
        network.led.call_router(
            "router/event/subscribe", event="fed", gcode="SHOW", callback_target=others
        )
    network.toolhead.move(2.0)
    network.run("ROUTER_EVENT_TRIGGER EVENT=fed SYNC=1")
    network.toolhead.flush()
    due = network.reactor.now + 2.0
    network.reactor.advance(1.9)
    assert network.led.take_sent() == ([] if others else ["ON_FED"])
    network.reactor.advance(0.2)
    assert network.led.take_sent() == (["ON_FED"] if others else [])
    assert network.led.times == ([None] if others else [pytest.approx(due)])


def test_a_shutdown_drops_what_was_not_sent_yet(network):
    network.led.acts_at_a_time = True
    network.toolhead.move(2.0)
    network.run(SYNC.format(1))
    network.toolhead.move(1.0)
    network.run(SYNC.format(2))
    network.toolhead.flush()
    network.reactor.advance(1.6)
    network.take_console()
    network.shuts_down()
    network.reactor.advance(10.0)
    assert network.led.take_sent() == ["SHOW N=1"]
    assert network.take_console()[0].endswith(SYNC.format(2))


# -- without SYNC nothing of it runs


def test_without_sync_the_toolhead_is_not_asked_and_no_clock_is_read(network):
    asked = []
    for name in ("check_busy", "estimated_print_time", "register_lookahead_callback"):
        setattr(network.toolhead, name, lambda *_args, name=name: asked.append(name))
    network.led.expect_timed_jobs = lambda _is_requested: asked.append("clock")
    network.led.call_router("router/event/subscribe", event="fed", gcode="ON_FED")
    network.toolhead.move(2.0)
    timers = len(network.router._klippy.timers._heap)
    network.run("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=SHOW")
    network.run("ROUTER_EVENT_TRIGGER EVENT=fed")
    assert len(network.router._klippy.timers._heap) == timers
    network.reactor.advance(10.0)
    assert network.led.take_sent() == ["SHOW", "ON_FED"]
    assert network.led.times == [None, None] and network.led.queries == []
    assert asked == []
