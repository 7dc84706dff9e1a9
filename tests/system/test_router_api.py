"""includes/router_api.cfg: the router's commands as macros of a peer."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
import pytest

from tests.lab import config
from tests.lab.waiting import wait_until
from tests.system.macros import says, shown, start_trio, wait_shown
from tests.unit.include_file import API, NEEDS, buttons, commands_with_parameters

pytestmark = pytest.mark.pairs

INCLUDE = f"[include {API}]\n"


@pytest.fixture(scope="module")
def trio(shared_lab):
    # led: the file and nothing else; afc: with macros of its own behind the file
    return start_trio(
        shared_lab,
        led=INCLUDE,
        afc=INCLUDE + says("ROUTER_ON_READY", "ROUTER_ON_CONNECTED", "ROUTER_ON_ERROR"),
    )


@pytest.fixture
def led(trio):
    """The peer with nothing but the file; neither it nor the host may end in a shutdown."""
    yield trio.led
    assert trio.led.state() == trio.main.state() == "ready"


def run(printer, script):
    """Run G-code; returns where its output begins."""
    mark = printer.mark()
    printer.script(script)
    return mark


def test_macros_after_the_include_replace_its_macros(trio):
    wait_shown(trio.afc, "ROUTER_ON_READY")
    for printer in ("main", "led"):
        wait_shown(trio.afc, "ROUTER_ON_CONNECTED", PRINTER=printer)
    run(trio.afc, "ROUTER_GCODE_SCRIPT TARGET=nobody SCRIPT=SHOW")
    assert wait_shown(trio.afc, "ROUTER_ON_ERROR") == {
        "METHOD": "router/gcode/script",
        "TARGET": "nobody",
        "MESSAGE": "Unknown printer 'nobody'. Known: main, led, afc",
    }


def test_without_macros_of_the_user_the_file_prints_nothing(trio):
    run(trio.led, "M118 last")
    trio.led.wait_line("last")
    assert not [line for line in trio.led.console if "ROUTER_ON" in line or "Unknown" in line]


def test_every_parameter_is_a_field_of_a_button_on_the_printer(led):
    shown_by_led = buttons(led.query({"configfile": ["settings"]})["configfile"]["settings"])
    of_the_router = {name: found for name, found in shown_by_led.items() if "ROUTER" in name}
    # The one of the watchdog keeps its name, for the sections that override its timeout
    assert of_the_router == dict(commands_with_parameters(), ROUTER_HEARTBEAT=set())


def test_printers_list(led):
    mark = run(led, "ROUTER_PRINTERS_LIST")
    led.wait_line("afc: ready", start=mark)
    assert [line for line in led.console[mark:] if "ready" in line] == [
        "// main: ready",
        "// led: ready",
        "// afc: ready",
    ]


def test_gcode_script(trio, led):
    mark = trio.afc.mark()
    run(led, "ROUTER_GCODE_SCRIPT TARGET=afc SCRIPT=\"SHOW A=1 B='two words'\"")
    assert wait_shown(trio.afc, start=mark) == {"A": "1", "B": "two words"}


def test_event_subscribe_trigger_unsubscribe(trio, led):
    marks = led.mark(), trio.afc.mark()
    run(led, "ROUTER_EVENT_SUBSCRIBE EVENT=fed GCODE=SHOW_A")
    run(led, 'ROUTER_EVENT_SUBSCRIBE EVENT=fed GCODE="SHOW_B N={lane}" CALLBACK_TARGET=afc')
    run(trio.afc, "ROUTER_EVENT_TRIGGER EVENT=fed LANE=2")
    assert wait_shown(led, "SHOW_A", marks[0]) == {"LANE": "2"}
    assert wait_shown(trio.afc, "SHOW_B", marks[1]) == {"N": "2"}

    run(led, "ROUTER_EVENT_UNSUBSCRIBE EVENT=fed GCODE=SHOW_A")
    run(trio.afc, "ROUTER_EVENT_TRIGGER EVENT=fed LANE=3")
    wait_shown(trio.afc, "SHOW_B", marks[1], N="3")
    run(led, "ROUTER_EVENT_UNSUBSCRIBE EVENT=fed")
    run(
        trio.afc,
        "ROUTER_EVENT_TRIGGER EVENT=fed LANE=4\nROUTER_GCODE_SCRIPT TARGET=led SCRIPT=SHOW",
    )
    wait_shown(led, "SHOW", marks[0])
    assert len(shown(led, "SHOW_A", marks[0])) == 1
    assert len(shown(trio.afc, "SHOW_B", marks[1])) == 2


def test_event_with_a_webhook_handler(trio, led):
    run(
        led,
        "ROUTER_EVENT_SUBSCRIBE EVENT=hook GCODE=gcode/script CALLBACK_TARGET=afc"
        " CALLBACK_TYPE=webhook",
    )
    mark = trio.afc.mark()
    run(led, "ROUTER_EVENT_TRIGGER EVENT=hook SCRIPT='SHOW BY=webhook'")
    wait_shown(trio.afc, start=mark, BY="webhook")
    run(led, "ROUTER_EVENT_UNSUBSCRIBE EVENT=hook")


@pytest.mark.parametrize(
    "text, context",
    [
        ("", {}),
        ("LANE=1 LENGTH=5", {"LANE": "1", "LENGTH": "5"}),
        ('CONTEXT="lane=1, length=5"', {"LANE": "1", "LENGTH": "5"}),
        (
            'CONTEXT="lane=1,length=5" TEMP=200 LENGTH=6',
            {"LANE": "1", "LENGTH": "6", "TEMP": "200"},
        ),
        ('CONTEXT="formula=a=b" NAME="one, two"', {"FORMULA": "a=b", "NAME": "one, two"}),
        ('CONTEXT=""', {}),
        ("CONTEXT={lane:1,length:5} TEMP=200", {"LANE": "1", "LENGTH": "5", "TEMP": "200"}),
        ("""CONTEXT='{"lane": 1, "name": "one, two"}' LANE=2""", {"LANE": "2", "NAME": "one, two"}),
        ('CONTEXT={"lane":1}', {"LANE": "1"}),
        ('CONTEXT="lane=1,length=5,"', {"LANE": "1", "LENGTH": "5"}),
    ],
)
def test_contexts_of_events(trio, led, text, context):
    run(trio.main, "ROUTER_EVENT_SUBSCRIBE EVENT=context GCODE=SHOW")
    mark = trio.main.mark()
    run(led, f"ROUTER_EVENT_TRIGGER EVENT=context {text}")
    assert wait_shown(trio.main, start=mark) == context


def test_a_malformed_context_is_an_error(led):
    for text in ("lane", "{lane=1}", "=1"):
        mark = run(led, f"ROUTER_EVENT_TRIGGER EVENT=context CONTEXT='{text}' MORE=1")
        led.wait_line("// Router: Malformed CONTEXT", start=mark)


def test_a_retained_event_reaches_later_subscribers(trio, led):
    run(led, "ROUTER_EVENT_TRIGGER EVENT=kept COLOR=red RETAIN=1")
    run(led, "ROUTER_EVENT_TRIGGER EVENT=forgotten COLOR=red RETAIN=0")
    wait_until(  # calls of two peers may overtake each other
        lambda: "forgotten" in trio.main.query(["router"])["router"]["events"],
        10.0,
        "no event 'forgotten'",
        [trio.main, led],
    )
    mark = trio.afc.mark()
    run(trio.afc, "ROUTER_EVENT_SUBSCRIBE EVENT=forgotten GCODE=SHOW_B")
    run(trio.afc, "ROUTER_EVENT_SUBSCRIBE EVENT=kept GCODE=SHOW_A")
    assert wait_shown(trio.afc, "SHOW_A", mark) == {"COLOR": "red"}
    assert shown(trio.afc, "SHOW_B", mark) == []


def test_objects_list(led):
    mark = run(led, "ROUTER_OBJECTS_LIST TARGET=main")
    line = led.wait_line("OBJECTS = ", start=mark)
    assert {"toolhead", "print_stats", "router"} <= set(line.split(" = ")[1].split(","))


def test_objects_query(led):
    mark = run(
        led,
        'ROUTER_OBJECTS_QUERY TARGET=main OBJECTS="print_stats:state|total_duration,pause_resume"',
    )
    led.wait_line("IS_PAUSED", start=mark)
    lines = led.console[mark:]
    assert "// PRINT_STATS_STATE = standby" in lines
    assert "// PRINT_STATS_TOTAL_DURATION = 0.0" in lines
    assert "// PAUSE_RESUME_IS_PAUSED = False" in lines
    assert len([line for line in lines if "PRINT_STATS" in line]) == 2


def test_objects_subscribe_and_unsubscribe(trio, led):
    def set_x(value):
        run(trio.main, f"SET_GCODE_VARIABLE MACRO=STATE VARIABLE=x VALUE={value}")

    set_x(1)
    mark = run(
        led, "ROUTER_OBJECTS_SUBSCRIBE TARGET=main OBJECTS='gcode_macro STATE:x' CALLBACK=SHOW"
    )
    wait_shown(led, start=mark, GCODE_MACRO_STATE_X="1")
    set_x(2)
    wait_shown(led, start=mark, GCODE_MACRO_STATE_X="2")
    for ending in (" CALLBACK=SHOW", ""):
        run(led, "ROUTER_OBJECTS_UNSUBSCRIBE TARGET=main" + ending)
        set_x(3)
        since = run(
            led,
            "ROUTER_OBJECTS_SUBSCRIBE TARGET=main OBJECTS='gcode_macro STATE:x' CALLBACK=SHOW_A",
        )
        wait_shown(led, "SHOW_A", since, GCODE_MACRO_STATE_X="3")
        updates = [params for params in shown(led, start=mark) if "REMOVED" not in params]
        assert len(updates) == 2
    run(led, "ROUTER_OBJECTS_UNSUBSCRIBE TARGET=main")


@pytest.mark.parametrize("name", NEEDS)
def test_a_missing_parameter_is_one_line_on_the_console(led, name):
    for count, missing in enumerate(NEEDS[name]):
        mark = run(led, " ".join([name, *NEEDS[name][:count]]))
        line = led.wait_line("Missing parameter", start=mark)
        assert line.startswith("// Router: Missing parameter ")
        assert missing.split("=")[0] in line
        # One line, and nothing was done
        run(led, "ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='SHOW_A OF=test'")
        wait_shown(led, "SHOW_A", mark)
        assert led.console[mark:] == [line, "// SHOW_A OF=test"]


def test_other_errors_are_one_line_too(led):
    for script, message in (
        ("ROUTER_OBJECTS_LIST TARGET=ledd", "Unknown printer 'ledd'. Known: main, led, afc"),
        ("ROUTER_OBJECTS_QUERY TARGET=main OBJECTS=a:,b", "Malformed OBJECTS 'a:,b'"),
        ("ROUTER_EVENT_SUBSCRIBE EVENT=e GCODE=SHOW CALLBACK_TYPE=x", "Invalid callback_type 'x'"),
    ):
        mark = run(led, script)
        assert led.wait_line("Router:", start=mark).startswith(f"// Router: {message}")


def test_without_a_router_the_macros_only_log(lab, pair):
    alone = lab.printer(pair[1], "alone", config.printing(INCLUDE)).wait_ready()
    for name, parameters in NEEDS.items():
        alone.script(" ".join([name, *parameters]))
    alone.script("ROUTER_PRINTERS_LIST")
    assert alone.state() == "ready"
    assert "Remote Call Error" in alone.log_text()
