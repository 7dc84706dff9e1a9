"""This printer: its scripts, endpoints and status, on a fake Klippy."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from klippy_extras.router.errors import Busy, NotReady, RouterError, UsageError
from klippy_extras.router.klippy.runners import MAX_RUN_TIME
from klippy_extras.router.printers.local_printer import (
    MAX_CALLS,
    MAX_RUNNERS,
    STARTUP_INTERVAL,
    LocalPrinter,
)
from klippy_extras.router.printers.printer import Follower, Job, Order, PrinterListener
from tests.unit.fake_klippy import FakeObject, Machine

INTERVAL = 0.25


class Main(Machine):
    """A machine with the router's printer on it, which has a command for every test."""

    def __init__(self):
        super().__init__()
        self.ends = []
        self.command("FAIL", self.fail)
        for name in ("SHOW", "OTHER"):
            self.command(name)
        self.local = LocalPrinter(self.klippy, "main", INTERVAL)
        self.local.start()

    def done(self, name):
        return lambda result, error: self.ends.append((name, error and str(error)))

    def submit(self, script, name=None, order=Order.IN_TURN):
        self.local.submit(Job(script, self.done(name or script), order=order))


@pytest.fixture
def main():
    return Main()


# -- the state of Klippy


class States(PrinterListener):
    def __init__(self):
        self.seen = []

    def became_ready(self, printer):
        self.seen.append("ready")

    def state_changed(self, printer, was_ready):
        self.seen.append(printer.state)


def test_the_state_is_that_of_klippy():
    machine, states = Machine(), States()
    machine.state("startup", "Printer is not ready")
    local = LocalPrinter(machine.klippy, "main", INTERVAL)
    local.listeners.append(states)
    local.start()
    # Klippy sends no event when it could not start
    machine.state("error", "Unable to connect")
    machine.reactor.advance(STARTUP_INTERVAL)
    assert states.seen == ["startup", "error"]
    assert (local.state_message, local.ready, local.connected) == ("Unable to connect", False, True)
    machine.command("SHOW")
    machine.state("ready")
    machine.reactor.advance(10 * STARTUP_INTERVAL)
    assert states.seen == ["startup", "error"]  # from here on events say it
    local.update_state()
    assert states.seen[2:] == ["ready"]
    assert list(local.commands) == ["SHOW"]


# -- scripts


@given(
    st.lists(
        st.tuples(st.sampled_from(["in turn", "first", "status", "fails", "turn"])), max_size=20
    )
)
def test_each_script_ends_exactly_once_in_its_order(steps):
    main, expected = Main(), {"in turn": [], "status": []}
    for number, (step,) in enumerate(steps):
        if step == "turn":
            main.reactor.run()
        elif step == "first":
            main.submit(f"SHOW F={number}", order=Order.FIRST)
        elif step == "status":
            main.submit(f"SHOW S={number}", order=Order.STATUS)
            expected["status"].append(f"SHOW S={number}")
        else:
            script = f"{'FAIL' if step == 'fails' else 'SHOW'} N={number}"
            main.submit(script)
            expected["in turn"].append(script)
    main.reactor.advance(2 * INTERVAL)
    assert sorted(main.gcode.ran) == sorted(name for name, _error in main.ends)
    assert len(main.ends) == len([step for (step,) in steps if step != "turn"])
    assert [line for line in main.gcode.ran if " N=" in line] == expected["in turn"]
    assert [line for line in main.gcode.ran if " S=" in line] == expected["status"]
    assert all(error == ("main: broken here" if "FAIL" in n else None) for n, error in main.ends)


def test_a_script_runs_in_its_own_callback_and_not_inside_submit(main):
    main.submit("SHOW")
    assert main.gcode.ran == []
    main.reactor.run()
    assert main.gcode.ran == ["SHOW"] and main.ends == [("SHOW", None)]


def test_a_script_waits_for_whoever_runs_gcode(main):
    main.reactor.at(1.0, lambda: main.submit("SHOW"))
    main.reactor.at(5.0, lambda: main.gcode.run_script("OTHER"))
    with main.klippy.gcode_mutex:
        main.reactor.pause(main.reactor.now + 0.5)
        assert main.gcode.ran == []
    main.reactor.advance(5.0)
    assert main.gcode.ran == ["SHOW", "OTHER"]


def test_a_priority_script_runs_before_queued_ones(main):
    for name in ("SHOW A=1", "SHOW A=2"):
        main.submit(name)
    main.submit("OTHER", order=Order.FIRST)
    main.reactor.run()
    assert main.gcode.ran == ["OTHER", "SHOW A=1", "SHOW A=2"]


def test_an_unknown_command_is_an_error_though_klipper_goes_on(main):
    main.submit("SHOW\nNONSENSE\nOTHER", "script")
    main.submit("SHOW", "next")
    main.reactor.run()
    assert main.gcode.ran == ["SHOW", "NONSENSE", "OTHER", "SHOW"]
    assert main.ends == [("script", 'main: Unknown command:"NONSENSE"'), ("next", None)]


