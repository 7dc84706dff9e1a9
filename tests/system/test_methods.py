"""Every method, called by macros: action_call_remote_method on peers and on the host."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab.waiting import wait_until
from tests.system.macros import (
    fresh,
    remote_call,
    remote_result,
    set_state,
    shown,
    start_trio,
    wait_shown,
)

pytestmark = pytest.mark.pairs

STATE_X = {"gcode_macro STATE": ["x"]}


@pytest.fixture(scope="module")
def trio(shared_lab):
    return start_trio(shared_lab)


@pytest.fixture(params=["led", "main"])
def caller(request, trio):
    """A peer, or the host."""
    yield trio.lab.printers[request.param]
    for printer in (trio.led, trio.main):
        for target in ("main", "afc"):
            remote_call(printer, "router/objects/unsubscribe", target=target)


def test_gcode_script_runs_on_the_target_and_then_calls_back(trio, caller):
    mark, sent = caller.mark(), trio.afc.mark()
    remote_call(
        caller,
        "router/gcode/script",
        target="afc",
        script="M118 from a macro of " + caller.name,
        gcode_callback="SHOW",
    )
    trio.afc.wait_line("from a macro of " + caller.name, start=sent)
    assert wait_shown(caller, start=mark) == {}


def test_gcode_script_of_several_lines_runs_on_the_host(trio, caller):
    mark = trio.main.mark()
    remote_call(caller, "router/gcode/script", target="main", script="M118 one\nM118 two")
    trio.main.wait_line("two", start=mark)
    assert [line for line in trio.main.console[mark:] if "echo" in line] == [
        "echo: one",
        "echo: two",
    ]


def test_gcode_script_can_name_the_caller_itself(caller):
    mark = caller.mark()
    remote_call(caller, "router/gcode/script", target=caller.name, script="SHOW TO=myself")
    wait_shown(caller, start=mark, TO="myself")


def test_event_goes_from_its_trigger_to_its_handler_until_unsubscribed(trio, caller):
    mark = caller.mark()
    handler = {"event": "fed", "gcode": "SHOW_A"}
    assert remote_result(caller, "router/event/subscribe", **handler) == {}
    trigger = {"event": "fed", "context": {"lane": 1, "length": 5.5}}
    answer = {"DELIVERED": f'["{caller.name}"]', "FAILED": "{}"}
    assert remote_result(trio.afc, "router/event/trigger", **trigger) == answer
    assert wait_shown(caller, "SHOW_A", mark) == {"LANE": "1", "LENGTH": "5.5"}

    assert remote_result(caller, "router/event/unsubscribe", **handler) == {"REMOVED": "1"}
    answer = {"DELIVERED": "[]", "FAILED": "{}"}
    assert remote_result(trio.afc, "router/event/trigger", **trigger) == answer


def test_event_unsubscribe_without_gcode_removes_every_own_handler_of_the_event(caller):
    for gcode in ("SHOW_A", "SHOW_B"):
        remote_call(caller, "router/event/subscribe", event="many", gcode=gcode)
    assert remote_result(caller, "router/event/unsubscribe", event="many") == {"REMOVED": "2"}


def test_event_unsubscribe_keeps_the_handlers_of_others(trio):
    printers = (trio.main, trio.led, trio.afc)
    marks = [printer.mark() for printer in printers]
    for printer in printers:
        remote_result(printer, "router/event/subscribe", event="shared", gcode="SHOW_A")
    assert remote_result(trio.led, "router/event/unsubscribe", event="shared") == {"REMOVED": "1"}
    told = remote_result(trio.led, "router/event/trigger", event="shared")
    assert told["DELIVERED"] == '["main","afc"]'
    for printer, mark in ((trio.main, marks[0]), (trio.afc, marks[2])):
        wait_shown(printer, "SHOW_A", mark)
        assert remote_result(printer, "router/event/unsubscribe", event="shared")["REMOVED"] == "1"


def test_callback_target_says_where_a_handler_runs(trio, caller):
    mark, own = trio.afc.mark(), caller.mark()
    handler = {"event": "elsewhere", "gcode": "SHOW_A", "callback_target": "afc"}
    remote_call(caller, "router/event/subscribe", **handler)
    told = remote_result(caller, "router/event/trigger", event="elsewhere", context={"k": 1})
    assert told["DELIVERED"] == '["afc"]'
    assert wait_shown(trio.afc, "SHOW_A", mark) == {"K": "1"}
    # Its owner is the caller, which can end it
    end = {"event": "elsewhere"}
    assert remote_result(trio.afc, "router/event/unsubscribe", **end) == {"REMOVED": "0"}
    assert remote_result(caller, "router/event/unsubscribe", **end) == {"REMOVED": "1"}
    assert shown(caller, "SHOW_A", own) == []


@pytest.mark.parametrize("target", ["afc", "main"])
def test_a_webhook_handler_calls_an_endpoint_with_the_context(trio, caller, target):
    handler = {
        "event": "hook",
        "gcode": "gcode/script",
        "callback_target": target,
        "callback_type": "webhook",
    }
    remote_call(caller, "router/event/subscribe", **handler)
    printer = trio.lab.printers[target]
    mark = printer.mark()
    remote_call(caller, "router/event/trigger", event="hook", context={"script": "SHOW FROM=hook"})
    wait_shown(printer, start=mark, FROM="hook")
    assert remote_result(caller, "router/event/unsubscribe", event="hook") == {"REMOVED": "1"}


def test_printers_list_returns_every_printer_in_the_order_of_the_config(caller):
    told = remote_result(caller, "router/printers/list")
    assert told.pop("PRINTERS") == "main,led,afc"
    assert told == {
        f"{name}_{field}": value
        for name in ("MAIN", "LED", "AFC")
        for field, value in (("CONNECTED", "True"), ("READY", "True"), ("STATE", "ready"))
    }


@pytest.mark.parametrize("target", ["afc", "main"])
def test_objects_list_returns_the_names_of_the_targets_objects(trio, caller, target):
    names = remote_result(caller, "router/objects/list", target=target)["OBJECTS"].split(",")
    own = trio.lab.printers[target].call("objects/list")["objects"]
    assert names == own
    assert "gcode_macro STATE" in names


@pytest.mark.parametrize("target", ["afc", "main"])
def test_objects_query_returns_the_requested_fields_but_those_that_are_none(trio, caller, target):
    set_state(trio.lab.printers[target], x=4, y="two words", text=None)
    objects = {"gcode_macro STATE": None, "webhooks": ["state"]}
    assert remote_result(caller, "router/objects/query", target=target, objects=objects) == {
        "GCODE_MACRO_STATE_X": "4",
        "GCODE_MACRO_STATE_Y": "two words",
        "WEBHOOKS_STATE": "ready",
    }


@pytest.mark.parametrize("target", ["afc", "main"])
def test_objects_subscribe_calls_back_until_unsubscribed(trio, caller, target):
    printer = trio.lab.printers[target]
    first, second, third = fresh(), fresh(), fresh()
    set_state(printer, x=first)
    mark = caller.mark()
    subscription = {"target": target, "gcode_callback": "SHOW_A"}
    remote_call(caller, "router/objects/subscribe", objects=STATE_X, **subscription)
    wait_shown(caller, "SHOW_A", mark, GCODE_MACRO_STATE_X=str(first))
    set_state(printer, x=second)
    wait_shown(caller, "SHOW_A", mark, GCODE_MACRO_STATE_X=str(second))

    # Here gcode_callback selects the subscription, which has ended, so there is no callback
    remote_call(caller, "router/objects/unsubscribe", **subscription)
    remote_call(
        caller, "router/objects/subscribe", target=target, objects=STATE_X, gcode_callback="SHOW_B"
    )
    wait_shown(caller, "SHOW_B", mark, GCODE_MACRO_STATE_X=str(second))
    set_state(printer, x=third)
    wait_shown(caller, "SHOW_B", mark, GCODE_MACRO_STATE_X=str(third))
    assert shown(caller, "SHOW_A", mark)[-1] == {"GCODE_MACRO_STATE_X": str(second)}


def test_objects_unsubscribe_without_callback_removes_every_own_subscription(trio, caller):
    other = trio.led if caller is trio.main else trio.main
    wishes = ((caller, "SHOW_A"), (caller, "SHOW_B"), (other, "SHOW_A"))
    for printer, callback in wishes:
        remote_call(
            printer,
            "router/objects/subscribe",
            target="afc",
            objects=STATE_X,
            gcode_callback=callback,
        )
    for printer, left in ((caller, 1), (other, 0)):
        remote_call(printer, "router/objects/unsubscribe", target="afc")
        wait_until(lambda left=left: subscriptions(trio) == left, 5.0, f"{left} left", [trio.main])


def subscriptions(trio):
    return trio.main.query(["router"])["router"]["subscriptions"]


@pytest.mark.parametrize("target", ["afc", "main"])
def test_call_passes_the_result_of_an_endpoint(caller, target):
    told = remote_result(caller, "router/call", target=target, endpoint="info", params={})
    assert told["STATE"] == "ready"
