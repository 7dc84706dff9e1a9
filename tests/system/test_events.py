"""Events: what handlers get, in which order and how often, and who is notified of failures."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab.api import ApiError
from tests.system.macros import (
    remote_call,
    remote_result,
    says,
    shown,
    start_trio,
    wait_known,
    wait_shown,
)

pytestmark = pytest.mark.pairs

FAILING = "SDCARD_PRINT_FILE FILENAME=none.gcode"
MANY = 60


@pytest.fixture(scope="module")
def running(shared_lab):
    return start_trio(shared_lab, led=says("ROUTER_ON_ERROR"))


@pytest.fixture
def trio(running):
    """The three printers, without any handler of the event e."""
    yield running
    for printer in (running.main, running.led, running.afc):
        remote_result(printer, "router/event/unsubscribe", event="e")


def subscribe(printer, gcode, event="e", **params):
    """Register a handler by a macro of the printer."""
    remote_result(printer, "router/event/subscribe", event=event, gcode=gcode, **params)


def trigger(trio, context, event="e", **more):
    """Trigger by an API client of the host; the answer."""
    return trio.main.call("router/event/trigger", dict(more, event=event, context=context))


@pytest.fixture(params=["led", "main"])
def owner(request, trio):
    """A peer, or the host."""
    return trio.lab.printers[request.param]


# -- what a handler gets


def test_a_bare_handler_name_gets_the_whole_context(trio, owner):
    subscribe(owner, "SHOW_A")
    mark = owner.mark()
    # The names of parameters are upper case; context keys are unchanged
    trigger(trio, {"lane": 1, "length_mm": 5.5, "Full": True, "by": 'it\'s "me"', "list": [1, 2]})
    assert wait_shown(owner, "SHOW_A", mark) == {
        "LANE": "1",
        "LENGTH_MM": "5.5",
        "FULL": "True",
        "BY": 'it\'s "me"',
        "LIST": "[1,2]",
    }


def test_a_bare_handler_name_without_context_runs_without_parameters(trio, owner):
    subscribe(owner, "SHOW_A")
    mark = owner.mark()
    remote_call(trio.afc, "router/event/trigger", event="e")
    assert wait_shown(owner, "SHOW_A", mark) == {}


def test_a_template_gets_the_context_by_name(trio, owner):
    subscribe(owner, "SHOW_A LANE={lane} BY='{by}' NAME=\"{by}\"")
    mark = owner.mark()
    trigger(trio, {"lane": 1, "by": 'the "x" y=z', "not_used": 2})
    by = 'the "x" y=z'
    assert wait_shown(owner, "SHOW_A", mark) == {"LANE": "1", "BY": by, "NAME": by}


def test_a_template_can_print_and_have_several_lines(trio, owner):
    subscribe(owner, "M118 lane {lane} is done\nSHOW_A LANE={lane}")
    mark = owner.mark()
    trigger(trio, {"lane": 2})
    wait_shown(owner, "SHOW_A", mark, LANE="2")
    owner.wait_line("lane 2 is done", start=mark)


def test_a_value_cannot_become_a_second_parameter_or_command(trio, owner):
    subscribe(owner, "SHOW_A LANE={lane}")
    mark = owner.mark()
    trigger(trio, {"lane": "1 MORE=2\nSHOW_B"})
    assert wait_shown(owner, "SHOW_A", mark) == {"LANE": "1 MORE=2 SHOW_B"}
    trigger(trio, {"lane": "end"})
    wait_shown(owner, "SHOW_A", mark, LANE="end")
    assert shown(owner, "SHOW_B", mark) == []


@pytest.mark.parametrize(
    "parameters",
    [
        'CONTEXT="lane=1,length=5"',
        'CONTEXT="lane=1,length=5,"',
        "LANE=1 LENGTH=5",
        'LENGTH=5 CONTEXT="lane=1"',
        "CONTEXT={lane:1,length:5}",
        """CONTEXT='{"lane": 1, "length": 5}'""",
        """CONTEXT='{"lane": 1}' LENGTH=5""",
    ],
)
def test_context_of_the_native_command(trio, owner, parameters):
    subscribe(owner, "SHOW_A LANE={lane} LENGTH={length}")
    subscribe(owner, "SHOW_B")
    mark = owner.mark()
    trio.main.script("ROUTER_EVENT_TRIGGER EVENT=e " + parameters)
    expected = {"LANE": "1", "LENGTH": "5"}
    assert wait_shown(owner, "SHOW_A", mark) == expected
    assert wait_shown(owner, "SHOW_B", mark) == expected


def test_a_string_as_context_of_the_method(trio, owner):
    subscribe(owner, "SHOW_A")
    mark = owner.mark()
    for n, text in enumerate(("n=0", '{"n": 1}', "{n:2}", "n=3,")):
        trigger(trio, text)
        wait_shown(owner, "SHOW_A", mark, N=str(n))
    events = trio.main.query({"router": ["events"]})["router"]["events"]
    assert events["e"]["context"] == {"n": "3"}


def test_values_that_are_added_to_a_context(trio, owner):
    subscribe(owner, "SHOW_A")
    mark = owner.mark()
    trigger(trio, "lane=1,length=5", values={"lane": 2})
    assert wait_shown(owner, "SHOW_A", mark) == {"LANE": "2", "LENGTH": "5"}


# -- how often, in which order


def test_every_handler_runs_exactly_once_and_in_the_order_triggered(trio):
    for printer in (trio.main, trio.led, trio.afc):
        subscribe(printer, "SHOW_A", callback_target=printer.name)
    # Not a second handler, but the same one
    subscribe(trio.led, "SHOW_A")
    marks = {printer: printer.mark() for printer in (trio.main, trio.led, trio.afc)}
    with trio.main.api() as api:
        numbers = [
            api.request("router/event/trigger", {"event": "e", "context": {"n": n}})
            for n in range(MANY)
        ]
        for number in numbers:
            answer = api.answer(number)
            assert answer["failed"] == {}
            assert sorted(answer["delivered"]) == ["afc", "led", "main"]
    expected = [{"N": str(n)} for n in range(MANY)]
    for printer, mark in marks.items():
        wait_shown(printer, "SHOW_A", mark, N=str(MANY - 1))
        # A late second run would come before the answer to this request
        remote_call(printer, "router/gcode/script", target=printer.name, script="SHOW END=1")
        wait_shown(printer, "SHOW", mark, END="1")
        assert shown(printer, "SHOW_A", mark) == expected


def test_events_of_a_peer_arrive_in_the_order_triggered(trio):
    subscribe(trio.afc, "SHOW_A")
    mark = trio.afc.mark()
    for n in range(20):
        remote_call(trio.led, "router/event/trigger", event="e", context={"n": n})
    wait_shown(trio.afc, "SHOW_A", mark, N="19")
    assert shown(trio.afc, "SHOW_A", mark) == [{"N": str(n)} for n in range(20)]


def test_a_handler_runs_for_events_that_its_owner_triggers_itself(trio, owner):
    subscribe(owner, "SHOW_A")
    mark = owner.mark()
    remote_call(owner, "router/event/trigger", event="e", context={"k": 1})
    wait_shown(owner, "SHOW_A", mark, K="1")


def test_handlers_that_differ_only_in_case_are_the_same(trio, owner):
    """Klipper's commands are not case sensitive; the text of a template is."""
    for gcode in ("SHOW_A", "show_a", " Show_A "):
        subscribe(owner, gcode)
    # A different template
    subscribe(owner, "show_a K={k}")
    mark = owner.mark()
    trigger(trio, {"k": 1})
    trio.main.call("router/gcode/script", {"target": owner.name, "script": "SHOW END=1"})
    wait_shown(owner, start=mark, END="1")
    assert shown(owner, "SHOW_A", mark) == [{"K": "1"}] * 2
    removed = remote_result(owner, "router/event/unsubscribe", event="e", gcode="show_A")
    assert removed == {"REMOVED": "1"}


