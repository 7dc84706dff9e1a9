"""A typo in a mirror, a sensor or a subscription is reported once, where its author looks."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab.api import ApiError
from tests.system.macros import (
    check_log,
    remote_call,
    remote_result,
    says,
    set_fields,
    start_trio,
    wait_shown,
)

pytestmark = pytest.mark.pairs

LED = """mirror:
    gcode_macro STAT: x
    gcode_macro STATE: x, text, zz
    print_stat
    toolhead
sensors:
    chamber: heater_generic chamber
    board: lab_console.temperatur
"""
WRONG = [
    "option 'mirror' in section 'router led': led has no object 'gcode_macro STAT': did you mean"
    " 'gcode_macro STATE'?",
    "option 'mirror' in section 'router led': led has no object 'print_stat': did you mean"
    " 'print_stats'?",
    "option 'mirror' in section 'router led': led has no field 'gcode_macro STATE.zz'",
    "option 'sensors' in section 'router led': led has no object 'heater_generic chamber'",
    "option 'sensors' in section 'router led': led has no field 'lab_console.temperatur'",
]


@pytest.fixture(scope="module")
def trio(shared_lab):
    """The config of main names what led does not have; afc has everything."""
    trio = start_trio(
        shared_lab,
        afc=says("ROUTER_ON_ERROR"),
        led_options=LED,
        afc_options="mirror:\n    gcode_macro STATE: x, text\n    toolhead",
    )
    yield trio
    check_log(trio.main)


def warnings(printer, start=0):
    return [line[len("// Router: ") :] for line in printer.console[start:] if " has no " in line]


def wait_warned(printer, start, *sentences):
    for sentence in sentences:
        printer.wait_line(sentence, start=start)
    assert sorted(warnings(printer, start)) == sorted(sentences)


def subscribe(owner, target, objects, callback="SHOW_A"):
    params = {"target": target, "objects": objects, "gcode_callback": callback}
    remote_call(owner, "router/objects/subscribe", **params)


def test_names_in_the_config_that_the_peer_does_not_have_are_reported_once(trio):
    wait_warned(trio.main, 0, *WRONG)
    log = trio.main.log_text()
    assert all(sentence in log for sentence in WRONG)
    # None is a value; existing names are not affected by missing ones
    mirror = trio.main.query({"router led": ["mirror"]})["router led"]["mirror"]
    assert mirror["gcode_macro STATE"] == {"x": 0, "text": None, "zz": None}


@pytest.mark.parametrize("target", ["main", "led"])
def test_the_owner_of_a_subscription_is_warned_and_its_error_macro_is_not_run(trio, target):
    marks = [trio.afc.mark(), trio.main.mark()]
    subscribe(trio.afc, target, {"print_stats": ["stat", "state"], "gcode_macro STATE": ["text"]})
    prefix = "subscription of afc with callback SHOW_A: "
    found = f"{target} has no field 'print_stats.stat': did you mean 'print_stats.state'?"
    wait_shown(trio.afc, "SHOW_A", marks[0])
    wait_warned(trio.afc, marks[0], prefix + found)
    # The same again is not reported again
    subscribe(trio.afc, target, {"print_stats": ["stat", "state"]})
    subscribe(trio.afc, target, {"no_such_thing": None}, "SHOW_B")
    other = f"subscription of afc with callback SHOW_B: {target} has no object 'no_such_thing'"
    wait_warned(trio.afc, marks[0], prefix + found, other)
    assert not [line for line in trio.afc.console[marks[0] :] if "ROUTER_ON_ERROR" in line]
    assert warnings(trio.main, marks[1]) == []
    assert "afc was warned: " + prefix + found in trio.main.log_text()
    remote_call(trio.afc, "router/objects/unsubscribe", target=target)


def test_a_subscription_of_the_host_itself_is_warned_on_its_console(trio):
    mark = trio.main.mark()
    trio.main.script("ROUTER_OBJECTS_SUBSCRIBE TARGET=led OBJECTS=toolhed CALLBACK=SHOW")
    text = "subscription of main with callback SHOW: led has no object 'toolhed': did you mean"
    wait_warned(trio.main, mark, text + " 'toolhead'?")
    trio.main.script("ROUTER_OBJECTS_UNSUBSCRIBE TARGET=led")


def test_a_wait_for_a_missing_name_says_so_at_once_and_in_its_error(trio):
    mark = trio.main.mark()
    found = "led has no field 'print_stats.stat': did you mean 'print_stats.state'?"
    wait = "ROUTER_OBJECTS_WAIT TARGET=led OBJECT=print_stats FIELD=stat EQUALS=x TIMEOUT=1"
    with trio.main.api() as api:
        number = api.request("gcode/script", {"script": wait})
        wait_warned(trio.main, mark, "ROUTER_OBJECTS_WAIT: " + found)
        with pytest.raises(ApiError) as error:
            api.answer(number)
    assert str(error.value) == f"led: print_stats.stat is not known after 1 second: {found}"
    # A field without a value exists
    with pytest.raises(ApiError) as error:
        script = "ROUTER_OBJECTS_WAIT TARGET=led OBJECT='gcode_macro STATE' FIELD=text EQUALS=x"
        trio.main.script(script + " TIMEOUT=1")
    assert "has no" not in str(error.value)


def test_a_subscription_to_existing_names_is_not_warned(trio):
    marks = [trio.afc.mark(), trio.main.mark()]
    set_fields(trio.led, a=None)
    subscribe(trio.afc, "led", {"lab_console": ["a"], "toolhead": None, "print_stats": ["state"]})
    wait_shown(trio.afc, "SHOW_A", marks[0])
    # Searches of one target run one after the other
    subscribe(trio.afc, "led", {"nothing": None}, "SHOW_B")
    text = "subscription of afc with callback SHOW_B: led has no object 'nothing'"
    wait_warned(trio.afc, marks[0], text)
    assert warnings(trio.main, marks[1]) == []
    remote_call(trio.afc, "router/objects/unsubscribe", target="led")
    remote_result(trio.afc, "router/printers/list")


def test_names_that_are_still_missing_after_a_restart_are_reported_again(trio):
    mark = trio.main.mark()
    trio.led.restart()
    wait_warned(trio.main, mark, *WRONG)