def test_a_failure_ends_its_script_and_no_other(main):
    main.submit("SHOW A=1\nFAIL\nSHOW A=2", "script")
    main.submit("OTHER", "next")
    main.reactor.run()
    assert main.gcode.ran == ["SHOW A=1", "FAIL", "OTHER"]
    assert main.ends == [("script", "main: broken here"), ("next", None)]


def test_an_exception_of_the_end_callback_is_contained(main, caplog):
    main.local.submit(Job("SHOW", lambda result, error: 1 / 0))
    main.submit("OTHER")
    main.reactor.run()
    assert main.ends == [("OTHER", None)]
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UsageError("needs a value for {x}"), "needs a value for {x}"),
        (RouterError("not now"), "main: not now"),
        (KeyError("x"), "internal error of the router: 'x'"),
    ],
)
def test_a_script_that_cannot_be_rendered_is_an_error(main, error, expected):
    def write():
        raise error

    main.submit(write, "script")
    main.submit("SHOW")
    main.reactor.run()
    assert main.ends == [("script", expected), ("SHOW", None)]


def test_an_empty_script_succeeds(main):
    main.submit(lambda: "", "nothing")
    main.reactor.run()
    assert main.ends == [("nothing", None)] and main.gcode.ran == []


def test_a_script_that_shuts_the_printer_down_has_failed(main):
    def shut_down(gcmd):
        main.state("shutdown", "Shutdown due to M112")
        main.local.update_state()

    main.command("HALT", shut_down)
    main.submit("HALT")
    main.submit("SHOW", "waits")
    main.reactor.run()
    why = "main is not ready (shutdown: Shutdown due to M112)"
    assert main.ends == [("waits", why), ("HALT", why)]
    assert main.gcode.ran == ["HALT"]
    with pytest.raises(NotReady):
        main.submit("SHOW")


def test_a_long_queue_does_not_starve_the_reactor(main):
    turns = []

    def take_time(gcmd):
        main.reactor.now += MAX_RUN_TIME / 3

    def look(eventtime):
        turns.append((len(main.gcode.ran), main.klippy.gcode_mutex.test()))
        return eventtime + 0.0001

    main.command("WORK", take_time)
    main.reactor.register_timer(look, main.reactor.NOW)
    for _ in range(12):
        main.submit("WORK")
    main.reactor.advance(0.1)
    assert len(main.ends) == 12
    seen = [ran for ran, is_held in turns if 0 < ran < 12]
    assert sorted(set(seen)) == [3, 6, 9]
    assert not any(is_held for _ran, is_held in turns)


class Stages(Follower):
    def __init__(self, seen):
        self.seen = seen

    def sent(self):
        self.seen.append("sent")

    def began(self):
        self.seen.append("began")

    def ended(self):
        self.seen.append("ended")


def test_the_script_of_a_macro_that_waits_runs_in_place(main):
    """It holds the mutex: queued behind others that wait for it, it would wait forever."""
    main.submit("OTHER")
    stages = []
    with main.klippy.gcode_mutex:
        main.local.submit(
            Job("SHOW", lambda r, error: stages.append(("done", error)), Stages(stages))
        )
        assert stages == ["sent", "began", ("done", None), "ended"]
        assert main.gcode.ran == ["SHOW"]
    main.reactor.run()
    assert main.gcode.ran == ["SHOW", "OTHER"]


def test_status_callbacks_run_together_and_no_more_often_than_the_status_is_read(main):
    holds = []
    main.command("NOTE", lambda gcmd: holds.append(main.reactor.now))
    for number in range(3):
        main.submit(f"NOTE N={number}", order=Order.STATUS)
    main.reactor.advance(0.0)
    begin = main.reactor.now
    assert holds == [begin] * 3
    for number in range(3):
        main.reactor.advance(INTERVAL / 10)
        main.submit(f"NOTE M={number}", order=Order.STATUS)
    main.reactor.advance(INTERVAL * 0.6)
    assert len(holds) == 3
    main.reactor.advance(INTERVAL)
    assert holds[3:] == [pytest.approx(begin + INTERVAL)] * 3
    assert [line.split()[1] for line in main.gcode.ran[3:]] == ["M=0", "M=1", "M=2"]


def test_status_callbacks_that_wait_do_not_hold_up_other_scripts(main):
    main.submit("SHOW S=1", order=Order.STATUS)
    main.reactor.run()
    main.submit("SHOW S=2", order=Order.STATUS)
    main.submit("OTHER")
    main.reactor.run()
    assert main.gcode.ran == ["SHOW S=1", "OTHER"]


def test_status_callbacks_fail_with_the_others_when_it_shuts_down(main):
    main.submit("SHOW S=1", order=Order.STATUS)
    main.reactor.run()
    main.submit("SHOW S=2", order=Order.STATUS)
    main.state("shutdown", "gone")
    main.local.update_state()
    main.reactor.advance(1.0)
    assert main.ends == [("SHOW S=1", None), ("SHOW S=2", "main is not ready (shutdown: gone)")]
    with pytest.raises(NotReady):
        main.submit("SHOW S=3", order=Order.STATUS)


