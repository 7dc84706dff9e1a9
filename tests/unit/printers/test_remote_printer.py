"""A peer as a printer: its scripts, requests and states, over a connection that a test answers."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from typing import Any, Dict, List
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.errors import Busy, LinkLost, NotReady, PeerError, RouterError
from klippy_extras.router.printers import remote_printer
from klippy_extras.router.printers.connection import Loss
from klippy_extras.router.printers.link import SocketFile
from klippy_extras.router.printers.peer_methods import PeerMethods
from klippy_extras.router.printers.printer import Follower, Job, PrinterListener
from klippy_extras.router.printers.remote_printer import (
    MAX_REQUESTS,
    SHUTDOWN_DELAY,
    RemotePrinter,
)
from klippy_extras.router.printers.session_events import (
    Answer,
    Called,
    Identified,
    Output,
    Ready,
    StateReported,
    Status,
)
from klippy_extras.router.printers.timed_script import SYNC_MACRO
from klippy_extras.router.settings import read_settings
from klippy_extras.router.version import VERSION
from tests.unit.fake_klippy import FakeConfig, Machine

PID = 77


class FakeConnection:
    """Keeps what is sent. scripts: [script, answered, began] of those without an answer."""

    def __init__(self, klippy: Any, sock: str, session: Any, owner: Any) -> None:
        self.scripts: List[Any] = []
        self.requests: List[Any] = []
        self.subscribed: Dict[str, Any] = {}
        self.socket_file: Any = SocketFile(1, 2, 3, PID)
        self.latency, self.last_failure = None, ""

    @property
    def pending(self) -> int:
        return len(self.requests)

    def request(self, method: str, params: Dict[str, Any], token: Any) -> None:
        self.requests.append((method, params, token))

    def run_script(self, script: str, token: Any, began: Any) -> None:
        self.scripts.append((script, token, began))

    def subscribe(self, objects: Any) -> None:
        self.subscribed = objects

    def subscribe_again(self) -> None:
        """Of messages that were too long."""


class Listener(PrinterListener):
    def __init__(self):
        self.seen = []

    def klippy_restarted(self, printer):
        self.seen.append("restarted")

    def became_ready(self, printer):
        self.seen.append("ready")

    def state_changed(self, printer, was_ready):
        self.seen.append(printer.state)

    def status_changed(self, printer, eventtime, status, is_snapshot):
        self.seen.append((eventtime, status, is_snapshot))


class Lines(Follower):
    """Follows a script."""

    def __init__(self):
        self.seen = []

    def sent(self):
        self.seen.append("sent")

    def began(self):
        self.seen.append("began")

    def printed(self, line):
        self.seen.append(line)

    def ended(self):
        self.seen.append("ended")


class Led(Machine):
    """This printer, and led on a fake connection."""

    def __init__(self, is_ready=True):
        super().__init__()
        config = FakeConfig(self.printer, "[router]\n[router led]\n").section("router")
        self.called, self.ends = [], []
        with mock.patch.object(remote_printer, "Connection", FakeConnection):
            self.led = RemotePrinter(
                self.klippy,
                read_settings(config, None).peers[0],
                PeerMethods(["a", "b"], []),
                self.call,
            )
        self.connection = self.led._connection
        self.listener = Listener()
        self.led.listeners.append(self.listener)
        if is_ready:
            self.connects()

    def call(self, printer, method, params):
        self.called.append((printer.name, method, params))

    def connects(self, pid=PID, commands=(), status=None):
        info = {"state": "ready", "process_id": pid, "software_version": "v0.13"}
        self.handle(
            Identified(info),
            StateReported("ready", "Printer is ready"),
            Ready(dict.fromkeys(commands), status or {}),
        )

    def handle(self, *events):
        for event in events:
            self.led.handle_event(event)

    def loses(self, unanswered=(), reason="hung up", has_timed_out=False):
        self.led.connection_lost(Loss(reason, has_timed_out, list(unanswered)))

    def done(self, name):
        return lambda result, error: self.ends.append((name, error and str(error)))

    def submit(self, script, **options):
        self.led.submit(Job(script, self.done(script), **options))

    def begins(self):
        """The script that was sent begins on the peer."""
        self.handle(Answer(self.connection.scripts[0][2], {}, None))

    def answers(self, error=None):
        """The script that runs on the peer has ended."""
        self.handle(Answer(self.connection.scripts.pop(0)[1], {}, error))


# -- scripts


@given(st.lists(st.sampled_from(["submit", "ok", "fail", "lose"]), max_size=25))
def test_one_script_is_sent_at_a_time_in_order_and_each_ends_once(steps):
    led, submitted, outcomes = Led(), [], {}
    for number, step in enumerate(steps):
        if step == "submit":
            submitted.append(f"S{number}")
            led.submit(f"S{number}")
        elif step == "lose":
            running = [token for _script, token, _began in led.connection.scripts]
            led.connection.scripts.clear()
            led.loses(running)
            led.connects()
        elif led.connection.scripts:
            outcomes[led.connection.scripts[0][0]] = step
            led.answers(RouterError("jam") if step == "fail" else None)
        assert len(led.connection.scripts) == min(1, len(submitted) - len(led.ends))
    while led.connection.scripts:
        led.answers()
    assert [name for name, _error in led.ends if name in outcomes] == list(outcomes)
    assert sorted(name for name, _error in led.ends) == sorted(submitted)
    for name, step in outcomes.items():
        assert (name, "led: jam" if step == "fail" else None) in led.ends


def test_an_unknown_command_is_an_error_though_klipper_reports_success():
    led = Led()
    led.submit("NONSENSE")
    led.begins()
    led.handle(Output('// Unknown command:"NONSENSE"'))
    led.answers()
    assert led.ends == [("NONSENSE", 'led: Unknown command:"NONSENSE"')]


def test_output_before_its_turn_belongs_to_other_scripts():
    led, lines = Led(), Lines()
    led.submit("SHOW", follower=lines)
    led.handle(Output('// Unknown command:"OTHER"'), Output("echo: other"))
    led.begins()
    led.handle(Output("echo: mine"))
    led.answers()
    led.handle(Output("echo: later"))
    assert lines.seen == ["sent", "began", "mine", "ended"]
    assert led.ends == [("SHOW", None)]


def test_a_script_that_shuts_it_down_ends_with_its_state():
    led = Led()
    led.submit("M112")
    led.begins()
    led.handle(Output("// Klipper state: Shutdown"))
    led.answers()
    assert led.ends == []
    led.handle(StateReported("shutdown", "Shutdown due to M112"))
    why = "led is not ready (shutdown: Shutdown due to M112), outcome unknown"
    expected = [("M112", why)]
    assert led.ends == expected
    led.reactor.advance(2 * SHUTDOWN_DELAY)
    assert led.ends == expected


def test_a_script_may_have_run_before_the_shutdown_is_known():
    led = Led()
    for script in ("SAY", "LATER"):
        led.submit(script)
    led.begins()
    led.handle(Output("echo: said"), StateReported("shutdown", "Lost communication"))
    led.answers()
    why = "led is not ready (shutdown: Lost communication)"
    assert sorted(led.ends) == [("LATER", why), ("SAY", f"{why}, outcome unknown")]


def test_without_a_shutdown_the_script_succeeds_after_a_while():
    led = Led()
    led.submit("SAY")
    led.begins()
    led.handle(Output("// Klipper state: Shutdown"))
    led.answers()
    led.reactor.advance(SHUTDOWN_DELAY + 0.1)
    assert led.ends == [("SAY", None)]


def test_an_abandoned_script_is_not_sent():
    class GivenUp(Lines):
        given_up = True

    led, lines = Led(), GivenUp()
    led.submit("RUNS")
    led.submit("WAITS", follower=lines)
    led.answers()
    assert led.connection.scripts == [] and lines.seen == []
    assert led.ends == [("RUNS", None), ("WAITS", None)]


def test_a_shutdown_of_the_main_printer_drops_what_waits_for_a_time_to_come():
    led = Led()
    now = led.klippy.timers.now()
    led.submit("RUNNING")
    led.submit("DUE", act_at=now - 1.0)
    led.submit("LATER", act_at=now + 0.4)
    led.submit("ANY")
    led.led.drop_timed_jobs(now)
    assert led.ends == [("LATER", "not done, because the main printer shut down first")]
    while led.connection.scripts:
        led.answers()
    assert [name for name, _error in led.ends] == ["LATER", "RUNNING", "DUE", "ANY"]


def test_the_outcome_of_a_sent_script_is_unknown_when_the_connection_is_lost():
    led = Led()
    led.submit("RUNS")
    led.submit("WAITS")
    led.loses([led.connection.scripts[0][1]])
    assert led.ends == [
        ("WAITS", "led is not connected"),
        ("RUNS", "led: connection lost, outcome unknown"),
    ]
    assert led.led.last_error == "hung up"


@pytest.mark.parametrize("state", ["shutdown", "error"])
def test_a_peer_that_is_not_ready_runs_what_klipper_accepts_then(state):
    led = Led()
    message = "MCU 'mcu' shutdown: Timer too close\nmore"
    led.handle(StateReported(state, message))
    with pytest.raises(NotReady):
        led.submit("SHOW")
    for error, expected in (
        (None, None),
        ("MCU 'mcu' shutdown: Timer too close\nmore", str(led.led.not_ready())),
        ("no such file", "led: no such file"),
    ):
        led.ends.clear()
        led.submit("RESTART", in_any_state=True)
        _method, params, token = led.connection.requests.pop()
        assert params == {"script": "RESTART"}
        led.handle(Answer(token, {}, error and PeerError(error)))
        assert led.ends == [("RESTART", expected)]


def test_nothing_is_sent_during_startup():
    led = Led()
    led.handle(StateReported("startup", "Printer is not ready"))
    with pytest.raises(NotReady):
        led.submit("RESTART", in_any_state=True)


# -- requests


def test_a_request_is_answered_or_fails_under_its_name():
    led = Led()
    led.led.call_endpoint("lanes/load", {"lane": 1}, led.done("load"))
    method, params, token = led.connection.requests[0]
    assert (method, params) == ("lanes/load", {"lane": 1})
    led.handle(Answer(token, {}, None), Answer(token, None, PeerError("jam\nM112")))
    assert led.ends == [("load", None), ("load", "led: jam M112")]
    assert led.led.last_error == "led: jam M112"


def test_the_number_of_unanswered_requests_is_limited():
    led = Led()
    for number in range(MAX_REQUESTS):
        led.led.call_endpoint("info", {}, led.done(number))
    with pytest.raises(Busy, match=f"^led is busy: {MAX_REQUESTS} requests are not answered$"):
        led.led.call_endpoint("info", {}, led.done("late"))
    led.led.emergency_stop()
    assert led.connection.requests[-1][0] == "emergency_stop"


@pytest.mark.parametrize(
    ("ask", "good", "bad"),
    [
        ("list_objects", {"objects": ["a"]}, [{}, [], {"objects": "a"}, None]),
        (
            "query_objects",
            {"eventtime": 1.0, "status": {"a": {"x": 1}}},
            [{}, {"eventtime": 1.0, "status": {"a": 1}}, {"status": []}, 5],
        ),
    ],
)
def test_a_malformed_answer_is_an_error(ask, good, bad):
    led = Led()
    for answer in [good, *bad]:
        answers = []
        arguments = [{"a": None}] if ask == "query_objects" else []
        getattr(led.led, ask)(*arguments, lambda *a, answers=answers: answers.append(a))
        led.handle(Answer(led.connection.requests.pop()[2], answer, None))
        if answer is good:
            assert answers == [(good, None)]
        else:
            assert answers[0][0] is None and isinstance(answers[0][1], PeerError)


def test_a_peer_that_is_disconnected_cannot_be_asked():
    led = Led(is_ready=False)
    with pytest.raises(NotReady, match="^led is not connected$"):
        led.led.list_objects(led.done("list"))
    led.led.emergency_stop()
    assert led.connection.requests == []


# -- its state


def test_it_is_ready_when_all_preparing_requests_are_answered():
    led = Led(is_ready=False)
    led.handle(Identified({"state": "ready", "process_id": PID}))
    led.handle(StateReported("ready", "Printer is ready"))
    assert (led.led.connected, led.led.ready) == (True, False)
    led.handle(Ready({"SHOW": "A macro"}, {"gcode_macro _ROUTER": {"version": VERSION}}))
    assert led.listener.seen == ["restarted", "ready", "ready"]
    assert led.led.commands == {"SHOW": "A macro"} and led.led.include_version == VERSION
    assert led.led.old_parser  # in doubt
    led.handle(Ready({}, {"idle_timeout": {"idle_timeout": 600.0}}))
    assert not led.led.old_parser and led.led.include_version is None


def test_a_connection_that_is_lost_is_no_restart_of_its_klippy():
    led = Led()
    led.listener.seen.clear()
    led.loses(has_timed_out=True)
    assert led.led.loss_reason == "timeout"
    led.connects()
    assert "restarted" not in led.listener.seen and led.led.reconnects == 1
    led.loses()
    assert led.led.loss_reason == "disconnected"
    led.connection.socket_file = SocketFile(1, 2, 4, PID)  # made again
    led.connects()
    assert led.listener.seen.count("restarted") == 1


def test_behind_a_tunnel_every_connection_may_be_a_restart():
    led = Led()
    for _ in range(2):
        led.loses()
        led.connects(pid=PID + 1)
    assert led.listener.seen.count("restarted") == 3
    assert (led.led.listening_pid, led.led.klippy_pid) == (PID, PID + 1)


def test_a_state_of_the_same_name_with_another_message():
    led = Led()
    led.handle(StateReported("shutdown", "first"))
    led.handle(StateReported(None, "second\x00 line"))
    assert (led.led.state, led.led.state_message) == ("shutdown", "second\x00 line")
    assert led.listener.seen.count("shutdown") == 1


def test_its_calls_and_status_updates_are_passed_on():
    led = Led()
    led.handle(Called("router/x", {"a": 1}), Status(5.0, {"fan": {"speed": 1.0}}, True))
    assert led.called == [("led", "router/x", {"a": 1})] and led.led.calls == 1
    assert led.listener.seen[-1] == (5.0, {"fan": {"speed": 1.0}}, True)
    led.led.subscribe_objects({"fan": None})
    assert led.connection.subscribed == {"fan": None}


def test_an_exception_of_an_answer_callback_is_contained(caplog):
    led = Led()
    led.led.call_endpoint("info", {}, lambda result, error: 1 / 0)
    led.handle(Answer(led.connection.requests[0][2], {}, None))
    led.loses([lambda result, error: 1 / 0, led.done("other")])
    assert led.ends == [("other", str(LinkLost("led: connection lost, outcome unknown")))]
    assert caplog.text.count("ZeroDivisionError") == 2


def test_it_describes_its_connection():
    led = Led()
    led.connection.latency = 0.0012
    led.loses()
    led.connects()
    assert led.led.describe() == ["ready", "round trip 1.2 ms", "1 reconnect"]
    led.loses()
    led.connection.latency, led.connection.last_failure = None, "No such file or directory"
    assert led.led.describe() == ["not connected", "No such file or directory", "1 reconnect"]


@pytest.mark.parametrize("is_requested", [True, False])
@pytest.mark.parametrize("is_tunnel", [True, False])
@pytest.mark.parametrize("eventtime", [0.0, 5000.0])
def test_a_clock_that_is_not_this_machines_is_said_once(eventtime, is_tunnel, is_requested):
    led = Led(is_ready=False)
    led.connects(pid=PID + is_tunnel, commands=[SYNC_MACRO])
    for _ in range(2):
        led.led.expect_timed_jobs(is_requested)
        for _method, _objects, answered in led.connection.requests:
            result = {
                "eventtime": led.klippy.timers.now() + eventtime,
                "status": {"toolhead": {"estimated_print_time": 1.0}},
            }
            led.handle(Answer(answered, result, None))
        led.connection.requests.clear()
    said = [line for line in led.console if "SYNC=1" in line]
    assert led.led.can_act_at_a_time is (eventtime == 0.0)
    if not (eventtime and is_tunnel and is_requested):
        assert said == []
        return
    (line,) = said
    assert line.endswith("it runs on another machine, whose clock is not known here")
