"""Two printers with a router each: events, lifecycle, waits, and the end of either."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab.api import ApiError
from tests.lab.waiting import wait_until
from tests.system.findings import findings, not_ok
from tests.system.macros import (
    LIFECYCLE,
    check_log,
    fresh,
    remote_call,
    shown,
    wait_known,
    wait_shown,
)
from tests.system.two_routers import HANDLER, start_routers

pytestmark = pytest.mark.pairs
TRIGGER = "router/event/trigger"


@pytest.fixture(scope="module")
def two(shared_lab):
    """left and right; left calls right `b`, right calls left `a`."""
    two = start_routers(shared_lab, (shared_lab.kind, shared_lab.peer_kind))
    subscribe(*two)
    yield two
    for printer in two:
        check_log(printer)


def subscribe(*printers):
    for printer in printers:
        for event in ("shared/news", "shared/cross"):
            printer.script(f"ROUTER_EVENT_SUBSCRIBE EVENT={event} GCODE={HANDLER}")


def settle(left, right):
    """Wait until each has received what the other one has sent."""
    for printer, other in ((left, "b"), (right, "a")):
        printer.script(f"ROUTER_GCODE_SCRIPT TARGET={other} SCRIPT=M400 WAIT=1")
    for printer in (left, right):
        printer.script("M400")


def wait_exchange(left, right):
    """Wait until an event of each reaches the other."""
    wait_known(left, "b")
    wait_known(right, "a")
    for printer, other, name in ((left, right, "a"), (right, left, "b")):
        event = f"sync{fresh()}"

        def arrived(printer=printer, other=other, event=event):
            printer.script(f"ROUTER_EVENT_TRIGGER EVENT={event}")
            other.script("M400")
            return event in other.query(["router"])["router"]["events"]

        wait_until(arrived, 10.0, f"events of {name} arrive", [left, right])


@pytest.mark.parametrize("by", ["command", "remote"])
@pytest.mark.parametrize("side", [0, 1])
def test_an_event_reaches_the_handlers_of_both_exactly_once(two, side, by):
    one = two[side]
    marks = [printer.mark() for printer in two]
    numbers = [str(fresh()) for _ in range(20)]
    for number in numbers:
        if by == "command":
            one.script(f"ROUTER_EVENT_TRIGGER EVENT=shared/news N={number}")
        else:
            remote_call(one, TRIGGER, event="shared/news", context={"n": number})
    for printer, mark in zip(two, marks):
        wait_shown(printer, HANDLER, mark, N=numbers[-1])
    settle(*two)
    for printer, mark in zip(two, marks):
        assert [call["N"] for call in shown(printer, HANDLER, mark)] == numbers
        assert shown(printer, "ROUTER_ON_ERROR", mark) == []
    sources = [p.query(["router"])["router"]["events"]["shared/news"]["source"] for p in two]
    assert sources == [["left", "a"], ["b", "right"]][side]


def test_events_that_cross(two):
    marks = [printer.mark() for printer in two]
    with two[0].api() as left, two[1].api() as right:
        for number in range(30):
            for api, name in ((left, "l"), (right, "r")):
                api.call(TRIGGER, {"event": "shared/cross", "context": {"n": f"{name}{number}"}})
    expected = {f"{name}{number}" for name in "lr" for number in range(30)}
    for printer, mark, last in zip(two, marks, ("r29", "l29")):
        wait_shown(printer, HANDLER, mark, N=last)
    settle(*two)
    for printer, mark in zip(two, marks):
        calls = [call["N"] for call in shown(printer, HANDLER, mark)]
        assert len(calls) == 60 and set(calls) == expected


def test_what_the_trigger_returns_and_where_a_failing_handler_is_reported(two):
    left, right = two
    right.script("ROUTER_EVENT_SUBSCRIBE EVENT=broken GCODE=NO_SUCH_COMMAND")
    mark = left.mark()
    assert left.call(TRIGGER, {"event": "broken"}) == {"delivered": [], "failed": {}}
    call = wait_shown(left, "ROUTER_ON_ERROR", mark, METHOD=TRIGGER, TARGET="right")
    assert "NO_SUCH_COMMAND" in call["MESSAGE"]
    assert right.call(TRIGGER, {"event": "broken"}) == {"delivered": ["right"], "failed": {}}


@pytest.mark.parametrize("side", [0, 1])
def test_a_wait_for_an_event_of_the_other_side(two, side):
    one, other = two[side], two[1 - side]
    mark = one.mark()
    with one.api() as api:
        script = "SHOW WAITS=1\nROUTER_EVENT_WAIT EVENT=go TIMEOUT=20"
        number = api.request("gcode/script", {"script": script})
        wait_shown(one, "SHOW", mark, WAITS="1")
        other.script("ROUTER_EVENT_TRIGGER EVENT=go")
        api.answer(number, 10.0)


@pytest.mark.parametrize("side", [0, 1])
def test_a_script_on_the_other_side_with_wait(two, side):
    one, other = two[side], two[1 - side]
    name = ("b", "a")[side]
    mark, other_mark = one.mark(), other.mark()
    number = str(fresh())
    one.script(f"ROUTER_GCODE_SCRIPT TARGET={name} SCRIPT='SHOW N={number}' WAIT=1")
    assert shown(other, "SHOW", other_mark) == [{"N": number}]
    assert f"// {name}: SHOW N={number}" in one.console[mark:]


def test_waits_that_cross_end_by_their_timeout(two):
    marks = [printer.mark() for printer in two]
    with two[0].api() as left, two[1].api() as right:
        numbers = [
            api.request(
                "gcode/script",
                {
                    "script": "SHOW WAITS=1\nROUTER_EVENT_WAIT EVENT=now\n"
                    f"ROUTER_GCODE_SCRIPT TARGET={name} SCRIPT='SHOW N=1' WAIT=1 TIMEOUT={timeout}"
                },
            )
            for api, name, timeout in ((left, "b", 2), (right, "a", 8))
        ]
        for printer, mark in zip(two, marks):
            wait_shown(printer, "SHOW", mark, WAITS="1")
        with two[0].api() as api:
            api.call(TRIGGER, {"event": "now"})
        with pytest.raises(ApiError, match="b: the script has not begun after 2 seconds"):
            left.answer(numbers[0], 20.0)
        # Its own script can run on left now
        right.answer(numbers[1], 20.0)
    settle(*two)


def test_a_wait_for_a_script_that_waits_for_its_caller(two):
    inner = "ROUTER_GCODE_SCRIPT TARGET=a SCRIPT=M400 WAIT=1 TIMEOUT=1"
    with pytest.raises(ApiError, match="b: a: the script has not begun after 1 second"):
        two[0].script(f"ROUTER_GCODE_SCRIPT TARGET=b SCRIPT='{inner}' WAIT=1 TIMEOUT=10")
    settle(*two)


def test_a_retained_event_reaches_later_subscribers_of_both(two):
    left, right = two
    marks = [printer.mark() for printer in two]
    left.script("ROUTER_EVENT_TRIGGER EVENT=door RETAIN=1 STATE=open")
    settle(*two)
    for printer in two:
        printer.script(f"ROUTER_EVENT_SUBSCRIBE EVENT=door GCODE={HANDLER}")
    for printer, mark in zip(two, marks):
        wait_shown(printer, HANDLER, mark, STATE="open")
    settle(*two)
    assert [len(shown(p, HANDLER, m)) for p, m in zip(two, marks)] == [1, 1]


@pytest.mark.parametrize("firmware", [False, True], ids=["restart", "firmware_restart"])
@pytest.mark.parametrize("side", [0, 1])
def test_a_restart_of_either_side(two, side, firmware):
    one, other = two[side], two[1 - side]
    name, other_name = (("a", "b"), ("b", "a"))[side]
    other.script("ROUTER_EVENT_TRIGGER EVENT=lamp RETAIN=1 N=1")
    settle(*two)
    marks = [printer.mark() for printer in two]
    one.restart(firmware=firmware)
    wait_exchange(*two)
    subscribe(one)
    wait_shown(one, "ROUTER_ON_CONNECTED", marks[side], PRINTER=other_name)
    wait_shown(other, "ROUTER_ON_CONNECTED", marks[1 - side], PRINTER=name)
    check_lifecycle(two, side, marks)
    mark = one.mark()
    one.script(f"ROUTER_EVENT_SUBSCRIBE EVENT=lamp GCODE={HANDLER}")
    wait_shown(one, HANDLER, mark, N="1")
    settle(*two)
    assert len(shown(one, HANDLER, mark)) == 1


def check_lifecycle(two, side, marks):
    """The macros that a restart or kill of one side has run, after it was ready again."""
    settle(*two)
    name, other_name = (("a", "b"), ("b", "a"))[side]
    one, other = (
        {macro: shown(two[i], macro, marks[i]) for macro in LIFECYCLE} for i in (side, 1 - side)
    )
    assert len(one["ROUTER_ON_READY"]) == 1 and other["ROUTER_ON_READY"] == []
    assert one["ROUTER_ON_CONNECTED"] == [{"PRINTER": other_name}]
    assert other["ROUTER_ON_CONNECTED"] == [{"PRINTER": name}]
    assert [call["PRINTER"] for call in other["ROUTER_ON_DISCONNECTED"]] == [name]


@pytest.mark.parametrize("side", [0, 1])
def test_a_kill_of_either_side(two, side):
    one, other = two[side], two[1 - side]
    name = ("a", "b")[side]
    marks = [printer.mark() for printer in two]
    one.kill()
    wait_shown(other, "ROUTER_ON_DISCONNECTED", marks[1 - side], PRINTER=name)
    one.start().wait_ready()
    wait_exchange(*two)
    subscribe(one)
    check_lifecycle(two, side, marks)


def test_allow_without_event_keeps_the_events_of_the_other_side_out(lab, pair):
    left, right = start_routers(lab, pair, b_options="allow: gcode, status")
    subscribe(left, right)
    marks = [left.mark(), right.mark()]
    for printer, number in ((right, 1), (left, 2), (right, 3)):
        printer.script(f"ROUTER_EVENT_TRIGGER EVENT=shared/news N={number}")
        settle(left, right)
    wait_shown(right, HANDLER, marks[1], N="3")
    numbers = [[c["N"] for c in shown(p, HANDLER, m)] for p, m in zip((left, right), marks)]
    assert numbers == [["2"], ["1", "2", "3"]]
    own = "ok: its own; option 'allow' keeps its events out"
    assert findings(left, "b")["other routers"] == own
    for printer in (left, right):
        check_log(printer)


def test_the_diagnosis_of_each(two):
    for printer in two:
        for name in printer.query(["router"])["router"]["printers"]:
            found = not_ok(printer, name)
            assert found == {}, name
