"""Configs that people wrote for the external router daemon; they must run unchanged."""

# Copyright (C) 2026  Klipper Router contributors
# This file may be distributed under the terms of the GNU GPLv3 license.
#
# data/daemon_api.cfg is the macro file that the daemon's README tells users to include, on every
# printer: on the host its macros have the names of our native commands.
import pytest

from tests.lab import config
from tests.lab.klippers import ROOT
from tests.lab.waiting import wait_until
from tests.system.macros import router_section, wait_known

pytestmark = pytest.mark.pairs

INCLUDE = f"[include {ROOT}/tests/data/daemon_api.cfg]\n"

MAIN = """
[gcode_macro STATE]
variable_x: 0
gcode:

[gcode_macro PRINT_START]
gcode:
    {action_call_remote_method("router/gcode/script", target="led", script="LEDS_ON LEVEL=5")}
    ROUTER_EVENT_TRIGGER EVENT=print_start CONTEXT="bed=60, nozzle=215"

[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    M118 main hears of {params.PRINTER}

[gcode_macro ROUTER_ON_DISCONNECTED]
gcode:
    M118 main misses {params.PRINTER}

[delayed_gcode subscribe_all]
initial_duration: 0.1
gcode:
    ROUTER_EVENT_SUBSCRIBE EVENT=feed_done GCODE=ON_FEED_DONE
    ROUTER_EVENT_SUBSCRIBE EVENT=jam GCODE="M118 jam in lane {% raw %}{lane}{% endraw %}"

[gcode_macro ON_FEED_DONE]
gcode:
    M118 fed lane {params.LANE}, {params.LENGTH} mm
"""

LED = """
[gcode_macro ROUTER_ON_READY]
gcode:
    M118 led is ready
    {action_call_remote_method("router/event/subscribe", event="print_start",
        gcode="M118 heating to {nozzle}")}

[gcode_macro ROUTER_ON_CONNECTED]
gcode:
    {% if params.PRINTER == "main" %}
        ROUTER_OBJECTS_SUBSCRIBE TARGET=main OBJECTS=print_stats CALLBACK=ON_STATUS_UPDATE
    {% endif %}

[gcode_macro ON_STATUS_UPDATE]
gcode:
    {% if params.PRINT_STATS_STATE is defined %}
        M118 print is {params.PRINT_STATS_STATE}
    {% endif %}

[gcode_macro LEDS_ON]
gcode:
    M118 LEDs at {params.LEVEL}
"""

# Some wait for the other printers, and then subscribe to everything at once
AFC = (
    """
[gcode_macro FEED]
gcode:
    ROUTER_EVENT_TRIGGER EVENT=feed_done CONTEXT="lane={params.LANE},length=50"

[gcode_macro JAM]
gcode:
    {action_call_remote_method("router/event/trigger", event="jam", context={"lane": 3})}

[delayed_gcode subscribe_all]
initial_duration: 2.5
gcode:
"""
    + "".join(
        f"""\
    {{action_call_remote_method("router/objects/subscribe", target="main",
        objects={{"gcode_macro STATE": ["x"]}}, gcode_callback="ON_STATE_{letter}")}}
"""
        for letter in "ABCDEFGHIJ"
    )
    + "".join(
        f"""
[gcode_macro ON_STATE_{letter}]
gcode:
    M118 state {letter} {{params.GCODE_MACRO_STATE_X}}
"""
        for letter in "ABCDEFGHIJ"
    )
)


@pytest.fixture(scope="module")
def lab(shared_lab):
    """Three printers; the host's config has nothing new but the [router] sections."""
    sections = "[router]\nname: main\n" + "".join(
        router_section(shared_lab, name) for name in ("led", "afc")
    )
    shared_lab.main(config.printing(sections + INCLUDE + MAIN))
    shared_lab.peer("led", config.printing(INCLUDE + LED))
    # On the emulated MCU, where its start takes as long as on a printer
    shared_lab.peer("afc", config.printing(INCLUDE + AFC, "fake"), mcu="fake")
    shared_lab.wait_ready()
    wait_known(shared_lab.printers["main"], "led", "afc")
    yield shared_lab
    for printer in shared_lab.printers.values():
        assert printer.state() == "ready"


@pytest.fixture
def main(lab):
    return lab.printers["main"]


@pytest.fixture
def led(lab):
    return lab.printers["led"]


