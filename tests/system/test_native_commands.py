"""Every method as a native G-code command of the host."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab.api import ApiError
from tests.system.macros import (
    fresh,
    remote_call,
    set_state,
    shown,
    start_trio,
    wait_known,
    wait_shown,
)

COMMANDS = {
    "ROUTER_STATUS",
    "ROUTER_PRINTERS_LIST",
    "ROUTER_GCODE_SCRIPT",
    "ROUTER_EVENT_SUBSCRIBE",
    "ROUTER_EVENT_UNSUBSCRIBE",
    "ROUTER_EVENT_TRIGGER",
    "ROUTER_OBJECTS_LIST",
    "ROUTER_OBJECTS_QUERY",
    "ROUTER_OBJECTS_SUBSCRIBE",
    "ROUTER_OBJECTS_UNSUBSCRIBE",
}
QUERY = 'ROUTER_OBJECTS_QUERY OBJECTS="gcode_macro STATE:x|y,webhooks" TARGET='

# What people write in their macros
MAIN = """
[gcode_macro FEED]
gcode:
    ROUTER_GCODE_SCRIPT TARGET=led SCRIPT="M118 lane {params.LANE}"
    ROUTER_EVENT_TRIGGER EVENT=fed LANE={params.LANE}
"""


@pytest.fixture(scope="module")
def trio(shared_lab):
    return start_trio(shared_lab, main=MAIN)


def test_every_command_has_a_help_text(trio):
    helps = trio.main.call("gcode/help")
    assert all(helps.get(command) for command in COMMANDS)


def test_status_shows_one_line_per_printer(trio):
    mark = trio.main.mark()
    trio.main.script("ROUTER_STATUS")
    trio.main.wait_line("afc: ready, round trip", start=mark)
    assert [line.split(":")[0] for line in trio.main.console[mark + 1 :]] == [
        "// main",
        "// led",
        "// afc",
    ]


def test_printers_list_shows_every_printer(trio):
    mark = trio.main.mark()
    trio.main.script("ROUTER_PRINTERS_LIST")
    trio.main.wait_line("afc: ready", start=mark)
    trio.main.wait_line("main: ready (this printer)", start=mark)


@pytest.mark.parametrize("target", ["led", "main"])
def test_gcode_script_runs_on_the_target(trio, target):
    printer = trio.lab.printers[target]
    mark = printer.mark()
    trio.main.script(f"ROUTER_GCODE_SCRIPT TARGET={target} SCRIPT=\"SHOW WORDS='two words'\"")
    assert wait_shown(printer, start=mark) == {"WORDS": "two words"}


def test_commands_work_within_a_macro(trio):
    mark, own = trio.led.mark(), trio.main.mark()
    trio.main.script("ROUTER_EVENT_SUBSCRIBE EVENT=fed GCODE=SHOW_A")
    trio.main.script("FEED LANE=3")
    trio.led.wait_line("lane 3", start=mark)
    assert wait_shown(trio.main, "SHOW_A", own) == {"LANE": "3"}
    trio.main.script("ROUTER_EVENT_UNSUBSCRIBE EVENT=fed")


def test_event_handler_runs_here_until_unsubscribed(trio):
    mark = trio.main.mark()
    for gcode in ("SHOW_A", "SHOW_B"):
        trio.main.script(f"ROUTER_EVENT_SUBSCRIBE EVENT=e GCODE={gcode}")
    trio.main.script("ROUTER_EVENT_TRIGGER EVENT=e K=1")
    wait_shown(trio.main, "SHOW_B", mark, K="1")
    assert shown(trio.main, "SHOW_A", mark) == [{"K": "1"}]
    trio.main.script("ROUTER_EVENT_UNSUBSCRIBE EVENT=e GCODE=SHOW_A")
    trio.main.script("ROUTER_EVENT_TRIGGER EVENT=e K=2")
    wait_shown(trio.main, "SHOW_B", mark, K="2")
    assert shown(trio.main, "SHOW_A", mark) == [{"K": "1"}]
    trio.main.script("ROUTER_EVENT_UNSUBSCRIBE EVENT=e")
    assert trio.main.call("router/event/trigger", {"event": "e"})["delivered"] == []


def test_event_handler_can_run_on_a_peer_or_call_its_endpoint(trio):
    mark = trio.led.mark()
    trio.main.script("ROUTER_EVENT_SUBSCRIBE EVENT=e GCODE=SHOW_A CALLBACK_TARGET=led")
    trio.main.script(
        "ROUTER_EVENT_SUBSCRIBE EVENT=e GCODE=gcode/script CALLBACK_TARGET=led"
        " CALLBACK_TYPE=webhook"
    )
    trio.main.script("ROUTER_EVENT_TRIGGER EVENT=e SCRIPT=SHOW_B")
    assert wait_shown(trio.led, "SHOW_A", mark) == {"SCRIPT": "SHOW_B"}
    assert wait_shown(trio.led, "SHOW_B", mark) == {}
    trio.main.script("ROUTER_EVENT_UNSUBSCRIBE EVENT=e")


@pytest.mark.parametrize("target", ["led", "main"])
def test_objects_list_shows_the_names(trio, target):
    mark = trio.main.mark()
    trio.main.script("ROUTER_OBJECTS_LIST TARGET=" + target)
    line = trio.main.wait_line(f"// {target}: ", start=mark)
    assert "gcode_macro STATE" in line.split(": ", 1)[1].split(", ")


@pytest.mark.parametrize("target", ["led", "main"])
def test_objects_query_prints_the_values(trio, target):
    set_state(trio.lab.printers[target], x=7, y="two words")
    mark = trio.main.mark()
    trio.main.script(QUERY + target)
    trio.main.wait_line(f"{target}: webhooks.state = ready", start=mark)
    lines = trio.main.console[mark:]
    assert f"// {target}: gcode_macro STATE.x = 7" in lines
    assert f"// {target}: gcode_macro STATE.y = two words" in lines
    assert not any("STATE.text" in line for line in lines)


@pytest.mark.parametrize("target", ["led", "main"])
def test_objects_subscribe_runs_the_callback_until_unsubscribed(trio, target):
    printer = trio.lab.printers[target]
    first, second = fresh(), fresh()
    set_state(printer, x=first, y=first)
    mark = trio.main.mark()
    for callback, field in (("SHOW_A", "x"), ("SHOW_B", "y")):
        trio.main.script(
            f'ROUTER_OBJECTS_SUBSCRIBE TARGET={target} OBJECTS="gcode_macro STATE:{field}"'
            f" CALLBACK={callback}"
        )
    wait_shown(trio.main, "SHOW_A", mark, GCODE_MACRO_STATE_X=str(first))
    wait_shown(trio.main, "SHOW_B", mark, GCODE_MACRO_STATE_Y=str(first))
    trio.main.script(f"ROUTER_OBJECTS_UNSUBSCRIBE TARGET={target} CALLBACK=SHOW_A")
    set_state(printer, x=second, y=second)
    wait_shown(trio.main, "SHOW_B", mark, GCODE_MACRO_STATE_Y=str(second))
    trio.main.script(f"ROUTER_OBJECTS_UNSUBSCRIBE TARGET={target}")
    assert trio.main.query(["router"])["router"]["subscriptions"] == 0
    assert shown(trio.main, "SHOW_A", mark)[-1] == {"GCODE_MACRO_STATE_X": str(first)}


def test_unsubscribing_keeps_the_registrations_of_peers(trio):
    remote_call(trio.led, "router/event/subscribe", event="e", gcode="SHOW_A")
    mark = trio.led.mark()
    remote_call(
        trio.led,
        "router/objects/subscribe",
        target="main",
        objects={"gcode_macro STATE": ["x"]},
        gcode_callback="SHOW_B",
    )
    wait_shown(trio.led, "SHOW_B", mark)
    trio.main.script("ROUTER_EVENT_UNSUBSCRIBE EVENT=e")
    trio.main.script("ROUTER_OBJECTS_UNSUBSCRIBE TARGET=main")
    trio.main.script("ROUTER_EVENT_TRIGGER EVENT=e")
    wait_shown(trio.led, "SHOW_A", mark)
    news = fresh()
    set_state(trio.main, x=news)
    wait_shown(trio.led, "SHOW_B", mark, GCODE_MACRO_STATE_X=str(news))


def test_status_and_printers_list_work_after_a_shutdown(trio):
    trio.main.script("M112")
    try:
        trio.main.wait_state("shutdown")
        mark = trio.main.mark()
        trio.main.script("ROUTER_STATUS\nROUTER_PRINTERS_LIST")
        trio.main.wait_line("main: not ready (shutdown", start=mark)
        trio.main.wait_line("main: shutdown (this printer)", start=mark)
        with pytest.raises(ApiError):
            trio.main.script("ROUTER_EVENT_TRIGGER EVENT=e")
    finally:
        trio.main.restart()
        wait_known(trio.main, "led", "afc")
