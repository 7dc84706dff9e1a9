"""Errors: one clear message to the caller, through every interface, and no other effect."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.lab.waiting import wait_until
from tests.system.macros import (
    add_config,
    recorder,
    remote_call,
    says,
    shown,
    start_trio,
    wait_known,
    wait_shown,
)

UNKNOWN = "Unknown printer 'ledd'. Known: main, led, afc"
STATE = {"gcode_macro STATE": None}
# Methods and parameters with an unknown target
TYPOS = [
    ("router/gcode/script", {"target": "ledd", "script": "SHOW"}),
    ("router/objects/list", {"target": "ledd"}),
    ("router/objects/query", {"target": "ledd", "objects": STATE}),
    ("router/objects/subscribe", {"target": "ledd", "objects": STATE, "gcode_callback": "SHOW_A"}),
    ("router/objects/unsubscribe", {"target": "ledd", "gcode_callback": "SHOW_A"}),
    ("router/event/subscribe", {"event": "e", "gcode": "SHOW", "callback_target": "ledd"}),
    ("router/call", {"target": "ledd", "endpoint": "info"}),
]
TYPO_COMMANDS = [
    "ROUTER_GCODE_SCRIPT TARGET=ledd SCRIPT=SHOW",
    "ROUTER_OBJECTS_LIST TARGET=ledd",
    "ROUTER_OBJECTS_QUERY TARGET=ledd OBJECTS=webhooks",
    "ROUTER_OBJECTS_SUBSCRIBE TARGET=ledd OBJECTS=webhooks CALLBACK=SHOW_A",
    "ROUTER_OBJECTS_UNSUBSCRIBE TARGET=ledd",
    "ROUTER_EVENT_SUBSCRIBE EVENT=e GCODE=SHOW CALLBACK_TARGET=ledd",
]
# Methods, parameters, and what the message must contain
MISTAKES = [
    ("router/gcode/script", {"script": "SHOW"}, "Missing parameter TARGET"),
    ("router/gcode/script", {"target": "led"}, "Missing parameter SCRIPT"),
    ("router/event/subscribe", {"gcode": "SHOW"}, "Missing parameter EVENT"),
    ("router/event/subscribe", {"event": "e"}, "Missing parameter GCODE"),
    ("router/event/unsubscribe", {}, "Missing parameter EVENT"),
    ("router/event/trigger", {}, "Missing parameter EVENT"),
    ("router/objects/list", {}, "Missing parameter TARGET"),
    ("router/objects/query", {"target": "led"}, "Missing parameter OBJECTS"),
    ("router/objects/subscribe", {"target": "led", "objects": STATE}, "gcode_callback"),
    ("router/objects/unsubscribe", {}, "Missing parameter TARGET"),
    ("router/call", {"target": "led"}, "Missing parameter ENDPOINT"),
    ("router/gcode/script", {"target": "led", "script": 5}, "Malformed parameter SCRIPT"),
    ("router/objects/query", {"target": "led", "objects": "webhooks:"}, "Malformed OBJECTS"),
    ("router/objects/query", {"target": "led", "objects": ["webhooks"]}, "Malformed OBJECTS"),
    ("router/objects/query", {"target": "led", "objects": {"webhooks": 1}}, "Malformed OBJECTS"),
    ("router/event/trigger", {"event": "e", "context": "lane"}, "Malformed CONTEXT"),
    ("router/event/trigger", {"event": "e", "context": "{lane:1"}, "Malformed CONTEXT"),
    ("router/event/trigger", {"event": "e", "context": ["lane"]}, "Malformed CONTEXT"),
    ("router/event/trigger", {"event": "e", "values": "lane=1"}, "Malformed VALUES"),
    (
        "router/event/subscribe",
        {"event": "e", "gcode": "SHOW", "callback_type": "http"},
        "callback_type",
    ),
]
MISTAKEN_COMMANDS = [
    ("ROUTER_GCODE_SCRIPT SCRIPT=SHOW", "missing TARGET"),
    ("ROUTER_GCODE_SCRIPT TARGET=led", "missing SCRIPT"),
    ("ROUTER_EVENT_SUBSCRIBE EVENT=e", "missing GCODE"),
    ("ROUTER_EVENT_UNSUBSCRIBE", "missing EVENT"),
    ("ROUTER_EVENT_TRIGGER", "missing EVENT"),
    ("ROUTER_OBJECTS_LIST", "missing TARGET"),
    ("ROUTER_OBJECTS_QUERY TARGET=led", "missing OBJECTS"),
    ("ROUTER_OBJECTS_SUBSCRIBE TARGET=led OBJECTS=webhooks", "missing CALLBACK"),
    ("ROUTER_OBJECTS_UNSUBSCRIBE", "missing TARGET"),
    ('ROUTER_OBJECTS_QUERY TARGET=led OBJECTS="webhooks:state|"', "Malformed OBJECTS"),
    ('ROUTER_OBJECTS_SUBSCRIBE TARGET=led OBJECTS=",x" CALLBACK=SHOW', "Malformed OBJECTS"),
    ('ROUTER_EVENT_TRIGGER EVENT=e CONTEXT="lane,length=5"', "Malformed CONTEXT"),
    ("ROUTER_EVENT_SUBSCRIBE EVENT=e GCODE=SHOW CALLBACK_TYPE=http", "callback_type"),
]


@pytest.fixture(scope="module")
def trio(shared_lab):
    return start_trio(shared_lab, led=says("ROUTER_ON_ERROR"))


@pytest.fixture
def quiet(trio):
    """The marks of all consoles; afterwards checks that the test has read every line.

    The test skips what it has read by setting a later mark.
    """
    marks = {printer: printer.mark() for printer in trio[1:]}
    yield marks
    for printer, mark in marks.items():
        # Whatever was in flight arrives before this
        trio.main.call("router/gcode/script", {"target": printer.name, "script": "SHOW END=1"})
        wait_shown(printer, start=mark, END="1")
        assert printer.console[mark:] == ["// SHOW END=1"]


def one_line(printer, quiet, text):
    """Wait for a line with this text, which must be the next one; returns it."""
    line = printer.wait_line(text, start=quiet[printer])
    assert printer.console[quiet[printer]] == line
    quiet[printer] += 1
    return line


# -- the interfaces: a peer with ROUTER_ON_ERROR, a peer without, the host's macros, commands, API


@pytest.mark.parametrize(("method", "params"), TYPOS)
def test_an_unknown_target_is_reported_to_the_peers_macro(trio, quiet, method, params):
    remote_call(trio.led, method, **params)
    target = params.get("target", "")
    expected = {"METHOD": method, "TARGET": target, "MESSAGE": UNKNOWN}
    assert wait_shown(trio.led, "ROUTER_ON_ERROR", quiet[trio.led]) == expected
    one_line(trio.led, quiet, "ROUTER_ON_ERROR")


@pytest.mark.parametrize(("method", "params"), TYPOS)
def test_an_unknown_target_is_one_line_on_the_peers_console(trio, quiet, method, params):
    remote_call(trio.afc, method, **params)
    assert one_line(trio.afc, quiet, UNKNOWN) == f"// Router: {UNKNOWN}"


@pytest.mark.parametrize(("method", "params"), TYPOS)
def test_an_unknown_target_is_one_line_on_the_hosts_console(trio, quiet, method, params):
    remote_call(trio.main, method, **params)
    assert one_line(trio.main, quiet, UNKNOWN) == f"// Router: {UNKNOWN}"
    # Klippy writes its log on another thread
    in_log = f"router: {UNKNOWN}"
    wait_until(lambda: in_log in trio.main.log_text(), 10.0, in_log, [trio.main])


@pytest.mark.parametrize("command", TYPO_COMMANDS)
def test_an_unknown_target_is_an_error_of_the_command(trio, quiet, command):
    with pytest.raises(ApiError) as error:
        trio.main.script(command)
    assert str(error.value) == UNKNOWN
    assert one_line(trio.main, quiet, UNKNOWN) == f"!! {UNKNOWN}"


@pytest.mark.parametrize(("method", "params"), TYPOS)
def test_an_unknown_target_is_an_error_of_the_api_call(trio, quiet, method, params):
    with pytest.raises(ApiError) as error:
        trio.main.call(method, params)
    assert str(error.value) == UNKNOWN


@pytest.mark.parametrize(("method", "params", "message"), MISTAKES)
def test_a_mistake_is_reported_to_the_peers_macro(trio, quiet, method, params, message):
    remote_call(trio.led, method, **params)
    error = wait_shown(trio.led, "ROUTER_ON_ERROR", quiet[trio.led])
    assert (error["METHOD"], error["TARGET"]) == (method, params.get("target", ""))
    assert message in error["MESSAGE"]
    one_line(trio.led, quiet, "ROUTER_ON_ERROR")


@pytest.mark.parametrize(("method", "params", "message"), MISTAKES)
def test_a_mistake_is_one_line_on_the_hosts_console(trio, quiet, method, params, message):
    remote_call(trio.main, method, **params)
    assert one_line(trio.main, quiet, message).startswith("// Router: ")


@pytest.mark.parametrize(("command", "message"), MISTAKEN_COMMANDS)
def test_a_mistake_is_an_error_of_the_command(trio, quiet, command, message):
    with pytest.raises(ApiError, match=message):
        trio.main.script(command)
    one_line(trio.main, quiet, message)


@pytest.mark.parametrize(("method", "params", "message"), MISTAKES)
def test_a_mistake_is_an_error_of_the_api_call(trio, quiet, method, params, message):
    with pytest.raises(ApiError, match=message):
        trio.main.call(method, params)


def test_a_peer_without_respond_gets_one_line_on_its_console(trio):
    before = (trio.afc.folder / "printer.cfg").read_text()
    trio.afc.write_config(config.minimal(recorder()))
    trio.afc.restart()
    try:
        wait_known(trio.main, "afc")
        mark = trio.afc.mark()
        remote_call(trio.afc, "router/objects/list", target="ledd")
        remote_call(trio.afc, "router/gcode/script", target="afc", script="SHOW END=1")
        wait_shown(trio.afc, start=mark, END="1")
        first, *others = trio.afc.console[mark:]
        # In quotes of G-code: some Klippers can print no other way
        assert UNKNOWN in first.replace("'\"'\"'", "'")
        assert others == ["// SHOW END='1'"] or others == ["// SHOW END=1"]
    finally:
        (trio.afc.folder / "printer.cfg").write_text(before)
        trio.afc.restart()
        wait_known(trio.main, "afc")


# -- a target that is not ready

ON_AFC = [
    ("router/gcode/script", {"target": "afc", "script": "SHOW LATE=1"}),
    ("router/objects/list", {"target": "afc"}),
    ("router/objects/query", {"target": "afc", "objects": STATE}),
    ("router/objects/subscribe", {"target": "afc", "objects": STATE, "gcode_callback": "SHOW_A"}),
    ("router/call", {"target": "afc", "endpoint": "info"}),
]
ON_AFC_COMMANDS = [
    'ROUTER_GCODE_SCRIPT TARGET=afc SCRIPT="SHOW LATE=1"',
    "ROUTER_OBJECTS_LIST TARGET=afc",
    "ROUTER_OBJECTS_QUERY TARGET=afc OBJECTS=webhooks",
    "ROUTER_OBJECTS_SUBSCRIBE TARGET=afc OBJECTS=webhooks CALLBACK=SHOW_A",
]


def test_an_offline_target_is_reported_by_every_interface_and_nothing_is_kept_for_it(trio):
    absent = "afc is not connected"
    trio.afc.stop()
    try:
        wait_known(trio.main, "afc", ready=False)
        for method, params in ON_AFC:
            mark = trio.led.mark()
            remote_call(trio.led, method, **params)
            error = wait_shown(trio.led, "ROUTER_ON_ERROR", mark)
            assert error == {"METHOD": method, "TARGET": "afc", "MESSAGE": absent}

            mark = trio.main.mark()
            remote_call(trio.main, method, **params)
            assert trio.main.wait_line(absent, start=mark) == f"// Router: {absent}"
            with pytest.raises(ApiError) as refused:
                trio.main.call(method, params)
            assert str(refused.value) == absent
        for command in ON_AFC_COMMANDS:
            mark = trio.main.mark()
            # No error: an LED that is off must not stop a print
            trio.main.script(command + "\nSHOW END=1")
            wait_shown(trio.main, start=mark, END="1")
            assert trio.main.console[mark:] == [f"// Router: {absent}", "// SHOW END=1"]
    finally:
        mark = trio.afc.mark()
        trio.afc.start().wait_ready()
        wait_known(trio.main, "afc")
    trio.main.call("router/gcode/script", {"target": "afc", "script": "SHOW END=1"})
    wait_shown(trio.afc, start=mark, END="1")
    assert shown(trio.afc, start=mark) == [{"END": "1"}]
    assert trio.main.query(["router"])["router"]["subscriptions"] == 0


def test_a_target_that_is_shut_down_accepts_no_scripts_and_says_why(trio):
    trio.afc.script("M112")
    try:
        wait_known(trio.main, "afc", ready=False)
        why = "afc is not ready (shutdown: Shutdown due to M112 command)"
        script = {"target": "afc", "script": "SHOW"}
        mark = trio.led.mark()
        remote_call(trio.led, "router/gcode/script", **script)
        assert wait_shown(trio.led, "ROUTER_ON_ERROR", mark)["MESSAGE"] == why
        with pytest.raises(ApiError) as refused:
            trio.main.call("router/gcode/script", script)
        assert str(refused.value) == why
        mark = trio.main.mark()
        trio.main.script("ROUTER_GCODE_SCRIPT TARGET=afc SCRIPT=SHOW")
        assert trio.main.wait_line("afc is", start=mark) == f"// Router: {why}"
    finally:
        trio.afc.restart()
        wait_known(trio.main, "afc")


def test_scripts_of_a_peer_that_disappears_end_with_an_error(trio):
    """The error says which may have run; scripts that were never sent run nowhere."""
    script = {"target": "afc", "script": "SHOW LATE=1"}
    with trio.main.api() as api:
        trio.afc.freeze()
        numbers = [api.request("router/gcode/script", script) for _ in range(3)]
        api.call("router/printers/list")
        trio.afc.kill()
        messages = []
        for number in numbers:
            with pytest.raises(ApiError) as error:
                api.answer(number)
            messages.append(str(error.value))
    unknown = "afc: connection lost, outcome unknown"
    assert sorted(messages) == ["afc is not connected"] * 2 + [unknown]
    mark = trio.afc.mark()
    trio.afc.start().wait_ready()
    wait_known(trio.main, "afc")
    trio.main.call("router/gcode/script", {"target": "afc", "script": "SHOW END=1"})
    wait_shown(trio.afc, start=mark, END="1")
    assert shown(trio.afc, start=mark) == [{"END": "1"}]


def test_a_failing_script_is_reported_to_the_caller_with_the_targets_own_message(trio, quiet):
    text = "Unknown gcode_macro variable 'nothing'"
    script = "SET_GCODE_VARIABLE MACRO=STATE VARIABLE=nothing VALUE=1"
    for printer in (trio.led, trio.afc, trio.main):
        target = "afc" if printer is trio.led else "led"
        remote_call(printer, "router/gcode/script", target=target, script=script)
        there = trio.lab.printers[target]
        one_line(there, quiet, "!! " + text)
        if printer is trio.led:
            error = wait_shown(printer, "ROUTER_ON_ERROR", quiet[printer])
            assert error["MESSAGE"] == f"{target}: {text}"
            one_line(printer, quiet, "ROUTER_ON_ERROR")
        else:
            one_line(printer, quiet, f"Router: {target}: {text}")
    with pytest.raises(ApiError) as refused:
        trio.main.call("router/gcode/script", {"target": "led", "script": script})
    assert str(refused.value) == f"led: {text}"
    one_line(trio.led, quiet, "!! " + text)


def test_the_last_error_is_in_the_status_of_the_host(trio):
    mark = trio.led.mark()
    remote_call(trio.led, "router/objects/list", target="ledd")
    wait_shown(trio.led, "ROUTER_ON_ERROR", mark)
    assert trio.main.query(["router"])["router"]["last_error"] == UNKNOWN


def test_the_host_can_have_an_error_macro_of_its_own(trio):
    before = (trio.main.folder / "printer.cfg").read_text()
    add_config(trio.main, says("ROUTER_ON_ERROR"))
    trio.main.restart()
    try:
        wait_known(trio.main, "led", "afc")
        mark = trio.main.mark()
        remote_call(trio.main, "router/objects/list", target="ledd")
        expected = {"METHOD": "router/objects/list", "TARGET": "ledd", "MESSAGE": UNKNOWN}
        assert wait_shown(trio.main, "ROUTER_ON_ERROR", mark) == expected
        assert not any(line.startswith("!!") for line in trio.main.console[mark:])
    finally:
        (trio.main.folder / "printer.cfg").write_text(before)
        trio.main.restart()
        wait_known(trio.main, "led", "afc")