def test_the_status_of_the_host_has_the_latest_event_of_each_name(trio):
    remote_call(trio.led, "router/event/trigger", event="seen", context={"lane": 3})
    mark = trio.main.mark()
    # Everything that led sends is handled in order
    remote_call(trio.led, "router/gcode/script", target="main", script="SHOW")
    wait_shown(trio.main, start=mark)
    event = trio.main.query(["router"])["router"]["events"]["seen"]
    assert (event["context"], event["source"]) == ({"lane": 3}, "led")
    assert event["eventtime"] > 0


# -- who is notified of failures


def test_the_result_lists_who_got_the_event_and_who_did_not(trio):
    subscribe(trio.main, "SHOW_A")
    subscribe(trio.main, "SHOW_A", callback_target="led")
    subscribe(trio.main, "SHOW_A", callback_target="afc")
    assert trigger(trio, {}) == {"delivered": ["main", "led", "afc"], "failed": {}}
    trio.afc.stop()
    try:
        wait_known(trio.main, "afc", ready=False)
        assert trigger(trio, {}) == {
            "delivered": ["main", "led"],
            "failed": {"afc": "afc is not connected"},
        }
        # A peer that triggers is notified, too: a remote call has no answer
        mark = trio.led.mark()
        remote_call(trio.led, "router/event/trigger", event="e")
        error = wait_shown(trio.led, "ROUTER_ON_ERROR", mark)
        assert error["TARGET"] == "afc"
        assert "afc is not connected" in error["MESSAGE"]
    finally:
        trio.afc.start().wait_ready()
        wait_known(trio.main, "afc")