def test_nothing_runs_after_stop(main):
    main.printer.objects["fan"] = FakeObject(speed=0.5)
    main.local.subscribe_objects({"fan": None})
    main.submit("SHOW S=1", order=Order.STATUS)
    main.submit("SHOW")
    main.local.stop()
    main.reactor.advance(10.0)
    assert main.gcode.ran == []


# -- endpoints and objects


def test_an_endpoint_returns_a_result_or_an_error_with_this_printers_name(main):
    main.webhooks.register_endpoint("good", lambda request: request.send({"a": 1}))

    def bad(request):
        raise request.error("no such thing")

    def broken(request):
        raise KeyError("x")

    main.webhooks.register_endpoint("bad", bad)
    main.webhooks.register_endpoint("broken", broken)
    answers = []
    for name in ("good", "bad", "broken", "missing"):
        main.local.call_endpoint(name, {}, lambda *answer: answers.append(answer))
    assert answers == []
    main.reactor.run()
    assert answers[0] == ({"a": 1}, None)
    assert [str(error) for _result, error in answers[1:]] == [
        "main: no such thing",
        "main: endpoint 'broken' failed: 'x'",
        "main: webhooks: No registered callback for path 'missing'",
    ]


def sleeper(main, running):
    """An endpoint that takes a second; notes how many of them run at a time."""

    def sleep(request):
        running.append(request.get("number"))
        main.reactor.pause(main.reactor.now + 1.0)
        running.append(-request.get("number"))

    return sleep


def most_at_once(running):
    count = most = 0
    for number in running:
        count += 1 if number > 0 else -1
        most = max(most, count)
    return most


def test_a_limited_number_of_endpoints_run_at_a_time_and_all_are_called(main):
    running = []
    main.webhooks.register_endpoint("slow", sleeper(main, running))
    for number in range(1, 11):
        call = partial(main.local.call_endpoint, "slow", {"number": number}, main.done(number))
        main.reactor.at(number * 0.01, call)
    main.reactor.advance(20.0)
    assert most_at_once(running) == MAX_RUNNERS
    assert sorted(number for number in running if number > 0) == list(range(1, 11))
    assert sorted(main.ends) == [(number, None) for number in range(1, 11)]


def test_endpoints_that_run_gcode_are_called_one_by_one_in_order_beside_the_others(main):
    running, other = [], []
    main.webhooks.register_endpoint("gcode/script", sleeper(main, running))
    main.webhooks.register_endpoint("info", lambda request: other.append(main.reactor.now))
    begin = main.reactor.now
    for number in range(1, 5):
        main.local.call_endpoint("gcode/script", {"number": number}, main.done(number))
    main.local.call_endpoint("info", {}, main.done("info"))
    main.reactor.advance(20.0)
    assert running == [1, -1, 2, -2, 3, -3, 4, -4]
    assert other == [begin]


def test_too_many_calls_are_refused_but_an_emergency_stop_is_not(main):
    stopped = []
    main.webhooks.register_endpoint("info", lambda request: None)
    main.webhooks.register_endpoint("emergency_stop", lambda request: stopped.append(1))
    for number in range(MAX_CALLS):
        main.local.call_endpoint("info", {}, main.done(number))
    with pytest.raises(Busy, match=f"^main is busy: {MAX_CALLS} calls are waiting for it$"):
        main.local.call_endpoint("info", {}, main.done("late"))
    main.local.call_endpoint("emergency_stop", {}, main.done("stop"))
    main.reactor.run()
    assert stopped == [1]
    assert len(main.ends) == MAX_CALLS + 1


def test_objects_are_listed_and_queried_at_once(main):
    main.printer.objects.update(fan=FakeObject(speed=0.5, rpm=None), mutex=object())
    answers = []
    main.local.list_objects(lambda *answer: answers.append(answer))
    main.local.query_objects({"fan": ["speed", "x"], "no": None}, lambda *a: answers.append(a))
    listed, queried = answers
    assert listed == ({"objects": ["fan"]}, None)
    assert queried == (
        {"eventtime": main.reactor.now, "status": {"fan": {"speed": 0.5, "x": None}, "no": {}}},
        None,
    )


def test_listeners_get_the_subscribed_status(main):
    main.printer.objects["fan"] = FakeObject(speed=0.5, rpm=7)
    seen = []

    class Listener(PrinterListener):
        def status_changed(self, printer, eventtime, status, is_snapshot):
            seen.append((printer.name, eventtime, status, is_snapshot))

    main.local.listeners.append(Listener())
    main.local.subscribe_objects({"fan": ["speed"]})
    main.reactor.run()
    assert seen == [("main", main.reactor.now, {"fan": {"speed": 0.5}}, True)]
