"""Messages of a peer longer than max_message end no wait and no link, and lose no other value."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.api import ApiError
from tests.system.macros import (
    Trio,
    check_log,
    fresh,
    recorder,
    remote_call,
    router_section,
    set_fields,
    set_state,
    shown,
    wait_known,
    wait_shown,
)

LARGE = 70000
LIMIT = "longer than max_message (65536 bytes)"
LED = f"""
[lab_console]
[gcode_macro BIG]
variable_text: "{"x" * LARGE}"
gcode:
[gcode_macro PRINT_LARGE]
gcode:
    {{action_respond_info("x" * {LARGE})}}
[gcode_macro FAIL_LARGE]
gcode:
    {{action_raise_error("x" * {LARGE})}}
[gcode_macro CALL_LARGE]
gcode:
    {{action_call_remote_method("router/event/trigger", event="e", context={{"a": "x" * {LARGE}}})}}
[gcode_macro SLOW]
gcode:
    M118 slow begin
    G4 P1500
    M400
    M118 slow end
"""
# Its configfile is as large as LED is
AFC = f"""
[gcode_macro BIG]
variable_text: "{"x" * LARGE}"
gcode:
"""
MIRROR = """mirror:
    configfile: settings
    gcode_macro STATE: x
"""


@pytest.fixture(scope="module")
def trio(shared_lab):
    """main mirrors too much of afc; led can print, call and answer too much."""
    lab = shared_lab
    main = "[router]\nstatus_interval: 0.05\n" + router_section(lab, "led")
    main += router_section(lab, "afc", MIRROR) + recorder("ROUTER_ON_ERROR")
    trio = Trio(
        lab,
        lab.main(config.printing(main)),
        lab.peer("led", config.heating(recorder() + LED), mcu="fake"),
        lab.peer("afc", config.printing(recorder("ROUTER_ON_ERROR") + AFC)),
    )
    lab.wait_ready()
    wait_known(trio.main, "led", "afc")
    yield trio
    check_log(trio.main)


def reconnects(trio):
    peers = trio.main.query(["router led", "router afc"])
    return [peer["reconnects"] for peer in peers.values()]


@pytest.fixture(autouse=True)
def keeps_its_connections(trio):
    """No link may be lost during the test."""
    yield
    assert reconnects(trio)[0] == 0


def subscribe(owner, target, objects, callback="SHOW_A"):
    params = {"target": target.name, "objects": objects, "gcode_callback": callback}
    remote_call(owner, "router/objects/subscribe", **params)


def unsubscribe(owner, target):
    remote_call(owner, "router/objects/unsubscribe", target=target.name)


def lines_with(printer, text, start=0):
    return [line for line in printer.console[start:] if text in line]


def test_a_mirror_that_is_too_large_is_reported_once_and_the_peer_is_ready(trio):
    (line,) = lines_with(trio.main, LIMIT)
    assert line.startswith("// Router: option 'mirror' in section 'router afc': afc: its status ")
    assert "raise max_message in [router afc]" in line
    assert line[3:] in trio.main.log_text()
    mirror = trio.main.query({"router afc": ["mirror"]})["router afc"]["mirror"]
    assert mirror["configfile"] == {"settings": None}
    # And others are served
    mark, x = trio.led.mark(), fresh()
    set_state(trio.afc, x=x)
    subscribe(trio.led, trio.afc, {"gcode_macro STATE": ["x"]})
    wait_shown(trio.led, "SHOW_A", mark, GCODE_MACRO_STATE_X=str(x))
    unsubscribe(trio.led, trio.afc)


def test_a_large_answer_to_another_caller_ends_no_wait(trio):
    mark = trio.main.mark()
    with trio.main.api() as waiting, trio.main.api() as other:
        script = "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=SLOW WAIT=1\nM118 over"
        number = waiting.request("gcode/script", {"script": script})
        trio.main.wait_line("led: slow begin", start=mark)
        with pytest.raises(ApiError) as error:
            other.call("router/objects/query", {"target": "led", "objects": {"configfile": None}})
        assert LIMIT in str(error.value) and "raise max_message in [router led]" in str(error.value)
        assert not lines_with(trio.main, "slow end", mark)
        waiting.answer(number)
    trio.main.wait_line("echo: over", start=mark)
    assert lines_with(trio.main, "led: slow end", mark)


def test_a_long_line_on_the_peers_console_is_left_out_and_reported_once(trio):
    trio.main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 first' WAIT=1")
    mark = trio.main.mark()
    trio.led.script("PRINT_LARGE")
    text = "led: a message on its console " + LIMIT
    trio.main.wait_line(text, start=mark)
    trio.main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=PRINT_LARGE WAIT=1")
    trio.main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='M118 end' WAIT=1")
    trio.main.wait_line("led: end", start=mark)
    assert len(lines_with(trio.main, text)) == 1


def test_a_script_that_fails_with_a_long_message_has_failed(trio):
    with pytest.raises(ApiError) as error:
        trio.main.script("ROUTER_GCODE_SCRIPT TARGET=led SCRIPT=FAIL_LARGE WAIT=1")
    assert f"led: its answer is {LIMIT}" in str(error.value)


def test_only_the_subscription_that_is_too_large_fails(trio):
    marks = [trio.afc.mark(), trio.main.mark()]
    subscribe(trio.main, trio.led, {"gcode_macro STATE": ["x"]})
    subscribe(trio.afc, trio.led, {"configfile": None})
    subscribe(trio.afc, trio.led, {"gcode_macro STATE": ["x", "y"]}, "SHOW_B")
    with trio.main.api() as api:
        objects = {"gcode_macro STATE": ["y"]}
        params = {"target": "led", "objects": objects, "response_template": {}}
        assert api.call("router/objects/subscribe", params)["status"].keys() == objects.keys()
    error = wait_shown(trio.afc, "ROUTER_ON_ERROR", marks[0], METHOD="router/objects/subscribe")
    assert f"led: its status is {LIMIT}: name the fields" in error["MESSAGE"]
    x = fresh()
    set_state(trio.led, x=x)
    wait_shown(trio.main, "SHOW_A", marks[1], GCODE_MACRO_STATE_X=str(x))
    wait_shown(trio.afc, "SHOW_B", marks[0], GCODE_MACRO_STATE_X=str(x))
    assert len(shown(trio.afc, "ROUTER_ON_ERROR", marks[0])) == 1
    assert shown(trio.afc, "SHOW_A", marks[0]) == []
    unsubscribe(trio.main, trio.led)
    unsubscribe(trio.afc, trio.led)


def test_after_an_update_that_was_skipped_the_values_are_read_again(trio):
    set_fields(trio.led, a=1)
    mark = trio.main.mark()
    subscribe(trio.main, trio.led, {"lab_console": ["a", "large"]})
    wait_shown(trio.main, "SHOW_A", mark, LAB_CONSOLE_A="1")
    # Too long in the update, but no longer in the snapshot after it
    set_fields(trio.led, f"LARGE={LARGE} LARGE_READS=1", a=2)
    wait_shown(trio.main, "SHOW_A", mark, LAB_CONSOLE_A="2")
    trio.main.wait_line(f"led: an update of its status {LIMIT} was skipped", start=mark)
    unsubscribe(trio.main, trio.led)


def test_only_the_subscription_whose_values_have_grown_ends(trio):
    set_fields(trio.led, a=3)
    mark = trio.main.mark()
    subscribe(trio.main, trio.led, {"gcode_macro STATE": ["x"]}, "SHOW_B")
    subscribe(trio.main, trio.led, {"lab_console": ["a", "large"]})
    wait_shown(trio.main, "SHOW_A", mark, LAB_CONSOLE_A="3")
    wait_shown(trio.main, "SHOW_B", mark)
    set_fields(trio.led, f"LARGE={LARGE}", a=4)
    error = wait_shown(trio.main, "ROUTER_ON_ERROR", mark, METHOD="router/objects/subscribe")
    assert f"led: its status is {LIMIT}" in error["MESSAGE"]
    # Its value is not known any more, and is not sent as if it were
    wait_shown(trio.main, "SHOW_A", mark, LAB_CONSOLE_A="")
    x = fresh()
    set_state(trio.led, x=x)
    wait_shown(trio.main, "SHOW_B", mark, GCODE_MACRO_STATE_X=str(x))
    unsubscribe(trio.main, trio.led)
    set_fields(trio.led)


def test_a_call_that_is_too_long_is_an_error_of_the_caller(trio):
    mark = trio.led.mark()
    trio.led.script("CALL_LARGE")
    trio.led.wait_line(f"Router: led: this call is {LIMIT}: send less", start=mark)


def test_a_mirror_that_is_too_large_after_a_restart_is_reported_again(trio):
    mark = trio.main.mark()
    trio.afc.restart()
    line = f"option 'mirror' in section 'router afc': afc: its status is {LIMIT}"
    trio.main.wait_line(line, start=mark)
    wait_known(trio.main, "afc")
    assert reconnects(trio)[1] == 1