@pytest.fixture
def afc(lab):
    return lab.printers["afc"]


@pytest.fixture(params=["main", "led"])
def caller(request, lab):
    """The host, and a peer: the same macros run on both."""
    return lab.printers[request.param]


def test_lifecycle_macros(main, led):
    led.wait_line("echo: led is ready")
    led.wait_line("echo: print is standby")
    main.wait_line("echo: main hears of led")
    main.wait_line("echo: main hears of afc")


def test_macros_of_the_file_replace_native_commands_on_the_host(main):
    helps = main.call("gcode/help")
    assert helps["ROUTER_GCODE_SCRIPT"] == "G-Code macro"
    assert helps["ROUTER_EVENT_UNSUBSCRIBE"] == "Remove the handlers of an event"
    main.script("ROUTER_STATUS")


def test_gcode_script(caller, led):
    mark = led.mark()
    caller.script(f"ROUTER_GCODE_SCRIPT TARGET=led SCRIPT='LEDS_ON LEVEL={caller.name}'")
    led.wait_line(f"echo: LEDs at {caller.name}", start=mark)


def test_remote_calls_and_events_from_a_macro_of_the_host(main, led):
    mark = led.mark()
    main.script("PRINT_START")
    led.wait_line("echo: LEDs at 5", start=mark)
    # {nozzle} stands for a value of the event's context
    led.wait_line("echo: heating to 215", start=mark)


def test_bare_handlers_get_the_context_as_parameters(main, afc):
    mark = main.mark()
    afc.script("FEED LANE=2")
    main.wait_line("echo: fed lane 2, 50 mm", start=mark)


def test_remote_calls_from_a_macro_of_a_peer(main, afc):
    mark = main.mark()
    afc.script("JAM")
    main.wait_line("echo: jam in lane 3", start=mark)


def test_printers_list_and_objects_list(caller):
    mark = caller.mark()
    caller.script("ROUTER_PRINTERS_LIST")
    line = caller.wait_line("echo: Printers: ", start=mark)
    assert "PRINTERS='main,led,afc'" in line and "AFC_READY='True'" in line
    caller.script("ROUTER_OBJECTS_LIST TARGET=afc")
    line = caller.wait_line("echo: Objects: OBJECTS='", start=mark)
    assert "toolhead" in line


def test_objects_query(caller):
    mark = caller.mark()
    caller.script('ROUTER_OBJECTS_QUERY TARGET=afc OBJECTS="pause_resume,print_stats"')
    line = caller.wait_line("echo: Status: ", start=mark)
    assert "PAUSE_RESUME_IS_PAUSED='False'" in line and "PRINT_STATS_STATE='standby'" in line


def test_ten_subscriptions_in_a_row(main, afc):
    for letter in "ABCDEFGHIJ":
        afc.wait_line(f"echo: state {letter} 0")
    mark = afc.mark()
    main.script("SET_GCODE_VARIABLE MACRO=STATE VARIABLE=x VALUE=1")
    for letter in "ABCDEFGHIJ":
        afc.wait_line(f"echo: state {letter} 1", start=mark)
    states = sorted(line for line in afc.console if "echo: state" in line)
    assert states == sorted(f"echo: state {c} {n}" for c in "ABCDEFGHIJ" for n in "01")


def test_a_restarted_peer_works_as_before(main, led):
    marks = main.mark(), led.mark()
    led.restart()
    main.wait_line("echo: main misses led", start=marks[0])
    main.wait_line("echo: main hears of led", start=marks[0])
    led.wait_line("echo: print is standby", start=marks[1])
    # Its handlers and subscriptions exist once
    main.script("PRINT_START")
    led.wait_line("echo: heating to 215", start=marks[1])
    wait_until(lambda: main.query(["router"])["router"]["subscriptions"] == 11, 5.0, "11", [main])
    lines = led.console[marks[1] :]
    assert lines.count("echo: print is standby") == lines.count("echo: heating to 215") == 1


def test_a_restarted_host_works_as_before(main, led, afc):
    marks = main.mark(), led.mark(), afc.mark()
    main.restart()
    led.wait_line("echo: print is standby", start=marks[1])
    wait_known(main, "led", "afc")
    main.wait_line("echo: main hears of afc", start=marks[0])
    main.script("PRINT_START")
    led.wait_line("echo: heating to 215", start=marks[1])
