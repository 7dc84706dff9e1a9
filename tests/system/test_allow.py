"""The option 'allow': what a peer may request from others, by whichever interface."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.system.macros import (
    Trio,
    check_log,
    recorder,
    remote_call,
    router_section,
    shown,
    wait_known,
    wait_shown,
)

STATE = {"gcode_macro STATE": ["x"]}
# (method, parameters, the permission it needs)
REQUESTS = [
    ("router/gcode/script", {"target": "main", "script": "SHOW_A BY=peer"}, "gcode"),
    ("router/gcode/script", {"target": "afc", "script": "SHOW_A BY=peer"}, "gcode"),
    ("router/event/subscribe", {"event": "e", "gcode": "SHOW_A"}, "event"),
    ("router/event/unsubscribe", {"event": "e"}, "event"),
    ("router/event/trigger", {"event": "e"}, "event"),
    ("router/objects/list", {"target": "main"}, "status"),
    ("router/objects/query", {"target": "main", "objects": STATE}, "status"),
    ("router/objects/subscribe", {"target": "main", "objects": STATE}, "status"),
    ("router/objects/unsubscribe", {"target": "main"}, "status"),
    ("router/call", {"target": "main", "endpoint": "info"}, "call"),
    # A handler that runs on another printer, or is an endpoint, needs more than the right to events
    (
        "router/event/subscribe",
        {"event": "planted", "gcode": "SHOW_A BY=planted", "callback_target": "main"},
        "gcode",
    ),
    (
        "router/event/subscribe",
        {"event": "planted", "gcode": "SHOW_A BY=planted", "callback_target": "afc"},
        "gcode",
    ),
    (
        "router/event/subscribe",
        {"event": "planted", "gcode": "emergency_stop", "callback_type": "webhook"},
        "call",
    ),
]
EVENT_ONLY = [r for r in REQUESTS if r[2] != "event"]
ALL_BUT_EVENT = [r for r in REQUESTS if r[0].startswith("router/event")]


@pytest.fixture(scope="module")
def trio(shared_lab):
    """none has no permission, led event, rest all others; afc has all."""
    lab = shared_lab
    allow = {"none": "", "led": "event", "rest": "gcode, status, call"}
    sections = "[router]\nstatus_interval: 0.05\n" + router_section(lab, "afc")
    for name, words in allow.items():
        sections += router_section(lab, name, f"allow: {words}")
    main = lab.main(config.printing(sections + recorder()))
    for name in ("afc", *allow):
        text = recorder("ROUTER_ON_ERROR") if name != "afc" else recorder()
        lab.peer(name, config.printing(text))
    lab.wait_ready()
    wait_known(main, "afc", *allow)
    return Trio(lab, main, lab.printers["led"], lab.printers["afc"])


def refused(trio, caller, method, params, permission):
    """Make the call, and wait until the caller is notified why it is not allowed."""
    mark, others = caller.mark(), [trio.main.mark(), trio.afc.mark()]
    remote_call(caller, method, gcode_callback="SHOW_B", **params)
    told = wait_shown(caller, "ROUTER_ON_ERROR", mark, METHOD=method)
    assert told["TARGET"] == params.get("target", "")
    for word in (
        f"{caller.name} is not allowed",
        f"'{permission}'",
        "'allow'",
        f"'router {caller.name}'",
    ):
        assert word in told["MESSAGE"]
    # There is no result either, and no other printer was notified or sent anything
    for printer, start in zip((trio.main, trio.afc), others):
        trio.main.call("router/gcode/script", {"target": printer.name, "script": "SHOW END=1"})
        wait_shown(printer, start=start, END="1")
        assert printer.console[start:] == ["// SHOW END=1"]
    trio.main.call("router/gcode/script", {"target": caller.name, "script": "SHOW END=1"})
    wait_shown(caller, start=mark, END="1")
    assert shown(caller, "SHOW_B", mark) == []


@pytest.mark.parametrize("method, params, permission", EVENT_ONLY)
def test_events_alone_allow_nothing_else(trio, method, params, permission):
    refused(trio, trio.led, method, params, permission)


@pytest.mark.parametrize("method, params, permission", ALL_BUT_EVENT)
def test_everything_but_events_allows_no_events(trio, method, params, permission):
    refused(trio, trio.lab.printers["rest"], method, params, "event")


@pytest.mark.parametrize("permission", ["gcode", "event", "status", "call"])
def test_an_empty_option_allows_nothing(trio, permission):
    method, params, _ = next(r for r in REQUESTS if r[2] == permission)
    refused(trio, trio.lab.printers["none"], method, params, permission)


def test_refused_calls_leave_nothing_behind(trio):
    answer = trio.main.call("router/event/trigger", {"event": "planted"})
    assert answer == {"delivered": [], "failed": {}}


@pytest.mark.parametrize("name", ["none", "led", "rest"])
def test_everybody_may_list_the_printers(trio, name):
    caller = trio.lab.printers[name]
    mark = caller.mark()
    remote_call(caller, "router/printers/list", gcode_callback="SHOW")
    assert wait_shown(caller, start=mark)["PRINTERS"] == "main,afc,none,led,rest"


def test_what_is_allowed_works(trio):
    rest, mark, led_mark = trio.lab.printers["rest"], trio.main.mark(), trio.led.mark()
    rest_mark = rest.mark()
    remote_call(rest, "router/gcode/script", target="main", script="SHOW BY=rest")
    wait_shown(trio.main, start=mark, BY="rest")
    remote_call(rest, "router/call", target="main", endpoint="info", gcode_callback="SHOW_A")
    wait_shown(rest, "SHOW_A", rest_mark, STATE="ready")
    remote_call(rest, "router/objects/query", target="main", objects=STATE, gcode_callback="SHOW_B")
    wait_shown(rest, "SHOW_B", rest_mark, GCODE_MACRO_STATE_X="0")
    # led's own handlers run on led, even if it names itself
    for params in ({}, {"callback_target": "led"}):
        remote_call(trio.led, "router/event/subscribe", event="own", gcode="SHOW_A", **params)
    remote_call(trio.led, "router/event/trigger", event="own", context={"n": 1})
    wait_shown(trio.led, "SHOW_A", led_mark, N="1")
    assert shown(trio.led, "ROUTER_ON_ERROR", led_mark) == []


def test_the_option_limits_what_a_peer_requests_not_what_is_requested_of_it(trio):
    none = trio.lab.printers["none"]
    mark, answer_mark = none.mark(), trio.afc.mark()
    remote_call(trio.afc, "router/gcode/script", target="none", script="SHOW BY=afc")
    wait_shown(none, start=mark, BY="afc")
    remote_call(
        trio.afc, "router/objects/query", target="none", objects=STATE, gcode_callback="SHOW"
    )
    wait_shown(trio.afc, start=answer_mark, GCODE_MACRO_STATE_X="0")


def test_the_host_may_do_everything(trio):
    marks = [trio.main.mark(), trio.afc.mark()]
    for method, params, _permission in REQUESTS[:10]:
        trio.main.call(method, dict(params, gcode_callback="SHOW_B"))
    # Whatever is still running ends before the end of this test
    wait_shown(trio.main, "SHOW_B", marks[0], STATE="ready")
    for printer, mark in zip((trio.main, trio.afc), marks):
        wait_shown(printer, "SHOW_A", mark, BY="peer")
    settle(trio.main, marks[0])
    check_log(trio.main)


def settle(main, mark):
    """Wait for lines still in flight to a printer's console."""
    main.call("router/gcode/script", {"target": "main", "script": "SHOW SETTLED=1"})
    wait_shown(main, start=mark, SETTLED="1")
