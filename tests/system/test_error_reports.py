"""Error reports must not cause further errors, flood a console, or stop a print."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import shlex

import pytest

from klippy_extras.router.rates import ALIKE_BURST
from tests.system.macros import (
    check_log,
    remote_call,
    router_section,
    shown,
    start_trio,
    wait_shown,
)

ON_ERROR = """
[gcode_macro ROUTER_ON_ERROR]
variable_then: ""
gcode:
    SHOW_A {rawparams}
    {then}
"""
FAILING = """
[gcode_macro FAIL]
gcode:
    {action_raise_error("no filament")}
"""
CIRCLE = """
[gcode_macro ASK]
gcode:
    {action_call_remote_method("router/objects/list", target="off")}
[gcode_macro TRIGGER_CIRCLE]
gcode:
    {action_call_remote_method("router/event/trigger", event="circle")}
"""
AGAIN = """
[gcode_macro AGAIN]
gcode:
    SHOW_B
    {action_call_remote_method("router/event/trigger", event="again")}
    FAIL
[gcode_macro COUNT]
variable_x: 0
gcode:
    {% set next = printer["gcode_macro COUNT"].x + 1 %}
    SET_GCODE_VARIABLE MACRO=COUNT VARIABLE=x VALUE={next}
    SHOW_B X={next}
    {% if next < 20 %}
        {action_call_remote_method("router/event/trigger", event="count")}
    {% endif %}
"""
# Remote calls in one macro, more than anybody would want to read errors of
MANY = """
[gcode_macro MANY]
gcode:
    {% for i in range(1000) %}
        {action_call_remote_method("router/gcode/script", target="off", script="SHOW")}
    {% endfor %}
"""
ABSENT = "off is not connected"
TO_ABSENT = "ROUTER_GCODE_SCRIPT TARGET=off SCRIPT=SHOW"


@pytest.fixture(scope="module")
def trio(shared_lab):
    """main and led have ROUTER_ON_ERROR, afc does not, and a fourth printer never connects."""
    main = router_section(shared_lab, "off") + ON_ERROR
    return start_trio(shared_lab, main, ON_ERROR + CIRCLE, FAILING + AGAIN + MANY)


def on_error(printer, then):
    """What ROUTER_ON_ERROR of this printer does besides showing its parameters."""
    value = shlex.quote(repr(then))
    printer.script(f"SET_GCODE_VARIABLE MACRO=ROUTER_ON_ERROR VARIABLE=then VALUE={value}")


def settle(trio):
    """Wait until everything in flight, and whatever that causes, has been handled."""
    for i in range(4):
        for printer in trio[1:]:
            mark = printer.mark()
            script = {"target": printer.name, "script": f"SHOW END={i}"}
            trio.main.call("router/gcode/script", script)
            wait_shown(printer, start=mark, END=str(i))


@pytest.fixture(params=["at once", "later", "in a handler"])
def failing(request, trio):
    """G-code of main that fails in one of the possible ways."""
    if request.param == "in a handler":
        trio.main.script("ROUTER_EVENT_SUBSCRIBE EVENT=bad GCODE=FAIL CALLBACK_TARGET=afc")
    return {
        "at once": TO_ABSENT,
        "later": "ROUTER_GCODE_SCRIPT TARGET=afc SCRIPT=FAIL",
        "in a handler": "ROUTER_EVENT_TRIGGER EVENT=bad",
    }[request.param]


def test_what_fails_in_the_macro_of_the_host_is_printed(trio, failing):
    on_error(trio.main, failing)
    mark = trio.main.mark()
    trio.main.script("ROUTER_OBJECTS_LIST TARGET=off")
    settle(trio)
    assert [call["MESSAGE"] for call in shown(trio.main, "SHOW_A", mark)] == [ABSENT]
    printed = [line for line in trio.main.console[mark:] if "Router: " in line]
    assert len(printed) == 1 and printed[0].startswith("// Router: ")
    assert not [line for line in trio.main.console[mark:] if line.startswith("!!")]


@pytest.fixture(params=["at once", "later"])
def call(request):
    """The parameters of a remote call that fails."""
    script, target = {"at once": ("SHOW", "off"), "later": ("FAIL", "afc")}[request.param]
    return {"script": script, "target": target}


def test_what_fails_in_the_macro_of_a_peer_is_printed(trio, call):
    on_error(trio.led, "REMOTE METHOD=router/gcode/script")
    mark = trio.led.mark()
    # The parameters are those of both calls: this one, and that of the macro
    remote_call(trio.led, "router/gcode/script", **call)
    settle(trio)
    assert len(shown(trio.led, "SHOW_A", mark)) == 1
    printed = [line for line in trio.led.console[mark:] if "Router: " in line]
    assert len(printed) == 1 and printed[0].startswith("// Router: ")


def test_an_error_that_causes_itself_through_several_steps_stops(trio):
    """ROUTER_ON_ERROR triggers an event whose handler causes the same error again."""
    remote_call(trio.led, "router/event/subscribe", event="circle", gcode="ASK")
    on_error(trio.led, "TRIGGER_CIRCLE")
    mark = trio.led.mark()
    trio.led.script("ASK")
    settle(trio)
    settle(trio)
    assert len(shown(trio.led, "SHOW_A", mark)) == ALIKE_BURST


def test_a_handler_that_triggers_itself_and_fails_is_not_run_again(trio):
    remote_call(trio.afc, "router/event/subscribe", event="again", gcode="AGAIN")
    mark = trio.afc.mark()
    trio.main.call("router/event/trigger", {"event": "again"})
    settle(trio)
    assert len(shown(trio.afc, "SHOW_B", mark)) == 1
    trio.afc.wait_line("triggered itself and failed", start=mark)


def test_a_handler_that_triggers_itself_and_succeeds_is(trio):
    """A macro that counts, for example."""
    remote_call(trio.afc, "router/event/subscribe", event="count", gcode="COUNT")
    mark = trio.afc.mark()
    trio.main.call("router/event/trigger", {"event": "count"})
    wait_shown(trio.afc, "SHOW_B", mark, X="20")
    assert [call["X"] for call in shown(trio.afc, "SHOW_B", mark)] == list(map(str, range(1, 21)))


def test_a_thousand_equal_errors_of_the_host_make_few_reports(trio):
    on_error(trio.main, "")
    mark = trio.main.mark()
    trio.main.script("\n".join([TO_ABSENT] * 1000))
    settle(trio)
    reported = len(shown(trio.main, "SHOW_A", mark))
    # An error of an earlier test may be counted as well
    assert 1 <= reported <= ALIKE_BURST
    line = trio.main.wait_line("more like this left out", start=mark, timeout=20.0)
    left_out = int(line.split("(")[1].split()[0])
    assert line.startswith(f"// Router: {ABSENT} (") and left_out >= 1000 - ALIKE_BURST
    assert len(shown(trio.main, "SHOW_A", mark)) == reported
    check_log(trio.main)


def test_a_thousand_equal_errors_of_a_peer_make_few_lines(trio):
    mark = trio.afc.mark()
    trio.afc.script("MANY")
    trio.afc.wait_line(f"// Router: {ABSENT} (", start=mark, timeout=20.0)
    lines = [line for line in trio.afc.console[mark:] if "Router" in line]
    assert len(lines) <= ALIKE_BURST + 1
    assert lines[-1] == f"// Router: {ABSENT} ({1001 - len(lines)} more like this left out)"