MISSING = "needs a value for {lane}"


def test_a_handler_with_a_missing_key_does_not_run_and_the_api_client_is_notified(trio):
    subscribe(trio.afc, "SHOW_A LANE={lane}")
    subscribe(trio.led, "SHOW_A")
    mark = trio.afc.mark()
    answer = trigger(trio, {"length": 5})
    assert answer["delivered"] == ["led"]
    assert list(answer["failed"]) == ["afc"]
    assert MISSING in answer["failed"]["afc"]
    trigger(trio, {"lane": "later"})
    wait_shown(trio.afc, "SHOW_A", mark)
    assert shown(trio.afc, "SHOW_A", mark) == [{"LANE": "later"}]


def test_a_missing_key_is_reported_to_the_triggering_peer(trio):
    subscribe(trio.afc, "SHOW_A LANE={lane}")
    mark = trio.led.mark()
    remote_call(trio.led, "router/event/trigger", event="e", context={"length": 5})
    error = wait_shown(trio.led, "ROUTER_ON_ERROR", mark)
    assert (error["METHOD"], error["TARGET"]) == ("router/event/trigger", "afc")
    assert MISSING in error["MESSAGE"]


@pytest.mark.parametrize("door", ["macro", "command"])
def test_a_missing_key_is_reported_to_the_triggering_host(trio, door):
    subscribe(trio.afc, "SHOW_A LANE={lane}")
    mark = trio.main.mark()
    if door == "macro":
        remote_call(trio.main, "router/event/trigger", event="e", context={"length": 5})
    else:
        trio.main.script("ROUTER_EVENT_TRIGGER EVENT=e LENGTH=5")
    trio.main.wait_line(MISSING, start=mark)


def test_a_handler_that_fails_later_is_reported_to_the_triggering_peer(trio):
    subscribe(trio.afc, FAILING)
    subscribe(trio.afc, "SHOW_A")
    mark, after = trio.led.mark(), trio.afc.mark()
    remote_call(trio.led, "router/event/trigger", event="e", gcode_callback="SHOW")
    assert wait_shown(trio.led, start=mark)["DELIVERED"] == '["afc"]'
    error = wait_shown(trio.led, "ROUTER_ON_ERROR", mark)
    assert (error["METHOD"], error["TARGET"]) == ("router/event/trigger", "afc")
    assert error["MESSAGE"].startswith("afc: ")
    # The others still run
    wait_shown(trio.afc, "SHOW_A", after)


@pytest.mark.parametrize("door", ["macro", "command", "api"])
def test_a_handler_that_fails_later_is_reported_on_the_triggering_host(trio, door):
    subscribe(trio.afc, FAILING)
    mark = trio.main.mark()
    if door == "macro":
        remote_call(trio.main, "router/event/trigger", event="e")
    elif door == "command":
        trio.main.script("ROUTER_EVENT_TRIGGER EVENT=e")
    else:
        assert trigger(trio, {}) == {"delivered": ["afc"], "failed": {}}
    trio.main.wait_line("// Router: afc: ", start=mark)


def test_a_handler_of_the_host_that_fails_is_reported_to_the_triggering_peer(trio):
    subscribe(trio.main, FAILING)
    mark = trio.led.mark()
    remote_call(trio.led, "router/event/trigger", event="e")
    assert wait_shown(trio.led, "ROUTER_ON_ERROR", mark)["TARGET"] == "main"
    assert trio.main.state() == "ready"


@pytest.mark.parametrize("gcode", ["{cmd} X=1", "SHOW_A {key}=1", "SHOW_A X='{k}"])
def test_a_template_with_a_value_in_an_unsafe_place_is_refused(trio, gcode):
    with pytest.raises(ApiError, match="^Event handler"):
        trio.main.call("router/event/subscribe", {"event": "e", "gcode": gcode})


# -- how long a handler lives


def test_handlers_end_with_the_session_of_their_owner(trio):
    subscribe(trio.led, "SHOW_A")
    subscribe(trio.led, "SHOW_A", callback_target="afc")
    subscribe(trio.afc, "SHOW_B", callback_target="led")
    assert trigger(trio, {}) == {"delivered": ["led", "afc"], "failed": {}}
    trio.led.begin_restart()
    wait_known(trio.main, "led", ready=False)
    trio.led.wait_ready()
    wait_known(trio.main, "led")
    mark, other = trio.led.mark(), trio.afc.mark()
    assert trigger(trio, {"k": 1}) == {"delivered": ["led"], "failed": {}}
    wait_shown(trio.led, "SHOW_B", mark, K="1")
    remote_call(trio.afc, "router/gcode/script", target="afc", script="SHOW")
    wait_shown(trio.afc, start=other)
    assert shown(trio.led, "SHOW_A", mark) == shown(trio.afc, "SHOW_A", other) == []
